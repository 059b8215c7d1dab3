// Generated from the Rust types; `UPDATE_TYPES=1 cargo test -p alidade-api` writes it anew.

export type AdapterRef = { 
/**
 * Identifier in the store.
 */
id: string, 
/**
 * Name for people ("sft", "dpo").
 */
name: string, 
/**
 * SHA-256 of its weight file.
 */
sha256: string, };

export type AdapterSource = string;

export type AnswerEnd = "complete" | "length" | "stopped" | "interrupted";

export type AppInfo = { 
/**
 * Version of the program.
 */
version: string, 
/**
 * Operating system and processor, in words.
 */
machine: string, 
/**
 * Folder that holds everything.
 */
home: string, 
/**
 * Threads that runs compute with.
 */
threads: number, 
/**
 * Threads that the machine has.
 */
available_threads: number, 
/**
 * Memory of the machine.
 */
memory_bytes: number, 
/**
 * What the program and its processes hold of it now.
 */
held: Array<Held>, 
/**
 * Current faults of the program, apart from those of single runs and data sets.
 */
problems: Array<Problem>, };

export type Artifact = { "kind": "adapter", 
/**
 * SHA-256 of its weights.
 */
sha256: string, } | { "kind": "model", 
/**
 * Its folder.
 */
folder: string, 
/**
 * SHA-256 of its weights.
 */
sha256: string, 
/**
 * Name for people, if one was given.
 */
name?: string, } | { "kind": "dataset", 
/**
 * Its file.
 */
file: string, 
/**
 * SHA-256 of the file.
 */
sha256: string, 
/**
 * Rows in it.
 */
rows: number, 
/**
 * Items that yielded no rows.
 */
left_out: number, } | { "kind": "evaluation", 
/**
 * Name of the suite.
 */
suite: string, } | { "kind": "report", 
/**
 * Its file.
 */
file: string, } | { "kind": "file", 
/**
 * Where it is.
 */
path: string, 
/**
 * Its size.
 */
bytes: number, 
/**
 * What it is ("adapter in PEFT's form").
 */
what: string, };

export type At = "first" | "last";

export type Better = "higher" | "lower" | "neither";

export type BuildRecipe = { 
/**
 * Name of the builder.
 */
builder: string, 
/**
 * The base model that generates answers.
 */
model: ModelSource, 
/**
 * The adapter on it; absent for the untouched base.
 */
adapter?: AdapterSource, 
/**
 * The rows whose prompts are answered.
 */
dataset: DatasetSource, 
/**
 * The scorer, for builders that choose among answers.
 */
scorer?: ScorerSource, 
/**
 * Random seed.
 */
seed: number, 
/**
 * Maximum number of prompts; all when absent.
 */
limit?: number, 
/**
 * Settings of the builder; absent keys have their defaults.
 */
settings: Settings, };

export type Chart = { 
/**
 * What it shows.
 */
title: Words, 
/**
 * The curves.
 */
lines: Array<Line>, 
/**
 * The usual range; values outside deserve attention.
 */
usual: [number, number] | null, };

export type ChatDelta = { "kind": "text", 
/**
 * The pane.
 */
pane: number, 
/**
 * The text to append.
 */
text: string, } | { "kind": "done", 
/**
 * The stored message.
 */
message: ChatMessage, } | { "kind": "problem", 
/**
 * The pane.
 */
pane: number, 
/**
 * Why.
 */
problem: Problem, };

export type ChatMessage = { 
/**
 * Number of the turn, from 0; a person's message and its answers share it.
 */
turn: number, 
/**
 * Pane of an answer; absent for the person's message.
 */
pane: number | null, 
/**
 * What was said.
 */
message: Message, 
/**
 * The exact stack that answered.
 */
badge: string | null, 
/**
 * How the answer ended.
 */
end: AnswerEnd | null, 
/**
 * Its random seed.
 */
seed: number | null, 
/**
 * Tokens of the answer.
 */
tokens: number | null, 
/**
 * Seconds that generating it took, without loading the model.
 */
seconds: number | null, };

export type ChatView = { 
/**
 * Identifier.
 */
id: string, 
/**
 * Name for people.
 */
title: string, 
/**
 * One stack a pane.
 */
stacks: Array<Stack>, 
/**
 * System message, empty for none.
 */
system_prompt: string, 
/**
 * Sampling; the same in every pane.
 */
sampling: Sampling, 
/**
 * Number format of the weights; the same in every pane.
 */
precision: Precision, 
/**
 * Messages in order of turns.
 */
messages: Array<ChatMessage>, 
/**
 * When it was made, in milliseconds since 1970.
 */
created_ms: number, };

export type CheckedPipeline = { 
/**
 * True if the pipeline can run.
 */
ready: boolean, 
/**
 * Why it cannot run, each problem at its field.
 */
problems: Array<Problem>, 
/**
 * Warnings before the start.
 */
warnings: Array<Problem>, 
/**
 * An estimate for each stage without a fault, in order.
 */
stages: Array<StageEstimate>, 
/**
 * The largest number of prompts and rows that stages are compared on, where the plan had to choose one so that comparing
 * takes no longer than training.
 */
compare: number | null, 
/**
 * Free memory of this machine.
 */
free_memory_bytes: number, 
/**
 * Free disk space.
 */
free_disk_bytes: number, };

