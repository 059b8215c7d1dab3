// The list of runs: which of them are shown, in which order, and the one figure that says what came of each.
import type { Evaluation, Measure, RunView } from "../backend/types";

export interface Wanted {
  words: string;
  /** Empty for all. */
  state: string;
  method: string;
}

export type Column = "experiment" | "stage" | "state" | "steps" | "time";

export interface Order {
  column: Column;
  down: boolean;
}

/** What a run is filtered by: its method, or the kind of a stage that does not train. */
export const methodOf = (run: RunView): string => run.method ?? run.work.kind;

/** The runs that match; every word must occur in the title, the method or the hash of what it made. */
export function matching(runs: RunView[], wanted: Wanted, nameOf: (run: RunView) => string): RunView[] {
  const words = wanted.words.toLowerCase().split(/\s+/).filter(Boolean);
  return runs.filter((run) => {
    if (wanted.state && run.state !== wanted.state) return false;
    if (wanted.method && methodOf(run) !== wanted.method) return false;
    const text = [run.experiment_title, nameOf(run), run.method, run.adapter?.sha256, run.id].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** The runs by a column; as they come, newest first, without one. */
export function sorted(runs: RunView[], order: Order | null, nameOf: (run: RunView) => string): RunView[] {
  if (!order) return runs;
  const value: Record<Column, (run: RunView) => string | number> = {
    experiment: (run) => run.experiment_title.toLowerCase(),
    stage: nameOf,
    state: (run) => run.state,
    steps: (run) => run.step,
    time: (run) => run.seconds,
  };
  const by = value[order.column];
  const compare = (a: string | number, b: string | number): number =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  return [...runs].sort((a, b) => (order.down ? -1 : 1) * compare(by(a), by(b)));
}

/** The next order after a click on a column: upwards, downwards, as they come. */
export function turned(order: Order | null, column: Column): Order | null {
  if (order?.column !== column) return { column, down: column === "time" || column === "steps" };
  const first = column === "time" || column === "steps";
  return order.down === first ? { column, down: !first } : null;
}

/** The most important figure with a direction that a run measured; what is neither better nor worse is no outcome. */
export function outcome(run: RunView): { evaluation: Evaluation; measure: Measure } | null {
  for (const evaluation of run.evaluations) {
    const measure = evaluation.measures.find((each) => each.better !== "neither" && each.values.at(-1));
    if (measure) return { evaluation, measure };
  }
  return null;
}

/** The experiments of the chosen runs, in the order of the list. */
export const experimentsOf = (runs: RunView[], picked: string[]): string[] => [
  ...new Set(runs.filter((run) => picked.includes(run.id)).map((run) => run.experiment)),
];
