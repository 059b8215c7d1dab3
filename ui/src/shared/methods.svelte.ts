// The cards of all methods, fetched once: names, charts and readings. No screen hard-codes a method.
import { backend } from "../backend";
import type { MethodCard, Place, Recipe, Stage, Variant } from "../backend/types";
import { say } from "./i18n.svelte";

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

/** The variant that the settings of a stage make of its method, if any. */
export const variantOf = (recipe: Recipe | Stage): Variant | undefined =>
  cardOf(recipe.method)?.variants.find((variant) => recipe.settings[variant.key] === variant.value);

/** Name of a stage: its method, or the variant that its settings make of it. */
export function stageName(recipe: Recipe | Stage): string {
  const variant = variantOf(recipe);
  return variant ? say(variant.label) : methodName(recipe.method);
}

/** Title of a metric of the log, where a chart of the method shows it alone; else its name in the log. */
export function figureName(method: string, key: string): string {
  const chart = cardOf(method)?.watch.charts.find(
    (entry) => entry.lines.length === 1 && entry.lines[0]!.metric.key === key,
  );
  return chart ? say(chart.title) : key;
}