export type Choices = { 
/**
 * The preset that the choices started from, if any.
 */
goal: string | null, 
/**
 * Identifier of the model.
 */
model: string, 
/**
 * Learn from answers.
 */
answers: Chosen, 
/**
 * Learn from thumbs up and down.
 */
ratings: Chosen, 
/**
 * Learn from pairs.
 */
pairs: Chosen, 
/**
 * Learn from the model's own answers to prompts.
 */
prompts: Chosen, 
/**
 * True if the oracle shall score answers, for models whose world it knows.
 */
oracle: boolean, 
/**
 * Limit on harm.
 */
limit: Limit, 
/**
 * Scale of the learning rate.
 */
strength: Strength, 
/**
 * Settings that the person changed, by method.
 */
changes: { [key in string]: Settings }, 
/**
 * Random seed of every stage.
 */
seed: number, 
/**
 * What is trained: a LoRA adapter, a prefix, or every weight.
 */
trains: Trains, 
/**
 * Shape of the LoRA adapter; the model's default when absent.
 */
lora: LoraSpec | null, 
/**
 * Length of the prefix.
 */
virtual_tokens: number, 
/**
 * Largest number of prompts, and of held-out rows, that before and after are compared on; as many as fit into the time of
 * training when absent, none at 0.
 */
compare: number | null, };

export type Chosen = { 
/**
 * Identifier of the data set; empty for none.
 */
dataset: string, 
/**
 * The method that learns from it; empty for the default.
 */
method: string, };

export type DatasetKind = "answers" | "pairs" | "ratings" | "texts" | "prompts";

export type DatasetPage = { 
/**
 * Rows in all.
 */
total_rows: number, 
/**
 * Rows from the requested offset.
 */
rows: Array<Example>, 
/**
 * Rows that were left out, in all.
 */
total_issues: number, 
/**
 * Issues from the requested offset.
 */
issues: Array<RowIssue>, };

export type DatasetProfile = { 
/**
 * Model whose tokens are counted.
 */
model: string, 
/**
 * Rows that were counted; all of them unless the set is very large.
 */
rows: number, 
/**
 * Lengths of the prompts; absent for texts.
 */
prompts: Histogram | null, 
/**
 * Lengths of the answers, of the chosen ones for pairs, of the documents for texts; absent for prompts.
 */
answers: Histogram | null, 
/**
 * Lengths of the rejected answers; only for pairs.
 */
rejected: Histogram | null, 
/**
 * Share of pairs whose chosen answer is clearly longer; only for pairs.
 */
chosen_longer: number | null, 
/**
 * Rows that repeat an earlier one.
 */
duplicates: number, 
/**
 * Rows longer than the model's context.
 */
too_long: number, };

export type DatasetSource = string;

export type DatasetView = { 
/**
 * Identifier.
 */
id: string, 
/**
 * Name for people.
 */
name: string, 
/**
 * Its name in both languages; for the person's own sets the same in each.
 */
title: Wording, 
/**
 * What its rows can teach.
 */
kind: DatasetKind, 
/**
 * Summary of the import.
 */
summary: ImportSummary, 
/**
 * Remarks on the whole file.
 */
remarks: Array<Wording>, 
/**
 * SHA-256 of the normalised rows.
 */
sha256: string, 
/**
 * True for the sets that come with the program.
 */
bundled: boolean, 
/**
 * True if rows may contain harmful text: blurred until revealed.
 */
flagged: boolean, 
/**
 * Licence, if known.
 */
licence: string | null, 
/**
 * When it was imported, in milliseconds since 1970.
 */
imported_ms: number, 
/**
 * The problem with its rows on the disk, if any.
 */
problem: Problem | null, 
/**
 * Experiments whose stages name it, newest first.
 */
used_by: Array<Use>, };

export type Device = string;

export type Estimate = { 
/**
 * The figure; a rate lies in [0, 1].
 */
value: number, 
/**
 * Lower end of the 95 % interval.
 */
low: number, 
/**
 * Upper end of the 95 % interval.
 */
high: number, 
/**
 * Number of items behind the figure.
 */
n: number, 
/**
 * Unreadable items, which are not in `n`.
 */
unreadable: number, };

export type EvaluateRecipe = { 
/**
 * The base model.
 */
model: ModelSource, 
/**
 * The stacks to compare with it: adapters on the same base.
 */
stacks: Array<StackSource>, 
/**
 * Name of the suite; the one that fits the data when absent.
 */
suite?: string, 
/**
 * Judges that label the answers in addition to the suite: "refusal", "contains=blue".
 */
judges: Array<string>, 
/**
 * Rows for the suite; absent for a suite with its own questions.
 */
dataset?: DatasetSource, 
/**
 * Maximum number of prompts or rows.
 */
limit: number, };

export type EvaluatedStack = { 
/**
 * Its exact name.
 */
label: string, 
/**
 * [`crate::Stack::key`]; empty if an earlier version did not keep it.
 */
key: string, };

export type Evaluation = { 
/**
 * Name of the suite in the registry ("starter_world", "held_out_rows"), or what an earlier version called it.
 */
suite: string, 
/**
 * The suite's name for people.
 */
title: Wording, 
/**
 * The stacks; at least one.
 */
stacks: Array<EvaluatedStack>, 
/**
 * Index of the baseline, which changes are computed against.
 */
baseline: number, 
/**
 * Sampling temperature of the answers.
 */
temperature: number, 
/**
 * Seed of the answers.
 */
seed: number, 
/**
 * The figures, most important first.
 */
measures: Array<Measure>, 
/**
 * The prompts with all answers side by side, changed answers first.
 */
samples: Array<Sample>, 
/**
 * Held-out rows that the last stack is worst at, worst first.
 */
worst: Array<WorstRow>, 
/**
 * Scores of a reward or cost model on held-out pairs.
 */
scores: ScoreHistogram | null, 
/**
 * Held-out pairs with the log-probabilities of both answers under each stack, harmless ones first, and of each kind those that changed most.
 */
pairs: Array<PairShift>, 
/**
 * Duration in seconds.
 */
seconds: number, };

