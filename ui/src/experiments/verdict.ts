// What an experiment found, from its measures: what became better, what became worse, what was forgotten. Only measures
// that have a better direction count, and only changes that are beyond chance and large enough to matter.
import type { Estimate, Evaluation, Measure } from "../backend/types";
import { changeOf, direction, FEWEST, last, smallest, valueOf, type Direction } from "../shared/format";

/** The loss on a fixed general text: what was forgotten, and never what an experiment is about. */
const GENERAL = "general_loss";
/** As many gains as a sentence can bear; what became worse is told in full. */
const MOST = 2;

export interface Finding {
  measure: Measure;
  before: Estimate | null;
  after: Estimate;
  change: Estimate | null;
  direction: Direction;
}

export type VerdictKind =
  "clearly_better" | "better" | "mixed" | "worse" | "same" | "few" | "single" | "without_direction" | "nothing";

export interface Verdict {
  kind: VerdictKind;
  /** The measure that the experiment is about; none if nothing has a better direction. */
  headline: Finding | null;
  gains: Finding[];
  losses: Finding[];
  /** What happened to general text; none if it was not measured. */
  general: Finding | null;
  /** Most items behind any change that could be judged. */
  items: number;
}

/** All measures of all suites, each key once: the first suite that has it is the most telling one. */
export function findings(evaluations: Evaluation[]): Finding[] {
  const found: Finding[] = [];
  for (const evaluation of evaluations) {
    for (const measure of evaluation.measures) {
      const after = valueOf(measure, last(evaluation));
      if (!after || found.some((entry) => entry.measure.key === measure.key)) continue;
      const single = evaluation.stacks.length < 2;
      const change = changeOf(measure, last(evaluation));
      found.push({
        measure,
        before: single ? null : valueOf(measure, evaluation.baseline),
        after,
        change,
        direction: direction(measure, change),
      });
    }
  }
  return found;
}

const directed = (entry: Finding): boolean => entry.measure.better !== "neither" && entry.measure.key !== GENERAL;

/** The measure to show alone: the first that says better or worse, and a compared one rather than one that is not. */
export function headlineOf(found: Finding[]): Finding | null {
  const candidates = found.filter(directed);
  return candidates.find((entry) => entry.change) ?? candidates[0] ?? null;
}

/** A change whose whole interval is far beyond the smallest that counts. */
function clear(entry: Finding): boolean {
  const { change, measure } = entry;
  if (!change) return false;
  return Math.min(Math.abs(change.low), Math.abs(change.high)) >= 5 * smallest(measure);
}

function kindOf(found: Finding[], headline: Finding | null, gains: Finding[], losses: Finding[]): VerdictKind {
  if (found.length === 0) return "nothing";
  if (!headline) return "without_direction";
  if (!headline.change) return "single";
  if (found.filter((entry) => directed(entry) && entry.change).every((entry) => entry.direction === "few"))
    return "few";
  if (gains.length > 0 && headline.direction === "better") return clear(headline) ? "clearly_better" : "better";
  if (gains.length > 0 && losses.length > 0) return "mixed";
  if (gains.length > 0) return "better";
  return losses.length > 0 ? "worse" : "same";
}

export function verdictOf(evaluations: Evaluation[]): Verdict {
  const found = findings(evaluations);
  const headline = headlineOf(found);
  // What the experiment is about is named first.
  const judged = found.filter(directed).sort((a, b) => Number(b === headline) - Number(a === headline));
  const gains = judged.filter((entry) => entry.direction === "better").slice(0, MOST);
  const losses = judged.filter((entry) => entry.direction === "worse");
  return {
    kind: kindOf(found, headline, gains, losses),
    headline,
    gains,
    losses,
    general: found.find((entry) => entry.measure.key === GENERAL && entry.change) ?? null,
    items: Math.max(0, ...judged.map((entry) => entry.change?.n ?? 0)),
  };
}

/** The three figures to show large: the headline, then all that became worse, then the others in their order. */
export function threeOf(evaluations: Evaluation[]): Finding[] {
  const found = findings(evaluations);
  const headline = headlineOf(found);
  const others = found.filter((entry) => directed(entry) && entry !== headline);
  // A measure whose direction is known and that rests on enough items beats one that does not.
  const weight = (entry: Finding): number =>
    entry.direction === "worse" ? 0 : entry.change && entry.change.n >= FEWEST ? 1 : 2;
  const order = new Map(others.map((entry, index) => [entry, index]));
  const rest = [...others].sort((a, b) => weight(a) - weight(b) || order.get(a)! - order.get(b)!).slice(0, 2);
  // Shown in the order of the suite, so that a figure has its place whatever became of it.
  rest.sort((a, b) => order.get(a)! - order.get(b)!);
  return headline ? [headline, ...rest] : rest;
}
