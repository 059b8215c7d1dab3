// Search, filters and order of the experiments on the home screen.
import type { ExperimentSummary } from "../backend/types";
import type { Finding } from "./verdict";

export type Facet = "state" | "method" | "model" | "tag";
export const FACETS: readonly Facet[] = ["state", "method", "model", "tag"];
export type Column = "title" | "outcome" | "state" | "created";

/** A row with everything that is searched, filtered or sorted by, in the language of the UI. */
export interface Row {
  summary: ExperimentSummary;
  facets: Record<Facet, string[]>;
  /** Data sets, for the search and for drafts. */
  data: string[];
  headline: Finding | null;
  /** What tells it apart from others of the same title ("beta 0.05"); empty if the title does. */
  apart: string;
}

export interface Order {
  column: Column;
  descending: boolean;
}

/** The values of a facet with how many rows have each, the most frequent first. */
export function options(rows: Row[], facet: Facet): { value: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const row of rows) for (const value of row.facets[facet]) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count);
}

export type Filters = Record<Facet, string[]>;

/** Rows that hold every word of the search and, of each facet with a filter, one of the chosen values. */
export function matching(rows: Row[], search: string, filters: Filters): Row[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    const { title, question, notes } = row.summary.experiment;
    const text = [title, question, notes, ...FACETS.flatMap((facet) => row.facets[facet]), ...row.data]
      .join(" ")
      .toLowerCase();
    if (!words.every((word) => text.includes(word))) return false;
    return FACETS.every(
      (facet) => filters[facet].length === 0 || filters[facet].some((value) => row.facets[facet].includes(value)),
    );
  });
}

/** What an outcome is sorted by: the final value, better ones first whatever their direction; units never mix. */
function rank(row: Row): number {
  const { headline } = row;
  if (!headline) return Number.NEGATIVE_INFINITY;
  return headline.measure.better === "lower" ? -headline.after.value : headline.after.value;
}

export function sorted(rows: Row[], { column, descending }: Order): Row[] {
  const by: Record<Column, (a: Row, b: Row) => number> = {
    title: (a, b) => a.summary.experiment.title.localeCompare(b.summary.experiment.title),
    outcome: (a, b) =>
      (a.headline?.measure.key ?? "").localeCompare(b.headline?.measure.key ?? "") || rank(a) - rank(b),
    state: (a, b) => (a.facets.state[0] ?? "").localeCompare(b.facets.state[0] ?? ""),
    created: (a, b) => a.summary.experiment.created_ms - b.summary.experiment.created_ms,
  };
  const signed = descending ? -1 : 1;
  return [...rows].sort((a, b) => signed * by[column](a, b) || by.created(b, a));
}