export type Example = { "kind": "answer", 
/**
 * The prompt.
 */
prompt: Array<Message>, 
/**
 * The answer to learn.
 */
completion: Array<Message>, } | { "kind": "conversation", 
/**
 * All turns in order.
 */
messages: Array<Message>, } | { "kind": "text", 
/**
 * The document.
 */
text: string, } | { "kind": "plain_answer", 
/**
 * Text before the answer, as it stands.
 */
prompt: string, 
/**
 * Text to learn.
 */
completion: string, } | { "kind": "pair" } & PreferencePair | { "kind": "plain_pair", 
/**
 * Text before both answers.
 */
prompt: string, 
/**
 * The preferred text.
 */
chosen: string, 
/**
 * The other text.
 */
rejected: string, } | { "kind": "rated", 
/**
 * The prompt.
 */
prompt: Array<Message>, 
/**
 * The answer.
 */
completion: Array<Message>, 
/**
 * True when the answer is wanted.
 */
label: boolean, } | { "kind": "plain_rated", 
/**
 * Text before the answer, as it stands.
 */
prompt: string, 
/**
 * The answer.
 */
completion: string, 
/**
 * True when the answer is wanted.
 */
label: boolean, } | { "kind": "prompt", 
/**
 * The prompt.
 */
prompt: Array<Message>, };

export type Experiment = { 
/**
 * Identifier within one installation.
 */
id: string, 
/**
 * Short name.
 */
title: string, 
/**
 * The question in the person's words.
 */
question: string, 
/**
 * The stages in order; each may use what earlier ones make, as in `stage:1`.
 */
stages: Array<Stage>, 
/**
 * When it was made, in milliseconds since 1970.
 */
created_ms: number, 
/**
 * The person's notes on it.
 */
notes: string, 
/**
 * The person's tags, in lower case, in order.
 */
tags: Array<string>, 
/**
 * The choices of the wizard that it came from; absent for one that was opened from a file.
 */
choices: Choices | null, };

export type ExperimentState = "draft" | "running" | "paused" | "interrupted" | "stopped" | "finished" | "failed";

export type ExperimentSummary = { 
/**
 * The experiment.
 */
experiment: Experiment, 
/**
 * Its state.
 */
state: ExperimentState, 
/**
 * Its runs, in stage order.
 */
runs: Array<RunView>, 
/**
 * First stack against last, on the same prompts and rows, suite by suite; empty before any evaluation.
 */
overall: Array<Evaluation>, };

export type ExportForm = "peft" | "merged";

export type ExportRecipe = { 
/**
 * The base model.
 */
model: ModelSource, 
/**
 * The adapter.
 */
adapter: AdapterSource, 
/**
 * The format.
 */
form: ExportForm, };

export type FetchRecipe = { 
/**
 * The folder to copy from (only in the terminal).
 */
source: string, 
/**
 * Name for people; by default that of the folder.
 */
name?: string, 
/**
 * SHA-256 that the weights must have.
 */
sha256?: string, };

export type GoalWords = { 
/**
 * The goal.
 */
name: Words, 
/**
 * How it is reached.
 */
text: Words, 
/**
 * Title of the experiment.
 */
title: Words, 
/**
 * The question that the experiment answers.
 */
question: Words, };

export type Held = { 
/**
 * Name of what holds it.
 */
what: Wording, 
/**
 * Its size.
 */
bytes: number, 
/**
 * True if it can be given back now.
 */
can_free: boolean, };

export type Histogram = { 
/**
 * Lower end of the first bin, in tokens.
 */
low: number, 
/**
 * Width of a bin, in tokens.
 */
width: number, 
/**
 * Texts in each bin.
 */
counts: Array<number>, 
/**
 * Median length, in tokens.
 */
median: number, 
/**
 * Length of the longest, in tokens.
 */
longest: number, };

export type ImportSummary = { 
/**
 * Name of the detected shape ("alpaca", "sharegpt pairs", …).
 */
format: Wording, 
/**
 * Records found in the file.
 */
read: number, 
/**
 * Rows in the data set.
 */
kept: number, 
/**
 * Rows left out, by reason.
 */
dropped: Array<ReasonCount>, };

export type ItemNote = { 
/**
 * Number of the item, from 1.
 */
number: number, 
/**
 * The prompt.
 */
prompt: string, 
/**
 * The result: an answer, the best one, or what went wrong.
 */
result: string, 
/**
 * Its score, if it has one.
 */
score?: number, 
/**
 * True if it yielded nothing.
 */
failed: boolean, };

export type Limit = "nothing" | "oracle" | "model";

export type Line = { 
/**
 * The figure.
 */
metric: Metric, 
/**
 * How it is drawn.
 */
tone: Tone, };

