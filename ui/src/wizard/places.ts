// Maps the field of a problem to its element on the page, so that the plan can link to it.

/** Id of the element that shows a field ("stage.1.settings.beta"); none without such an element. */
export function placeOf(field: string | null): string | null {
  const [, stage, name, key] = /^stage\.(\d+)\.([a-z_]+)(?:\.(.+))?$/.exec(field ?? "") ?? [];
  if (stage === undefined) return null;
  if (name === "settings" && key) return `field-${stage}-${key}`;
  if (name === "model") return "field-model";
  if (name === "dataset") return "field-data";
  if (name === "reward" || name === "cost" || name === "adapter") return "field-method";
  return null;
}

/** The stage that a problem belongs to, from 0; none for those of the whole pipeline. */
export function stageOf(field: string | null): number | null {
  const found = /^stage\.(\d+)/.exec(field ?? "");
  return found ? Number(found[1]) : null;
}

/** Scrolls to a field and focuses it. False when it is not on the page. */
export function lead(field: string | null): boolean {
  const place = placeOf(field);
  const element = place ? document.getElementById(place) : null;
  if (!element) return false;
  element.scrollIntoView({ block: "center", behavior: "smooth" });
  element
    .querySelector<HTMLElement>("input:not([disabled]), select:not([disabled]), button:not(.help):not([disabled])")
    ?.focus({ preventScroll: true });
  return true;
}
