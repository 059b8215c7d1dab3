// State of the wizard: the choices, the pipeline that the program makes of them, and its plan.
import { asProblem, backend } from "../backend";
import type {
  CheckedPipeline,
  Choices,
  Chosen,
  DatasetView,
  MethodCard,
  ModelView,
  Place,
  PlanNews,
  Preset,
  Problem,
  Recipe,
  SettingValue,
} from "../backend/types";
import { cardOf, cardsAt, loadMethods, trains, type TrainStage } from "../shared/methods.svelte";

export type Goal = string;
/** The goal that begins with the user's own data; all others are presets. */
export const OWN = "own";
/** The places for data, in the order of the stages. */
export const PLACES: readonly Place[] = ["answers", "ratings", "pairs", "prompts"];

const CHECK_AFTER_MS = 250;

const nothing = (): Chosen => ({ dataset: "", method: "" });
const blank = (model: string): Choices => ({
  goal: null,
  model,
  answers: nothing(),
  ratings: nothing(),
  pairs: nothing(),
  prompts: nothing(),
  oracle: false,
  limit: "nothing",
  strength: "standard",
  changes: {},
  seed: 42,
  trains: "lora",
  lora: null,
  virtual_tokens: 16,
  compare: null,
});

export class WizardState {
  models: ModelView[] = $state([]);
  datasets: DatasetView[] = $state([]);
  presets: Preset[] = $state([]);
  goal: Goal | null = $state(null);
  choices: Choices = $state(blank(""));
  /** What follows from the choices, as the program says. */
  pipeline: TrainStage[] = $state([]);
  checked: CheckedPipeline | null = $state(null);
  checking = $state(false);
  /** Current work on the plan, as reported by the program. */
  doing: Extract<PlanNews, { kind: "working" }> | null = $state(null);
  /** True when the user cancelled the plan. */
  stopped = $state(false);
  problem: Problem | null = $state(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Aborts the request for the plan and its work. */
  #plan = new AbortController();
  /** Number of the newest request for a pipeline; responses to older ones are dropped. */
  #asked = 0;

  async load(): Promise<void> {
    try {
      [this.models, this.datasets, this.presets] = await Promise.all([
        backend.call("list_models", {}),
        backend.call("list_datasets", {}),
        backend.call("list_presets", {}),
        loadMethods(),
      ]);
      this.choices.model ||= this.models[0]?.model.id ?? "";
    } catch (error) {
      this.problem = asProblem(error);
    }
  }

  chooseGoal(goal: Goal): void {
    const preset = this.presets.find((entry) => entry.id === goal);
    const { model, strength } = this.choices;
    this.goal = goal;
    const choices = { ...blank(preset?.model ?? model), goal, strength };
    for (const recipe of preset?.stages.filter(trains) ?? []) {
      const place = cardOf(recipe.method)?.place;
      if (place) choices[place] = { dataset: recipe.dataset.slice("dataset:".length), method: recipe.method };
      choices.oracle ||= recipe.reward === "oracle";
    }
    this.choices = choices;
  }

  /** Puts a data set into the place of its kind. */
  chooseDataset(dataset: DatasetView): void {
    this.choices[dataset.kind === "texts" ? "answers" : dataset.kind].dataset = dataset.id;
    this.goal ??= OWN;
  }

  /** Imports a file and chooses it. */
  async import(handle: string): Promise<void> {
    try {
      const dataset = await backend.call("import_dataset", { handle, name: null });
      this.datasets = [dataset, ...this.datasets];
      if (this.goal !== OWN) this.chooseGoal(OWN);
      this.chooseDataset(dataset);
      this.problem = null;
    } catch (error) {
      this.problem = asProblem(error);
    }
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
    return this.models.find((view) => view.model.id === this.choices.model)?.bundled ?? false;
  }

  value(recipe: Recipe, key: string): SettingValue {
    const card = cardOf(recipe.method);
    return recipe.settings[key] ?? card?.settings.find((field) => field.key === key)?.default ?? null;
  }

  set(method: string, key: string, value: SettingValue): void {
    const { changes } = this.choices;
    this.choices.changes = { ...changes, [method]: { ...changes[method], [key]: value } };
  }

  /** Requests the pipeline for the choices, and then its plan. */
  async compose(): Promise<void> {
    const mine = ++this.#asked;
    this.#giveUp();
    // An older pipeline must not be started while a newer one is being resolved.
    this.checking = true;
    try {
      const pipeline = await backend.call("compose_pipeline", { choices: $state.snapshot(this.choices) });
      if (mine !== this.#asked) return;
      this.pipeline = pipeline.filter(trains);
      this.checkSoon();
    } catch (error) {
      if (mine === this.#asked) [this.problem, this.checked, this.checking] = [asProblem(error), null, false];
    }
  }

  /** Requests the plan shortly after the last change. The older request is aborted, so it never replaces a newer plan. */
  checkSoon(): void {
    this.#giveUp();
    if (this.pipeline.length === 0) {
      this.checked = null;
      return;
    }
    this.checking = true;
    const [stages, plan] = [$state.snapshot(this.pipeline), this.#plan];
    this.#timer = setTimeout(() => {
      const hear = (news: PlanNews): void => {
        if (plan !== this.#plan) return;
        if (news.kind === "working") this.doing = news;
        else [this.checked, this.checking, this.problem] = [news.checked, false, null];
      };
      backend.stream("plan_pipeline", { stages }, hear, plan.signal).catch((error: unknown) => {
        if (plan === this.#plan) [this.problem, this.checked, this.checking] = [asProblem(error), null, false];
      });
    }, CHECK_AFTER_MS);
  }

  /** Cancels the plan. */
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