export type LoraSpec = { 
/**
 * Rank.
 */
r: number, 
/**
 * Scale numerator: the update is multiplied by `lora_alpha / r`.
 */
lora_alpha: number, 
/**
 * Dropout on the input of A, in training only.
 */
lora_dropout: number, 
/**
 * Layers that get an update.
 */
target_modules: TargetModules, 
/**
 * Layers that get none, though targeted.
 */
exclude_modules?: TargetModules, 
/**
 * Blocks that get updates, from 0; all when empty.
 */
layers_to_transform?: Array<number>, 
/**
 * Rank-stabilised LoRA: scale by `lora_alpha / √r` instead.
 */
use_rslora?: boolean, 
/**
 * DoRA: learn the magnitude of each weight row separately from its direction.
 */
use_dora?: boolean, 
/**
 * Ranks of single layers, by a pattern for the end of their path; the first that matches counts.
 */
rank_pattern?: { [key in string]: number }, 
/**
 * Scale numerators of single layers.
 */
alpha_pattern?: { [key in string]: number }, };

export type Measure = { 
/**
 * Stable key, as its suite or judge declares it ("good", "held_out_loss").
 */
key: string, 
/**
 * "rate" (shown in per cent) or the name of a unit ("tokens", "nats", "reward").
 */
unit: string, 
/**
 * Which direction is an improvement.
 */
better: Better, 
/**
 * Its texts; without any, the key serves as the title.
 */
words: MeasureWords, 
/**
 * Figures of each stack, in the order of the evaluation's stacks.
 */
values: Array<Estimate | null>, 
/**
 * Each stack minus the baseline, paired by item; none for the baseline itself.
 */
changes: Array<Estimate | null>, };

export type MeasureWords = { 
/**
 * Its name.
 */
title: Wording, 
/**
 * What is counted, in one or two sentences; may be empty.
 */
explanation: Wording, 
/**
 * Its unit beside a value; empty for a rate, which is shown in per cent.
 */
unit: Wording, };

export type MeasuredPreset = { 
/**
 * The figures, base first and the final stack second, most important first.
 */
measures: Array<Measure>, 
/**
 * Seconds that the whole experiment took.
 */
seconds: number, 
/**
 * The machine that it was measured on.
 */
machine: string, };

export type Message = { 
/**
 * Who speaks.
 */
role: Role, 
/**
 * The text, unmodified.
 */
content: string, };

export type MethodCard = { 
/**
 * The method.
 */
name: string, 
/**
 * The name on a button.
 */
label: Words, 
/**
 * Its full name.
 */
title: Words, 
/**
 * One plain sentence.
 */
summary: Words, 
/**
 * Why one would choose it, as a clause after its name.
 */
why: Words, 
/**
 * Where it was published.
 */
paper: string, 
/**
 * Kinds of data that it can learn from, the most informative first.
 */
needs: Array<DatasetKind>, 
/**
 * What it is offered for.
 */
place: Place, 
/**
 * True when it learns from scores, so that a recipe names a `reward`.
 */
needs_reward: boolean, 
/**
 * True when it can keep a cost below a limit, so that a recipe may name a `cost`.
 */
limits_cost: boolean, 
/**
 * True if the result scores answers instead of generating them.
 */
makes_scorer: boolean, 
/**
 * Other names under certain values of a setting.
 */
variants: Array<Variant>, 
/**
 * Its curves and how they are read.
 */
watch: Watch, 
/**
 * Its settings with defaults, ranges and help.
 */
settings: Array<SettingField>, };

export type MethodName = string;

export type Metric = { 
/**
 * TRL's name.
 */
key: string, 
/**
 * What it is.
 */
label: Words, };

export type ModelRef = { 
/**
 * Identifier in the store.
 */
id: string, 
/**
 * Name for people.
 */
name: string, 
/**
 * SHA-256 over the weight files.
 */
sha256: string, };

export type ModelSource = string;

export type ModelView = { 
/**
 * Name and content.
 */
model: ModelRef, 
/**
 * Architecture ("llama").
 */
family: string, 
/**
 * Parameters of the model.
 */
parameters: number, 
/**
 * Size of its vocabulary.
 */
vocabulary: number, 
/**
 * Longest text in tokens.
 */
context_tokens: number, 
/**
 * Size on the disk.
 */
bytes: number, 
/**
 * True for the models that come with the program.
 */
bundled: boolean, 
/**
 * Licence, if the card names one.
 */
licence: string | null, 
/**
 * True when it brings a chat template.
 */
chat_template: boolean, 
/**
 * Its folder.
 */
folder: string, 
/**
 * The model card in Markdown, if there is one.
 */
card: string | null, 
/**
 * Prompts that it can answer, for the start of a chat.
 */
suggestions: Array<Wording>, 
/**
 * Experiments whose stages name it, newest first.
 */
used_by: Array<Use>, };

export type Multiple = { 
/**
 * The factor.
 */
factor: number, 
/**
 * Name of the figure.
 */
key: string, 
/**
 * Which point of the curve.
 */
at: At, };

export type PairShift = { 
/**
 * The prompt.
 */
prompt: string, 
/**
 * The preferred answer.
 */
chosen: string, 
/**
 * The other answer.
 */
rejected: string, 
/**
 * True if the texts may be harmful: blurred until revealed.
 */
flagged: boolean, 
/**
 * Log-probability of the chosen and of the rejected answer, in nats, summed over their tokens; in the order of the
 * evaluation's stacks.
 */
logps: Array<[number, number]>, };

export type Phase = "preparing" | "training" | "evaluating" | "saving" | "building" | "fetching" | "exporting";

export type Place = "answers" | "ratings" | "pairs" | "prompts";

