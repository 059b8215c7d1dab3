// State of the wizard: the choices, the pipeline that the program makes of them, its plan, and the draft that keeps them.
import { asProblem, backend } from "../backend";
import type {
  Choices,
  DatasetView,
  ExperimentSummary,
  LoraSpec,
  MethodCard,
  ModelView,
  Place,
  Preset,
  Problem,
  SettingValue,
  Words,
} from "../backend/types";
import { en, zh } from "../messages/wizard";
import { say } from "../shared/i18n.svelte";
import { cardOf, cardsAt, loadMethods, trains, type TrainStage } from "../shared/methods.svelte";
import { blank, choicesOf, mended, OWN, presetOf, USUAL_LORA, type Goal } from "./choices";
import { differing, same, valueIn, type Group } from "./groups";
import { forget, keep, numbered, recall } from "./kept";
import { placeAt, type StepName } from "./places";
import { Plan } from "./plan.svelte";

/** A text of the dictionary in both languages. */
const both = (pick: (texts: typeof en) => string): Words => ({ en: pick(en), zh: pick(zh) });
const fault = (message: Words, field: string): Problem => ({ code: "input", message, hints: [], field });

/** How the wizard was opened: on a new experiment, a copy of one, or a draft. */
export interface Opened {
  from?: string | undefined;
  draft?: string | undefined;
  /** A data set to begin with. */
  data?: string | undefined;
}

export class WizardState {
  models: ModelView[] = $state([]);
  datasets: DatasetView[] = $state([]);
  presets: Preset[] = $state([]);
  goal: Goal | null = $state(null);
  choices: Choices = $state(blank(""));
  title = $state("");
  question = $state("");
  /** What follows from the choices, as the program says, and what it would be without any changed setting. */
  pipeline: TrainStage[] = $state([]);
  standard: TrainStage[] = $state([]);
  plan = new Plan();
  /** What could not be fetched or saved. */
  problem: Problem | null = $state(null);
  /** Why the last import failed; shown beside its button. */
  importProblem: Problem | null = $state(null);
  /** Input that cannot be sent, by its field. */
  refused: Record<string, Problem> = $state({});

  /** The unfolded step; none when everything is answered. */
  open: StepName | null = $state("goal");
  /** Unfolded groups of settings, and whether rare settings are shown. */
  groups: Group[] = $state(["learning"]);
  all = $state(false);

  loaded = $state(false);
  /** True when choices from before came back. */
  restored = $state(false);
  /** Places whose model or data set is gone. */
  lost: (Place | "model")[] = $state([]);
  /** An experiment whose choices nobody knows. */
  opaque: ExperimentSummary | null = $state(null);
  /** Title of the experiment that this one is a copy of. */
  copied: string | null = $state(null);
  /** The draft in the program that these choices belong to. */
  draft: string | null = $state(null);

  #opened: Opened = {};
  /** Number of the newest request for a pipeline; responses to older ones are dropped. */
  #asked = 0;
  /** True when the program has the choices, so that nothing is kept here any more. */
  #closed = false;
  #offered = { title: "", question: "" };

