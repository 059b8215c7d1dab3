// Maps the field of a problem to its element on the page, so that the plan can link to it.
import { groupOf, type Group } from "./groups";

export const STEPS = ["goal", "model", "data", "method", "settings", "name"] as const;
export type StepName = (typeof STEPS)[number];

/** Where a problem is mended: the step, the group within the settings, and the id of the element. */
export interface Place {
  step: StepName;
  group?: Group;
  id: string;
}

/** Parts of a recipe apart from its settings, and the fields of ours that set them. */
const PARTS: Record<string, Place> = {
  model: { step: "model", id: "field-model" },
  dataset: { step: "data", id: "field-data" },
  method: { step: "method", id: "field-method" },
  reward: { step: "method", id: "field-method" },
  cost: { step: "method", id: "field-method" },
  adapter: { step: "method", id: "field-method" },
  tuning: { step: "settings", group: "adapter", id: "field-trains" },
  lora: { step: "settings", group: "adapter", id: "field-lora.r" },
  prefix: { step: "settings", group: "adapter", id: "field-virtual_tokens" },
  seed: { step: "settings", group: "repeat", id: "field-seed" },
  compare: { step: "settings", group: "compare", id: "field-compare" },
};

/** Fields of the wizard itself: "choices.lora.r", "choices.title". */
function ownPlace(name: string): Place {
  if (name === "title" || name === "question") return { step: "name", id: `field-${name}` };
  const part = PARTS[name.split(".")[0] ?? ""];
  return { step: "settings", group: part?.group ?? "adapter", id: `field-${name}` };
}

export function placeAt(field: string | null): Place | null {
  const [, own] = /^choices\.(.+)$/.exec(field ?? "") ?? [];
  if (own) return ownPlace(own);
  const [, stage, name, key] = /^stage\.(\d+)\.([a-z_]+)(?:\.(.+))?$/.exec(field ?? "") ?? [];
  if (stage === undefined || !name) return null;
  if (name === "settings") return key ? { step: "settings", group: groupOf(key), id: `field-${stage}-${key}` } : null;
  return PARTS[name] ?? null;
}

/** Id of the element that shows a field ("stage.1.settings.beta"); none without such an element. */
export const placeOf = (field: string | null): string | null => placeAt(field)?.id ?? null;

/** The stage that a problem belongs to, from 0; none for those of the whole pipeline. */
export function stageOf(field: string | null): number | null {
  const found = /^stage\.(\d+)/.exec(field ?? "");
  return found ? Number(found[1]) : null;
}

/** Scrolls to a field and focuses it. False when it is not on the page. */
export function lead(name: string | null): boolean {
  const place = placeOf(name);
  const element = place ? document.getElementById(place) : null;
  if (!element) return false;
  element.scrollIntoView({ block: "center", behavior: "smooth" });
  // A "?" beside the label is not what is to be mended.
  const field = element.querySelector<HTMLElement>("input:not([disabled]), select:not([disabled]), textarea");
  (field ?? element.querySelector<HTMLElement>("button:not([disabled])"))?.focus({ preventScroll: true });
  return true;
}