export type PlanNews = { "kind": "working", 
/**
 * What is being done.
 */
doing: Planning, 
/**
 * For which stage, from 0.
 */
stage: number, 
/**
 * Seconds since the plan was asked for.
 */
seconds: number, } | { "kind": "checked", 
/**
 * The plan.
 */
checked: CheckedPipeline, };

export type Planning = "waiting" | "preparing" | "measuring";

export type Precision = "f32" | "bf16" | "q8_0" | "q4_0";

export type PreferencePair = { 
/**
 * The prompt of both answers.
 */
prompt: Array<Message>, 
/**
 * The preferred answer.
 */
chosen: Array<Message>, 
/**
 * The other answer.
 */
rejected: Array<Message>, 
/**
 * By how much the first is better, in the units of the source; absent if unknown.
 */
margin?: number | null, 
/**
 * Whether the chosen and the rejected answer are harmful, if the source says so.
 */
harmful?: [boolean, boolean] | null, };

export type PrefixSpec = { 
/**
 * Learned keys and values per layer.
 */
num_virtual_tokens: number, };

export type Preset = { 
/**
 * Stable name ("kind_and_true", "own_pairs", …).
 */
id: string, 
/**
 * The model that it is for; any model when absent.
 */
model: string | null, 
/**
 * The stages.
 */
stages: Array<Stage>, 
/**
 * Its texts; without any it is only available by its name.
 */
words: GoalWords | null, 
/**
 * What it gave when we ran it; absent for one that works on the person's own data.
 */
measured: MeasuredPreset | null, };

export type Problem = { 
/**
 * Its kind.
 */
code: ProblemCode, 
/**
 * What was attempted and what was found, in one or two sentences.
 */
message: Wording, 
/**
 * What to do, one step each.
 */
hints: Array<Wording>, 
/**
 * The input field that it belongs to ("stage.0.settings.learning_rate"), when there is one.
 */
field: string | null, };

export type ProblemCode = "input" | "not_found" | "conflict" | "disk_full" | "worker_lost" | "not_finite" | "internal";

export type Reading = { 
/**
 * A short name.
 */
id: string, 
/**
 * The conditions.
 */
when: Array<Sign>, 
/**
 * The text: what it means, and what to do.
 */
says: Words, 
/**
 * True if the person should act.
 */
alarm: boolean, };

export type ReasonCount = { 
/**
 * The reason, as in [`RowIssue::reason`].
 */
reason: Wording, 
/**
 * Rows dropped for it.
 */
rows: number, };

export type Recipe = { 
/**
 * The method.
 */
method: MethodName, 
/**
 * The base model.
 */
model: ModelSource, 
/**
 * The rows to learn from.
 */
dataset: DatasetSource, 
/**
 * Where results go (terminal only).
 */
output_dir?: string | null, 
/**
 * Random seed of the run.
 */
seed: number, 
/**
 * The adapter to start from.
 */
adapter?: AdapterSource | null, 
/**
 * What scores answers, for methods that learn from scores.
 */
reward?: ScorerSource, 
/**
 * The scorer of harm, for methods that keep harm below a limit; absent means no limit.
 */
cost?: ScorerSource, 
/**
 * `full` trains every weight of the model instead of an adapter (terminal only); absent means an adapter.
 */
tuning?: Tuning, 
/**
 * Largest number of prompts, and of held-out rows, that before and after are compared on; decided by the plan when absent,
 * none at 0.
 */
compare?: number, 
/**
 * Shape of a fresh adapter; absent when `adapter` is given.
 */
lora?: LoraSpec | null, 
/**
 * Shape of a fresh prefix, to train that instead of a LoRA adapter.
 */
prefix?: PrefixSpec, 
/**
 * Settings of the method; absent keys have their defaults.
 */
settings: Settings, };

export type ReportView = { 
/**
 * Self-contained HTML.
 */
html: string, 
/**
 * Markdown.
 */
markdown: string, };

export type RewriterRef = { 
/**
 * Kind of rewriter ("bpo", "aligner").
 */
kind: string, 
/**
 * The model that does it.
 */
model: ModelRef, 
/**
 * Its adapter, if any.
 */
adapter: AdapterRef | null, };

export type Role = "system" | "user" | "assistant" | "tool";

export type RowIssue = { 
/**
 * Number of the record in the file, from 1.
 */
row: number, 
/**
 * Short name of the reason, the same for the same fault ("no answer").
 */
reason: Wording, 
/**
 * What was found in this row.
 */
found: Wording, 
/**
 * What to do about it.
 */
fix: Wording, };

