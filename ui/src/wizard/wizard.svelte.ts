// What the wizard knows: the choices, the pipeline that follows from them, and the check of it.
import { asProblem, backend } from "../backend";
import type {
  CheckedPipeline,
  DatasetView,
  MethodCard,
  MethodName,
  ModelView,
  PlanNews,
  Preset,
  Problem,
  Recipe,
  SettingValue,
  Stage,
} from "../backend/types";

export type Goal = string;
/** The goal that begins with the person's own data; all others are presets. */
export const OWN = "own";
/** What can be learned from pairs, and from a reward. */
export const FROM_PAIRS = ["dpo", "cpo", "orpo", "reward_model"] as const satisfies MethodName[];
export const FROM_REWARD = ["ppo", "grpo", "rloo", "online_dpo", "rejection_sampling"] as const satisfies MethodName[];
export type FromPairs = (typeof FROM_PAIRS)[number];
export type FromReward = (typeof FROM_REWARD)[number];
/** What says how harmful an answer is. */
export type Limit = "" | "oracle" | "model";
export type Strength = "careful" | "standard" | "strong";

const FACTORS: Record<Strength, number> = { careful: 0.5, standard: 1, strong: 2 };
const CHECK_AFTER_MS = 250;

export class WizardState {
  models: ModelView[] = $state([]);
  datasets: DatasetView[] = $state([]);
  methods: MethodCard[] = $state([]);
  presets: Preset[] = $state([]);
  goal: Goal | null = $state(null);
  model = $state("");
  answers = $state("");
  pairs = $state("");
  ratings = $state("");
  prompts = $state("");
  fromPairs: FromPairs = $state("dpo");
  /** The method that learns from a reward, if one shall. */
  fromReward: FromReward | "" = $state("");
  /** Who rates answers when no reward model is trained. */
  oracle = $state(false);
  /** What limits the harm that PPO may learn: nothing, the oracle, or a cost model from the same pairs. */
  limit: Limit = $state("");
  strength: Strength = $state("standard");
  /** Values that the person set, by stage and key. */
  changes: Partial<Record<MethodName, Record<string, SettingValue>>> = $state({});
  checked: CheckedPipeline | null = $state(null);
  checking = $state(false);
  /** What is being done for the plan, as the program tells it. */
  doing: Extract<PlanNews, { kind: "working" }> | null = $state(null);
  /** True when the person gave the plan up. */
  stopped = $state(false);
  problem: Problem | null = $state(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Ends the plan that is being made; its work ends with it. */
  #plan = new AbortController();

  readonly pipeline: Recipe[] = $derived.by(() => this.#recipes());
  /** The pipeline as an experiment has it. */
  readonly stages: Stage[] = $derived(this.pipeline.map((recipe) => ({ kind: "train", ...recipe })));

  async load(): Promise<void> {
    try {
      [this.models, this.datasets, this.methods, this.presets] = await Promise.all([
        backend.call<ModelView[]>("list_models", {}),
        backend.call<DatasetView[]>("list_datasets", {}),
        backend.call<MethodCard[]>("list_methods", {}),
        backend.call<Preset[]>("list_presets", {}),
      ]);
      this.model ||= this.models[0]?.model.id ?? "";
    } catch (error) {
      this.problem = asProblem(error);
    }
  }

  chooseGoal(goal: Goal): void {
    this.goal = goal;
    this.changes = {};
    const preset = this.presets.find((entry) => entry.id === goal);
    if (preset?.model) this.model = preset.model;
    const pipeline = preset?.stages ?? [];
    const set = (methods: readonly MethodName[]): string =>
      pipeline.find((recipe) => methods.includes(recipe.method))?.dataset.slice("dataset:".length) ?? "";
    const method = <M extends MethodName>(methods: readonly M[]): M | undefined =>
      pipeline
        .map((recipe) => recipe.method)
        .find((name): name is M => (methods as readonly MethodName[]).includes(name));
    [this.answers, this.ratings] = [set(["sft"]), set(["kto"])];
    [this.pairs, this.fromPairs] = [set(FROM_PAIRS), method(FROM_PAIRS) ?? "dpo"];
    [this.prompts, this.fromReward] = [set(FROM_REWARD), method(FROM_REWARD) ?? ""];
    this.oracle = pipeline.some((recipe) => recipe.reward === "oracle");
    this.limit = "";
  }

  /** Puts a set where its kind belongs. */
  chooseDataset(dataset: DatasetView): void {
    if (dataset.kind === "pairs") this.pairs = dataset.id;
    else if (dataset.kind === "ratings") this.ratings = dataset.id;
    else if (dataset.kind === "prompts") [this.prompts, this.fromReward] = [dataset.id, this.fromReward || "ppo"];
    else this.answers = dataset.id;
    this.goal ??= OWN;
  }

  /** Imports a file and chooses it. */
  async import(handle: string): Promise<void> {
    try {
      const dataset = await backend.call<DatasetView>("import_dataset", { handle, name: null });
      this.datasets = [dataset, ...this.datasets];
      if (this.goal !== OWN) this.chooseGoal(OWN);
      this.chooseDataset(dataset);
      this.problem = null;
    } catch (error) {
      this.problem = asProblem(error);
    }
  }

  /** True when the oracle shall rate and can. */
  get oracleRates(): boolean {
    return this.oracle && this.oracleKnows;
  }

  /** True when the oracle knows the chosen model's world. */
  get oracleKnows(): boolean {
    return this.models.find((view) => view.model.id === this.model)?.bundled ?? false;
  }

  value(recipe: Recipe, key: string): SettingValue {
    const card = this.methods.find((entry) => entry.name === recipe.method);
    return recipe.settings[key] ?? card?.settings.find((field) => field.key === key)?.default ?? null;
  }

  set(method: MethodName, key: string, value: SettingValue): void {
    this.changes = { ...this.changes, [method]: { ...this.changes[method], [key]: value } };
  }

  #recipes(): Recipe[] {
    const recipes: Recipe[] = [];
    let [policy, scorer, price] = [0, 0, 0];
    const limited = this.fromReward === "ppo" && this.prompts !== "";
    const add = (method: MethodName, dataset: string): void => {
      const recipe = this.#recipe(method, dataset);
      if (method !== "reward_model" && policy > 0) {
        recipe.adapter = `stage:${policy}`;
        delete recipe.lora;
      }
      // Without a judge the reward stays open, and the check says so at its place.
      if ((FROM_REWARD as readonly MethodName[]).includes(method) && (this.oracleRates || scorer > 0))
        recipe.reward = this.oracleRates ? "oracle" : `stage:${scorer}`;
      if (method === "ppo" && this.limit === "oracle" && this.oracleKnows) recipe.cost = "oracle";
      if (method === "ppo" && this.limit === "model" && price > 0) recipe.cost = `stage:${price}`;
      recipes.push(recipe);
      if (method === "reward_model") scorer = recipes.length;
      else policy = recipes.length;
    };
    if (this.answers) add("sft", this.answers);
    if (this.ratings) add("kto", this.ratings);
    if (this.pairs) add(this.fromPairs, this.pairs);
    if (this.pairs && this.limit === "model" && limited) {
      const recipe = this.#recipe("reward_model", this.pairs);
      price = recipes.push({ ...recipe, settings: { ...recipe.settings, loss_type: "cost" } });
    }
    if (this.prompts && this.fromReward) add(this.fromReward, this.prompts);
    return recipes;
  }

  #recipe(method: MethodName, dataset: string): Recipe {
    // The bundled model is tiny and bears larger steps; what suits it in a preset suits it with other data too.
    const tuned = this.presets.filter((entry) => entry.id === this.goal || entry.model === this.model);
    tuned.sort((a, b) => Number(b.id === this.goal) - Number(a.id === this.goal));
    const pattern = tuned.flatMap((entry) => entry.stages).find((recipe) => recipe.method === method);
    const card = this.methods.find((entry) => entry.name === method);
    const settings: Recipe["settings"] = { ...pattern?.settings };
    const rate = settings["learning_rate"] ?? card?.settings.find((field) => field.key === "learning_rate")?.default;
    if (typeof rate === "number" && this.strength !== "standard")
      settings["learning_rate"] = rate * FACTORS[this.strength];
    Object.assign(settings, this.changes[method]);
    const recipe: Recipe = { method, model: `model:${this.model}`, dataset: `dataset:${dataset}`, seed: 42, settings };
    if (pattern) recipe.lora = pattern.lora ?? { r: 16, lora_alpha: 32, lora_dropout: 0, target_modules: "all-linear" };
    return recipe;
  }

  /** Asks for the plan a moment after the last change. The older plan is given up, so it never replaces the newer one. */
  checkSoon(): void {
    this.#giveUp();
    if (this.pipeline.length === 0) {
      this.checked = null;
      return;
    }
    this.checking = true;
    const [stages, plan] = [$state.snapshot(this.stages), this.#plan];
    this.#timer = setTimeout(() => {
      const hear = (news: PlanNews): void => {
        if (plan !== this.#plan) return;
        if (news.kind === "working") this.doing = news;
        else [this.checked, this.checking, this.problem] = [news.checked, false, null];
      };
      backend.stream<PlanNews>("plan_pipeline", { stages }, hear, plan.signal).catch((error: unknown) => {
        if (plan === this.#plan) [this.problem, this.checked, this.checking] = [asProblem(error), null, false];
      });
    }, CHECK_AFTER_MS);
  }

  /** Makes no plan after all. */
  stopChecking(): void {
    this.#giveUp();
    [this.checked, this.stopped] = [null, true];
  }

  #giveUp(): void {
    clearTimeout(this.#timer);
    this.#plan.abort();
    this.#plan = new AbortController();
    [this.checking, this.doing, this.stopped] = [false, null, false];
  }
}
