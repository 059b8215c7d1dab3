// What the wizard knows: the choices, the pipeline that follows from them, and the check of it.
import { asProblem, backend } from "../backend";
import type { CheckedPipeline, DatasetView, MethodCard, MethodName, ModelView, Preset, Problem, Recipe, SettingValue } from "../backend/types";

export type Goal = "kind_and_true" | "own";
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
  strength: Strength = $state("standard");
  /** Values that the person set, by stage and key. */
  changes: Partial<Record<MethodName, Record<string, SettingValue>>> = $state({});
  checked: CheckedPipeline | null = $state(null);
  checking = $state(false);
  problem: Problem | null = $state(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #round = 0;

  readonly pipeline: Recipe[] = $derived.by(() => this.#recipes());

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
    const set = (method: MethodName): string => preset?.pipeline.find((recipe) => recipe.method === method)?.dataset.slice("dataset:".length) ?? "";
    [this.answers, this.pairs] = [set("sft"), set("dpo")];
  }

  /** Puts a set where its kind belongs. */
  chooseDataset(dataset: DatasetView): void {
    if (dataset.kind === "pairs") this.pairs = dataset.id;
    else this.answers = dataset.id;
    this.goal ??= "own";
  }

  /** Imports a file and chooses it. */
  async import(handle: string): Promise<void> {
    try {
      const dataset = await backend.call<DatasetView>("import_dataset", { handle, name: null });
      this.datasets = [dataset, ...this.datasets];
      this.goal = "own";
      [this.answers, this.pairs] = ["", ""];
      this.chooseDataset(dataset);
      this.problem = null;
    } catch (error) {
      this.problem = asProblem(error);
    }
  }

  value(recipe: Recipe, key: string): SettingValue {
    const card = this.methods.find((entry) => entry.name === recipe.method);
    return recipe.settings[key] ?? card?.settings.find((field) => field.key === key)?.default ?? null;
  }

  set(method: MethodName, key: string, value: SettingValue): void {
    this.changes = { ...this.changes, [method]: { ...this.changes[method], [key]: value } };
  }

  #recipes(): Recipe[] {
    const stages: [MethodName, string][] = [];
    if (this.answers) stages.push(["sft", this.answers]);
    if (this.pairs) stages.push(["dpo", this.pairs]);
    const preset = this.presets.find((entry) => entry.id === this.goal);
    return stages.map(([method, dataset], index) => {
      // The bundled model is tiny and bears larger steps; what suits it in the preset suits it with other data too.
      const tuned = this.presets.find((entry) => entry.model === this.model) ?? preset;
      const pattern = tuned?.pipeline.find((recipe) => recipe.method === method);
      const card = this.methods.find((entry) => entry.name === method);
      const settings: Recipe["settings"] = { ...pattern?.settings };
      const rate = settings["learning_rate"] ?? card?.settings.find((field) => field.key === "learning_rate")?.default;
      if (typeof rate === "number" && this.strength !== "standard") settings["learning_rate"] = rate * FACTORS[this.strength];
      Object.assign(settings, this.changes[method]);
      const recipe: Recipe = { method, model: `model:${this.model}`, dataset: `dataset:${dataset}`, seed: 42, settings };
      if (index > 0) recipe.adapter = `stage:${index}`;
      else if (pattern?.lora) recipe.lora = pattern.lora;
      return recipe;
    });
  }

  /** Asks for the plan a moment after the last change; an older answer never replaces a newer one. */
  checkSoon(): void {
    clearTimeout(this.#timer);
    if (this.pipeline.length === 0) {
      this.checked = null;
      return;
    }
    this.checking = true;
    const round = ++this.#round;
    const pipeline = $state.snapshot(this.pipeline);
    this.#timer = setTimeout(() => {
      backend.call<CheckedPipeline>("check_pipeline", { pipeline }).then(
        (checked) => {
          if (round !== this.#round) return;
          [this.checked, this.checking] = [checked, false];
        },
        (error: unknown) => {
          if (round !== this.#round) return;
          [this.problem, this.checking] = [asProblem(error), false];
        },
      );
    }, CHECK_AFTER_MS);
  }
}