export type RunEvent = { 
/**
 * The run.
 */
run: string, 
/**
 * Number of the event within the run, from 1, without gaps.
 */
sequence: number, 
/**
 * When, in milliseconds since 1970.
 */
at_ms: number, } & ({ "kind": "queued" } | { "kind": "started", 
/**
 * Process id of the worker.
 */
pid: number, 
/**
 * Threads that it computes with.
 */
threads: number, 
/**
 * The step whose checkpoint it resumes from; 0 at a fresh start.
 */
from_step: number, } | { "kind": "computing", 
/**
 * Back-end, instruction set and number format ("slices, avx512, f32").
 */
arithmetic: string, 
/**
 * Saved activations of each block: everything, all but the widest ones, or only its input.
 */
keep: string, 
/**
 * What it computes on.
 */
device: Device, 
/**
 * The instruction set that a person forced, if they did.
 */
forced?: string, } | { "kind": "memory", 
/**
 * Its size.
 */
peak_bytes: number, } | { "kind": "stage", 
/**
 * Which.
 */
phase: Phase, } | { "kind": "step", 
/**
 * Number of the step, from 1.
 */
step: number, 
/**
 * Steps in all.
 */
total: number, 
/**
 * Figures under TRL's names.
 */
metrics: { [key in string]: number }, 
/**
 * Tokens per second, without padding, over the last steps.
 */
tokens_per_second: number, 
/**
 * Estimated seconds until training ends.
 */
seconds_left: number, } | { "kind": "progress", 
/**
 * Which phase.
 */
phase: Phase, 
/**
 * How much is done.
 */
done: number, 
/**
 * How much there is in all.
 */
total: number, 
/**
 * The unit; absent for answers.
 */
unit?: WorkUnit, 
/**
 * Estimated seconds until the phase ends; absent while unknown.
 */
seconds_left?: number, } | { "kind": "item", 
/**
 * The item.
 */
item: ItemNote, } | { "kind": "sample", 
/**
 * Step after which it was generated.
 */
step: number, 
/**
 * The prompt as text.
 */
prompt: string, 
/**
 * The answer.
 */
answer: string, 
/**
 * Its score, for methods that score answers.
 */
score?: number, } | { "kind": "checkpoint", 
/**
 * Its step.
 */
step: number, 
/**
 * Folder below the run folder.
 */
folder: string, 
/**
 * Its size.
 */
bytes: number, } | { "kind": "warning", 
/**
 * Stable name.
 */
code: string, 
/**
 * The sentence.
 */
message: Wording, } | { "kind": "evaluated", 
/**
 * The figures.
 */
evaluation: Evaluation, } | { "kind": "finished", 
/**
 * Steps taken.
 */
steps: number, 
/**
 * The results.
 */
artifacts: Array<Artifact>, } | { "kind": "paused", 
/**
 * Step that was saved.
 */
step: number, } | { "kind": "stopped", 
/**
 * Step that was saved.
 */
step: number, 
/**
 * The results.
 */
artifacts: Array<Artifact>, } | { "kind": "interrupted", 
/**
 * Last step with a saved checkpoint.
 */
step: number, } | { "kind": "discarded" } | { "kind": "failed", 
/**
 * The problem.
 */
problem: Problem, });

export type RunState = "queued" | "running" | "paused" | "interrupted" | "stopped" | "finished" | "failed" | "discarded";

export type RunView = { 
/**
 * Identifier.
 */
id: string, 
/**
 * Experiment that it belongs to.
 */
experiment: string, 
/**
 * Title of that experiment.
 */
experiment_title: string, 
/**
 * Place in the pipeline, from 0.
 */
stage: number, 
/**
 * Method of a stage that trains.
 */
method: MethodName | null, 
/**
 * Its state.
 */
state: RunState, 
/**
 * The current phase of the worker.
 */
phase: Phase | null, 
/**
 * Steps taken.
 */
step: number, 
/**
 * Steps in all.
 */
total_steps: number, 
/**
 * Seconds of work so far.
 */
seconds: number, 
/**
 * Latest figures under TRL's names.
 */
metrics: { [key in string]: number }, 
/**
 * True if its rows may contain harmful text: blurred until revealed.
 */
flagged: boolean, 
/**
 * The resulting adapter.
 */
adapter: AdapterRef | null, 
/**
 * All results.
 */
artifacts: Array<Artifact>, 
/**
 * Before and after of this stage, suite by suite.
 */
evaluations: Array<Evaluation>, 
/**
 * The problem that ended it, or its current fault.
 */
problem: Problem | null, 
/**
 * Its stage.
 */
work: Stage, 
/**
 * Its estimate.
 */
estimate: StageEstimate | null, 
/**
 * Peak memory of its process so far; absent where the system does not tell.
 */
memory_bytes: number | null, 
/**
 * Last event number that is stored.
 */
last_sequence: number, };

export type Sample = { 
/**
 * The prompt.
 */
prompt: Array<Message>, 
/**
 * The answers, in the order of the evaluation's stacks.
 */
answers: Array<SampleAnswer>, 
/**
 * True if prompt or answer may be harmful: blurred until revealed.
 */
flagged: boolean, };

export type SampleAnswer = { 
/**
 * The answer.
 */
text: string, 
/**
 * The label of the judge ("good", "wrong fact", …), if there is a judge.
 */
label: Wording | null, };

export type Sampling = { 
/**
 * Sampling temperature; 0 takes the likeliest token.
 */
temperature: number, 
/**
 * Nucleus sampling: keep the likeliest tokens up to this probability mass; 1 keeps all.
 */
top_p: number, 
/**
 * Maximum number of new tokens.
 */
max_new_tokens: number, 
/**
 * Random seed.
 */
seed: number, };

export type ScoreHistogram = { 
/**
 * Lower end of the first bin.
 */
low: number, 
/**
 * Width of a bin.
 */
width: number, 
/**
 * Preferred answers in each bin.
 */
chosen: Array<number>, 
/**
 * Other answers in each bin.
 */
rejected: Array<number>, };

export type ScorerSource = string;

export type SettingField = { 
/**
 * TRL's name.
 */
key: string, 
/**
 * Allowed values.
 */
value_kind: SettingKind, 
/**
 * Default value.
 */
default: SettingValue, 
/**
 * Where it is shown.
 */
level: SettingLevel, 
/**
 * A readable name; the key is shown in small print beside it.
 */
label: Words, 
/**
 * One plain sentence.
 */
help: Words, };