  get checked() {
    return this.plan.checked;
  }
  get checking() {
    return this.plan.checking;
  }
  /** Under which address the choices are kept. */
  get #address(): string {
    const { from, draft, data } = this.#opened;
    if (data) return `data/${data}`;
    return draft ? `draft/${draft}` : from ? `from/${from}` : "new";
  }

  async load(opened: Opened = {}): Promise<void> {
    this.#opened = opened;
    try {
      [this.models, this.datasets, this.presets] = await Promise.all([
        backend.call("list_models", {}),
        backend.call("list_datasets", {}),
        backend.call("list_presets", {}),
        loadMethods(),
      ]);
      this.choices.model ||= this.models[0]?.model.id ?? "";
      const id = opened.draft ?? opened.from;
      const experiment = id ? await backend.call("get_experiment", { id }) : null;
      await this.#begin(experiment);
      this.loaded = true;
    } catch (error) {
      this.problem = asProblem(error);
    }
  }

  /** Takes the choices that were kept, else those of the experiment. */
  async #begin(from: ExperimentSummary | null): Promise<void> {
    const kept = recall(this.#address);
    if (kept) {
      [this.title, this.question, this.draft, this.restored] = [kept.title, kept.question, kept.draft, true];
      return this.#take(kept.choices);
    }
    if (!from) return this.#beginWithData();
    const { experiment, state } = from;
    const preset = experiment.choices ? undefined : presetOf(experiment.stages, this.presets);
    const choices = experiment.choices ?? (preset && choicesOf(preset, preset.id, this.choices.model));
    if (!choices) {
      this.opaque = from;
      return;
    }
    [this.title, this.question] = [experiment.title, experiment.question];
    // What was started does not change afterwards, so that a draft which has run is copied too.
    if (this.#opened.draft && state === "draft") this.draft = experiment.id;
    else {
      const known = await backend.call("list_experiments", {});
      this.title = numbered(
        experiment.title,
        known.map((entry) => entry.experiment.title),
      );
      this.copied = experiment.title;
    }
    this.#take(choices);
  }

  /** The person's own goal with the data set that was named, in the first place that it fits. */
  #beginWithData(): void {
    const set = this.datasets.find((entry) => entry.id === this.#opened.data);
    if (!set) return;
    const place: Place = set.kind === "texts" ? "answers" : set.kind;
    this.chooseGoal(OWN);
    this.choices[place] = { dataset: set.id, method: "" };
    this.open = this.unanswered();
  }

  #take(choices: Choices): void {
    const taken = mended(choices, this.models, this.datasets);
    const goal = this.presets.some((preset) => preset.id === choices.goal && preset.words) ? choices.goal : OWN;
    [this.choices, this.lost, this.goal] = [taken.choices, taken.lost, goal];
    this.open = this.lost.length > 0 ? (this.lost[0] === "model" ? "model" : "data") : this.unanswered();
  }

  /** Keeps the choices on this machine while they are edited. */
  keep(): void {
    if (!this.loaded || !this.goal || this.#closed) return;
    const { choices, title, question, draft } = this;
    keep(this.#address, { choices: $state.snapshot(choices), title, question, draft });
  }

  /** Throws the unfinished choices away, since the person said so. */
  async startOver(): Promise<void> {
    forget(this.#address);
    this.plan.giveUp();
    [this.goal, this.choices, this.pipeline, this.standard] = [null, blank(this.models[0]?.model.id ?? ""), [], []];
    [this.title, this.question, this.draft, this.copied] = ["", "", null, null];
    [this.restored, this.lost, this.refused, this.problem] = [false, [], {}, null];
    this.open = "goal";
    await this.load(this.#opened);
  }

  chooseGoal(goal: Goal): void {
    const preset = this.presets.find((entry) => entry.id === goal);
    const { model, strength } = this.choices;
    this.goal = goal;
    this.choices = { ...choicesOf(preset, goal, model), strength };
    [this.lost, this.refused] = [[], {}];
    this.#offer();
  }

  /** Title and question follow the goal, also when a dropped file decides it, unless the person has edited them. */
  #offer(): void {
    const words = this.presets.find((preset) => preset.id === this.goal)?.words;
    const own = { title: say(both((m) => m.ownTitle)), question: say(both((m) => m.ownQuestion)) };
    const next = words ? { title: say(words.title), question: say(words.question) } : own;
    if (!this.title.trim() || this.title === this.#offered.title) this.title = next.title;
    if (!this.question.trim() || this.question === this.#offered.question) this.question = next.question;
    this.#offered = next;
  }

  /** The first step that nobody has answered; none when the plan is all that is left. */
  unanswered(): StepName | null {
    if (!this.goal) return "goal";
    if (!this.choices.model) return "model";
    return this.datasetsChosen.length === 0 ? "data" : null;
  }

  get datasetsChosen(): { place: Place; dataset: DatasetView }[] {
    const places: Place[] = ["answers", "pairs", "ratings", "prompts"];
    return places.flatMap((place) => {
      const dataset = this.datasets.find((set) => set.id === this.choices[place].dataset);
      return dataset ? [{ place, dataset }] : [];
    });
  }

  get model(): ModelView | undefined {
    return this.models.find((view) => view.model.id === this.choices.model);
  }

  /** Puts a data set into the place of its kind. */
  chooseDataset(dataset: DatasetView): void {
    this.choices[dataset.kind === "texts" ? "answers" : dataset.kind].dataset = dataset.id;
    this.lost = this.lost.filter((place) => place === "model");
    this.goal ??= OWN;
  }

  /** Imports a file and chooses it. */
  async import(handle: string): Promise<void> {
    this.importProblem = null;
    try {
      const dataset = await backend.call("import_dataset", { handle, name: null });
      this.datasets = [dataset, ...this.datasets];
      if (this.goal !== OWN) this.chooseGoal(OWN);
      this.chooseDataset(dataset);
    } catch (error) {
      this.importProblem = asProblem(error);
    }
    // What a file gave, or why it gave nothing, is shown where data are chosen.
    if (this.goal) this.open = "data";
  }

  /** The method for a chosen data set: the chosen one, or the first that fits. */
  learner(place: Place): MethodCard | undefined {
    const chosen = this.choices[place];
    if (!chosen.dataset) return undefined;
    return chosen.method ? cardOf(chosen.method) : cardsAt(place)[0];
  }

  /** True when the oracle is chosen as scorer and available. */
  get oracleRates(): boolean {
    return this.choices.oracle && this.oracleKnows;
  }

  /** True when the oracle fits the chosen model. */
  get oracleKnows(): boolean {
    return this.model?.bundled ?? false;
  }

  /** Sets a setting of a method; one that returns to its default is no longer a change. */
  set(method: string, key: string, value: SettingValue): void {
    const { [method]: own = {}, ...others } = this.choices.changes;
    const { [key]: _, ...rest } = own;
    const stage = this.standard.find((recipe) => recipe.method === method);
    const field = cardOf(method)?.settings.find((entry) => entry.key === key);
    const usual = stage && field ? same(value, valueIn(stage, field)) : false;
    const changed = usual ? rest : { ...rest, [key]: value };
    this.choices.changes = Object.keys(changed).length > 0 ? { ...others, [method]: changed } : others;
  }

  reset(method: string, key: string): void {
    const { [method]: own = {}, ...others } = this.choices.changes;
    const { [key]: _, ...rest } = own;
    this.choices.changes = Object.keys(rest).length > 0 ? { ...others, [method]: rest } : others;
  }

  /** Everything that the settings step can change, back to its default. */
  resetAll(): void {
    const { seed, trains, lora, virtual_tokens, compare, strength, changes } = blank("");
    Object.assign(this.choices, { seed, trains, lora, virtual_tokens, compare, strength, changes });
    this.refused = {};
  }

  /** The shape of the adapter: the chosen one, else what the program would take. */
  get lora(): LoraSpec {
    return this.choices.lora ?? this.usualLora;
  }
  get usualLora(): LoraSpec {
    return this.standard.find((recipe) => recipe.lora)?.lora ?? USUAL_LORA;
  }
  setLora(change: Partial<LoraSpec>): void {
    const next = { ...$state.snapshot(this.lora), ...change };
    const usual = Object.entries(next).every(([key, value]) =>
      same(value || 0, this.usualLora[key as keyof LoraSpec] || 0),
    );
    this.choices.lora = usual ? null : next;
  }

  /** Number of settings that differ from their defaults, learning rate scale and adapter included. */
  get changed(): number {
    const stages = this.pipeline.map((stage, index) =>
      // A stage that the choices give other settings than its method's others, as a cost model, is compared with its own.
      differing(stage, this.standard[index], cardOf(stage.method)),
    );
    const { seed, trains, virtual_tokens, compare, strength } = this.choices;
    const usual = blank("");
    const own = [
      seed !== usual.seed,
      trains !== usual.trains,
      trains === "prefix" && virtual_tokens !== usual.virtual_tokens,
      compare !== usual.compare,
      strength !== usual.strength,
    ].filter(Boolean).length;
    const lora = this.choices.lora;
    const shape = lora
      ? Object.entries(lora).filter(([key, value]) => !same(value || 0, this.usualLora[key as keyof LoraSpec] || 0))
      : [];
    return stages.flat().length + own + shape.length;
  }

  /** Notes what was typed into a field that has no place for it, or that it is fine again. */
  refuse(field: string, message: Words | null): void {
    const { [field]: _, ...others } = this.refused;
    this.refused = message ? { ...others, [field]: fault(message, `choices.${field}`) } : others;
  }

  /** Everything that must be mended before a start, each with its field. */
  get problems(): Problem[] {
    const nameless = this.title.trim()
      ? []
      : [
          fault(
            both((m) => m.nameless),
            "choices.title",
          ),
        ];
    const own = this.pipeline.length > 0 ? [...Object.values(this.refused), ...nameless] : [];
    return [...own, ...(this.checked?.problems ?? [])];
  }

  get ready(): boolean {
    return Boolean(this.checked?.ready) && !this.checking && this.problems.length === 0;
  }

  /** Unfolds the step and the group that show a field. */
  show(field: string | null): void {
    const place = placeAt(field);
    if (!place) return;
    this.open = place.step;
    if (place.group && !this.groups.includes(place.group)) this.groups = [...this.groups, place.group];
  }

  /** Requests the pipeline for the choices, and then its plan. */
  async compose(): Promise<void> {
    const mine = ++this.#asked;
    // An older pipeline must not be started while a newer one is being resolved.
    this.plan.wait();
    const choices = $state.snapshot(this.choices);
    const { seed, trains: tuning, lora, compare } = blank("");
    const plain = { ...choices, changes: {}, strength: choices.strength, seed, trains: tuning, lora, compare };
    try {
      const [pipeline, standard] = await Promise.all([
        backend.call("compose_pipeline", { choices }),
        backend.call("compose_pipeline", { choices: plain }),
      ]);
      if (mine !== this.#asked) return;
      [this.pipeline, this.standard] = [pipeline.filter(trains), standard.filter(trains)];
      this.checkSoon();
    } catch (error) {
      if (mine === this.#asked) this.plan.fail(asProblem(error));
    }
  }

  checkSoon(): void {
    this.plan.ask($state.snapshot(this.pipeline));
  }

  /** Stores the choices as a draft in the program, and gives its id. */
  async save(): Promise<string> {
    const choices = $state.snapshot(this.choices);
    const stages = await backend.call("compose_pipeline", { choices });
    const texts = { title: this.title.trim(), question: this.question.trim() };
    const request = { ...texts, stages, choices };
    const made = this.draft
      ? await backend.call("update_draft", { id: this.draft, ...request })
      : await backend.call("create_experiment", request);
    this.draft = made.experiment.id;
    return this.draft;
  }

  /** The program has them now: nothing more is kept here. */
  done(): void {
    forget(this.#address);
    this.#closed = true;
  }

  /** Starts what was planned. The draft remains when the start fails, so that a second try makes no second experiment. */
  async start(): Promise<string> {
    const id = await this.save();
    await backend.call("start_experiment", { id });
    return id;
  }
}
