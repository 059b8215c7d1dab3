// What experiments are called beside each other: by their titles, and where titles are alike by what differs.
import type { ExperimentSummary, MethodCard, SettingValue } from "../backend/types";
import { differences, type Difference } from "./settings";

/** More settings than this in a name say less than a number would. */
const MOST = 2;

export function namesOf(
  list: Pick<ExperimentSummary, "experiment">[],
  differing: Pick<Difference, "key" | "values">[],
  numbered: (name: string, n: number) => string,
  show: (value: SettingValue | undefined) => string = String,
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

/** What tells each of a list apart from others of the same title; empty where its title does. */
export function apart(list: ExperimentSummary[], cards: MethodCard[]): Map<string, string> {
  const byTitle = new Map<string, ExperimentSummary[]>();
  for (const entry of list) {
    const { title } = entry.experiment;
    byTitle.set(title, [...(byTitle.get(title) ?? []), entry]);
  }
  const found = new Map<string, string>();
  for (const [title, twins] of byTitle) {
    if (twins.length < 2) continue;
    const names = namesOf(twins, differences(twins, cards), (name) => name);
    for (const [place, { experiment }] of twins.entries()) {
      if (names[place] !== title) found.set(experiment.id, names[place] ?? "");
    }
  }
  return found;
}