export type SettingKind = { "type": "whole", 
/**
 * Smallest allowed value.
 */
low: number, 
/**
 * Largest allowed value.
 */
high: number, } | { "type": "number", 
/**
 * Smallest allowed value.
 */
low: number, 
/**
 * Largest allowed value.
 */
high: number, } | { "type": "flag", 
/**
 * True if the program may decide.
 */
automatic: boolean, } | { "type": "choice", 
/**
 * The names.
 */
options: Array<string>, } | { "type": "choices", 
/**
 * The names.
 */
options: Array<string>, } | { "type": "numbers", 
/**
 * Smallest allowed value.
 */
low: number, 
/**
 * Largest allowed value.
 */
high: number, };

export type SettingLevel = "simple" | "advanced";

export type SettingValue = boolean | number | number | string | Array<number> | Array<string> | null;

export type Settings = { [key in string]: SettingValue };

export type Sign = { 
/**
 * Name of the figure.
 */
key: string, 
/**
 * True for above, false for below.
 */
above: boolean, 
/**
 * The threshold.
 */
than: number, 
/**
 * The value that is added to it.
 */
plus: Multiple | null, };

export type Stack = { 
/**
 * Applied to the prompt, in order.
 */
prompt_rewriters: Array<RewriterRef>, 
/**
 * The base model.
 */
model: ModelRef, 
/**
 * The adapter on it; none for the untouched base.
 */
adapter: AdapterRef | null, 
/**
 * Applied to the answer, in order.
 */
response_rewriters: Array<RewriterRef>, };

export type StackSource = string;

export type StackView = { 
/**
 * The stack.
 */
stack: Stack, 
/**
 * Its exact name, as on the badge.
 */
label: string, 
/**
 * Where it comes from ("base model", title of an experiment).
 */
origin: Wording, 
/**
 * Experiment that made it.
 */
experiment: string | null, };

export type Stage = { "kind": "train" } & Recipe | { "kind": "build" } & BuildRecipe | { "kind": "evaluate" } & EvaluateRecipe | { "kind": "fetch" } & FetchRecipe | { "kind": "export" } & ExportRecipe;

export type StageEstimate = { 
/**
 * Index of the stage in the pipeline, from 0; stages with a fault have no estimate.
 */
stage: number, 
/**
 * The kind of stage.
 */
kind: string, 
/**
 * The method, where it trains.
 */
method?: MethodName, 
/**
 * Optimizer steps.
 */
optimizer_steps: number, 
/**
 * Rows that will be learned from or worked on.
 */
rows: number, 
/**
 * Held-out rows for evaluation.
 */
held_out_rows: number, 
/**
 * Rows left out because the prompt alone fills `max_length`, so nothing is left to learn.
 */
skipped_rows: number, 
/**
 * Rows whose answer is cut at `max_length`.
 */
truncated_rows: number, 
/**
 * Tokens, without padding, in one epoch.
 */
tokens: number, 
/**
 * Tokens that are learned or scored in one epoch.
 */
learned_tokens: number, 
/**
 * Tokens of the longest row.
 */
longest_tokens: number, 
/**
 * Share of pairs whose chosen answer is clearly longer.
 */
chosen_longer: number, 
/**
 * Advice about the rows under these settings, each at its setting.
 */
advice: Array<Problem>, 
/**
 * Trainable parameters.
 */
trainable_parameters: number, 
/**
 * Parameters of the base model.
 */
model_parameters: number, 
/**
 * Expected peak memory.
 */
memory_bytes: number, 
/**
 * Expected disk use.
 */
disk_bytes: number, 
/**
 * Longest expected answer in tokens, for methods that generate answers while they train; else 0.
 */
answer_tokens: number, 
/**
 * Expected time of comparing before and after, on this machine.
 */
comparing_seconds: number, 
/**
 * Prompts that before and after are compared on.
 */
comparing_prompts: number, 
/**
 * Held-out rows that before and after are compared on.
 */
comparing_rows: number, 
/**
 * The part of `comparing_seconds` that one prompt takes.
 */
seconds_per_prompt: number, 
/**
 * The part of `comparing_seconds` that one held-out row takes.
 */
seconds_per_row: number, 
/**
 * Expected time in all, on this machine.
 */
seconds: number, };

export type Strength = "careful" | "standard" | "strong";

export type TargetModules = string | Array<string>;

export type TokenPiece = { 
/**
 * Its text.
 */
text: string, 
/**
 * True if it is learned or scored.
 */
learned: boolean, };

export type TokenRowView = { 
/**
 * Number of the row in the data set, from 1.
 */
row: number, 
/**
 * Which sequence of the row: 0 for its only one or the chosen answer, 1 for the rejected one.
 */
part: number, 
/**
 * Its tokens.
 */
pieces: Array<TokenPiece>, };

export type Tone = "accent" | "base" | "dashed";

export type Trains = "lora" | "prefix" | "full";

export type Tuning = "adapter" | "full";

export type Use = { 
/**
 * Identifier of the experiment.
 */
experiment: string, 
/**
 * Its title.
 */
title: string, 
/**
 * Its state.
 */
state: ExperimentState, };

export type Variant = { 
/**
 * The setting.
 */
key: string, 
/**
 * Its value.
 */
value: string, 
/**
 * The name on a button.
 */
label: Words, 
/**
 * What it does, as a clause after its name.
 */
why: Words, };

