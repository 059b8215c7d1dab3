// The outcome of an experiment in a few figures: those that have a better direction, the headline first.
import type { Estimate, Evaluation, ExperimentSummary, Measure } from "../backend/types";
import { changeOf, direction, last, valueOf, type Direction } from "../shared/format";

export interface Figure {
  measure: Measure;
  /** Absent where only one stack was measured. */
  before: Estimate | null;
  after: Estimate;
  direction: Direction | null;
}

const MOST = 3;

/** The figures of a card: of every suite those that can become better or worse, each once. */
export function figuresOf(evaluations: Evaluation[]): Figure[] {
  const found: Figure[] = [];
  for (const evaluation of evaluations) {
    for (const measure of evaluation.measures) {
      const after = valueOf(measure, last(evaluation));
      const known = found.some((figure) => figure.measure.key === measure.key);
      if (!after || known || measure.better === "neither") continue;
      const compared = evaluation.stacks.length > 1;
      found.push({
        measure,
        before: compared ? valueOf(measure, evaluation.baseline) : null,
        after,
        direction: compared ? direction(measure, changeOf(measure, last(evaluation))) : null,
      });
    }
  }
  return found.slice(0, MOST);
}

/** Both ends of the scale of a figure: of a rate all of it, of other units what was measured. */
export function scaleOf({ measure, before, after }: Figure): [number, number] {
  if (measure.unit === "rate") return [0, 1];
  const ends = [before, after].flatMap((estimate) => (estimate ? [estimate.low, estimate.high] : []));
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const room = (high - low) * 0.15 || 1;
  return [low - room, high + room];
}

/** The experiments that have something to report: a result of a run or an evaluation. */
export const reported = (summaries: ExperimentSummary[]): ExperimentSummary[] =>
  summaries.filter((summary) => summary.overall.length > 0 || summary.runs.some((run) => run.adapter));
