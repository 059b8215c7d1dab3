// The cards of all methods, fetched once: names, charts and readings. No screen hard-codes a method.
import { backend } from "../backend";
import type { MethodCard, Place, Recipe, Stage, Variant } from "../backend/types";
import { say, t } from "./i18n.svelte";

/** A stage that trains. */
export type TrainStage = Extract<Stage, { kind: "train" }>;

export const trains = (stage: Stage): stage is TrainStage => stage.kind === "train";

const state = $state<{ cards: MethodCard[] }>({ cards: [] });
let asked: Promise<void> | undefined;

/** Fetches the cards, unless that has been done. */
export function loadMethods(): Promise<void> {
  asked ??= backend.call("list_methods", {}).then(
    (cards) => {
      state.cards = cards;
    },
    (error: unknown) => {
      asked = undefined;
      throw error;
    },
  );
  return asked;
}

export const methodCards = (): MethodCard[] => state.cards;
export const cardOf = (method: string | null | undefined): MethodCard | undefined =>
  state.cards.find((card) => card.name === method);
export const cardsAt = (place: Place): MethodCard[] => state.cards.filter((card) => card.place === place);

/** Name of a method. */
export function methodName(method: string): string {
  const card = cardOf(method);
  return card ? say(card.label) : method;
}

/** What its settings make of the method of a stage, if they make something else of it. */
export const variantOf = (recipe: Recipe): Variant | undefined =>
  cardOf(recipe.method)?.variants.find((variant) => recipe.settings[variant.key] === variant.value);

/** What a stage is called: its method, or what its settings make of it; its kind where it does not train. */
export function stageName(stage: Stage): string {
  if (!trains(stage)) return t().experiments.kinds[stage.kind] ?? stage.kind;
  const variant = variantOf(stage);
  return variant ? say(variant.label) : methodName(stage.method);
}

/** Title of a metric of the log, where a chart of the method shows it alone; else its name in the log. */
export function figureName(method: string, key: string): string {
  const chart = cardOf(method)?.watch.charts.find(
    (entry) => entry.lines.length === 1 && entry.lines[0]!.metric.key === key,
  );
  return chart ? say(chart.title) : key;
}