export type Watch = { 
/**
 * The charts, in their order.
 */
charts: Array<Chart>, 
/**
 * Figures that must exist before anything is shown.
 */
needs: Array<string>, 
/**
 * Readings in the order in which they are tried; the last one always holds.
 */
readings: Array<Reading>, 
/**
 * The figure for the margin between better and worse answers, if it has one.
 */
margin: string | null, };

export type Wording = { 
/**
 * English.
 */
en: string, 
/**
 * Simplified Chinese.
 */
zh: string, };

export type Words = { 
/**
 * English.
 */
en: string, 
/**
 * Simplified Chinese.
 */
zh: string, };

export type WorkUnit = "answers" | "items" | "bytes";

export type WorstRow = { 
/**
 * The prompt.
 */
prompt: string, 
/**
 * The answer that should have been likely.
 */
answer: string, 
/**
 * Mean negative log-likelihood per token of that answer, in nats.
 */
loss: number, 
/**
 * Mean log-probability per token of the preferred answer minus that of the other, in nats.
 */
margin: number | null, };

export interface Commands {
  app_info: { request: Record<symbol, never>; answer: AppInfo };
  set_threads: { request: { 
/**
 * Their number; all of the machine when absent.
 */
threads: number | null, }; answer: AppInfo };
  free_memory: { request: Record<symbol, never>; answer: AppInfo };
  list_methods: { request: Record<symbol, never>; answer: Array<MethodCard> };
  list_presets: { request: Record<symbol, never>; answer: Array<Preset> };
  list_models: { request: Record<symbol, never>; answer: Array<ModelView> };
  add_model: { request: { handle: string, 
/**
 * Its name for people; that of the folder when absent.
 */
name: string | null, }; answer: ModelView };
  rename_model: { request: { id: string, name: string, }; answer: ModelView };
  remove_model: { request: { id: string, }; answer: null };
  list_datasets: { request: Record<symbol, never>; answer: Array<DatasetView> };
  import_dataset: { request: { handle: string, name: string | null, }; answer: DatasetView };
  stop_import: { request: { handle: string, }; answer: null };
  dataset_rows: { request: { id: string, offset: number, limit: number, }; answer: DatasetPage };
  rename_dataset: { request: { id: string, name: string, }; answer: DatasetView };
  dataset_profile: { request: { id: string, model: string | null, }; answer: DatasetProfile };
  remove_dataset: { request: { id: string, }; answer: null };
  compose_pipeline: { request: { choices: Choices, }; answer: Array<Stage> };
  check_pipeline: { request: { stages: Array<Stage>, }; answer: CheckedPipeline };
  create_experiment: { request: { title: string, question: string, stages: Array<Stage>, 
/**
 * The choices of the wizard that the stages follow from.
 */
choices: Choices | null, }; answer: ExperimentSummary };
  list_experiments: { request: Record<symbol, never>; answer: Array<ExperimentSummary> };
  get_experiment: { request: { id: string, }; answer: ExperimentSummary };
  update_draft: { request: { id: string, title: string, question: string, stages: Array<Stage>, choices: Choices | null, }; answer: ExperimentSummary };
  update_experiment: { request: { id: string, title: string, question: string, notes: string, tags: Array<string>, }; answer: ExperimentSummary };
  duplicate_experiment: { request: { id: string, }; answer: ExperimentSummary };
  delete_experiment: { request: { id: string, }; answer: null };
  experiment_file: { request: { id: string, }; answer: string };
  open_experiment_file: { request: { handle: string, }; answer: ExperimentSummary };
  save_experiment_file: { request: { id: string, handle: string, }; answer: null };
  start_experiment: { request: { id: string, }; answer: ExperimentSummary };
  list_runs: { request: Record<symbol, never>; answer: Array<RunView> };
  get_run: { request: { run: string, }; answer: RunView };
  run_metric: { request: { run: string, name: string, }; answer: Array<[number, number]> };
  run_tokens: { request: { run: string, }; answer: Array<TokenRowView> };
  pause_run: { request: { run: string, }; answer: RunView };
  stop_run: { request: { run: string, }; answer: RunView };
  discard_run: { request: { run: string, }; answer: RunView };
  resume_run: { request: { run: string, }; answer: RunView };
  list_stacks: { request: Record<symbol, never>; answer: Array<StackView> };
  list_chats: { request: Record<symbol, never>; answer: Array<ChatView> };
  create_chat: { request: { stacks: Array<Stack>, }; answer: ChatView };
  get_chat: { request: { id: string, }; answer: ChatView };
  update_chat: { request: { id: string, title: string, stacks: Array<Stack>, system_prompt: string, sampling: Sampling, precision: Precision, }; answer: ChatView };
  delete_chat: { request: { id: string, }; answer: null };
  stop_answer: { request: { id: string, }; answer: null };
  get_report: { request: { experiment: string, language: string, }; answer: ReportView };
  save_report: { request: { experiment: string, format: string, language: string, handle: string, }; answer: null };
  export_adapter: { request: { adapter: string, form: string, handle: string, }; answer: null };
}

export interface Streams {
  plan_pipeline: { request: { stages: Array<Stage>, }; message: PlanNews };
  follow_run: { request: { run: string, after: number, }; message: Array<RunEvent> };
  send_message: { request: { id: string, text: string, }; message: Array<ChatDelta> };
  regenerate: { request: { id: string, turn: number, }; message: Array<ChatDelta> };
  edit_message: { request: { id: string, turn: number, text: string, }; message: Array<ChatDelta> };
}
