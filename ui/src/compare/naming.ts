// What experiments are called beside each other: by their titles, and where titles are alike by what differs.
import type { ExperimentSummary } from "../backend/types";
import type { Difference } from "./settings";

/** More settings than this in a name say less than a number would. */
const MOST = 2;

export function namesOf(
  list: Pick<ExperimentSummary, "experiment">[],
  differing: Pick<Difference, "key" | "values">[],
  numbered: (name: string, n: number) => string,
  show: (value: unknown) => string = String,
): string[] {
  const titles = list.map(({ experiment }) => experiment.title.trim() || experiment.id);
  const named = titles.map((title, index) => {
    const twins = titles.flatMap((other, place) => (other === title ? [place] : []));
    if (twins.length < 2) return title;
    // Only what tells the twins apart; the chain of methods needs no key before it.
    const telling = differing.filter(
      ({ values }) => new Set(twins.map((place) => JSON.stringify(values[place] ?? null))).size > 1,
    );
    const parts = telling
      .slice(0, MOST)
      .map(({ key, values }) => (key === "method" ? show(values[index]) : `${key} ${show(values[index])}`));
    return parts.join(" · ") || title;
  });
  const used = new Map<string, number>();
  return named.map((name) => {
    if (named.filter((other) => other === name).length < 2) return name;
    const n = (used.get(name) ?? 0) + 1;
    used.set(name, n);
    return n === 1 ? name : numbered(name, n);
  });
}
