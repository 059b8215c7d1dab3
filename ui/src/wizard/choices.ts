// The choices of the wizard as plain data: blank ones, those of a goal, those of an experiment, and what they lack today.
import type { Choices, Chosen, DatasetView, LoraSpec, ModelView, Place, Preset, Stage } from "../backend/types";
import { cardOf, trains, type TrainStage } from "../shared/methods.svelte";
import { same } from "./groups";

export type Goal = string;
/** The goal that begins with the user's own data; all others are presets. */
export const OWN = "own";
/** The places for data, in the order of the stages. */
export const PLACES: readonly Place[] = ["answers", "ratings", "pairs", "prompts"];

const nothing = (): Chosen => ({ dataset: "", method: "" });

export const blank = (model: string): Choices => ({
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

/** The shape that the program takes where nobody says another, as in PEFT's documentation. */
export const USUAL_LORA: LoraSpec = { r: 16, lora_alpha: 32, lora_dropout: 0.05, target_modules: "all-linear" };

/** The choices that a preset stands for. */
export function choicesOf(preset: Preset | undefined, goal: Goal, model: string): Choices {
  const choices = { ...blank(preset?.model ?? model), goal };
  for (const recipe of preset?.stages.filter(trains) ?? []) {
    const place = cardOf(recipe.method)?.place;
    if (place) choices[place] = { dataset: recipe.dataset.slice("dataset:".length), method: recipe.method };
    choices.oracle ||= recipe.reward === "oracle";
  }
  return choices;
}

const sources = (stage: TrainStage): unknown[] =>
  [stage.adapter, stage.reward, stage.cost, stage.tuning, stage.prefix, stage.lora].map((source) => source ?? "");

/** What makes a stage what it is, apart from how far it is compared. */
const essence = (stage: Stage): unknown[] =>
  trains(stage) ? [stage.method, stage.model, stage.dataset, stage.seed, stage.settings, ...sources(stage)] : [stage];

/** The preset that these stages are, unchanged: an experiment that was started without the wizard has no choices. */
export const presetOf = (stages: Stage[], presets: Preset[]): Preset | undefined =>
  presets.find((preset) => same(preset.stages.map(essence), stages.map(essence)));

/** The choices without models and data sets that are gone, and the places that lost theirs. */
export function mended(choices: Choices, models: ModelView[], datasets: DatasetView[]) {
  const fixed = { ...blank(""), ...choices };
  const lost: (Place | "model")[] = [];
  if (!models.some((view) => view.model.id === fixed.model)) {
    lost.push("model");
    fixed.model = models[0]?.model.id ?? "";
  }
  for (const place of PLACES) {
    const chosen = fixed[place];
    if (!chosen.dataset || datasets.some((set) => set.id === chosen.dataset)) continue;
    lost.push(place);
    fixed[place] = { ...chosen, dataset: "" };
  }
  return { choices: fixed, lost };
}
