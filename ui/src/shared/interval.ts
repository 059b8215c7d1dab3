// What interval plots share: the scale that fits their values, its ticks, and names for tones.
import type { Estimate, Measure } from "../backend/types";

/** Base is slate, aligned is teal, what lies between is ink, and further stacks have colours of their own. */
export type MarkTone = "base" | "aligned" | "middle" | "third" | "fourth" | "fifth";

export interface Mark {
  estimate: Estimate;
  tone: MarkTone;
  name: string;
}

export interface Scale {
  low: number;
  high: number;
  ticks: number[];
}

/** A step of 1, 2 or 5 times a power of ten that divides a span into about four. */
function stepOf(span: number): number {
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}

/** The scale of a measure: a rate's is always 0 to 100 %, so that plots can be compared; others' fits their intervals. */
export function scaleOf(measure: Pick<Measure, "unit">, estimates: Estimate[]): Scale {
  if (measure.unit === "rate") return { low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1] };
  const [least, most] = [
    Math.min(...estimates.map((entry) => entry.low)),
    Math.max(...estimates.map((entry) => entry.high)),
  ];
  if (!Number.isFinite(least) || !Number.isFinite(most)) return { low: 0, high: 1, ticks: [0, 1] };
  const step = stepOf(most - least || Math.abs(most) || 1);
  const [first, final] = [Math.floor(least / step), Math.ceil(most / step)];
  const count = Math.max(1, final - first);
  const ticks = Array.from({ length: count + 1 }, (_, index) => (first + index) * step);
  return { low: ticks[0]!, high: ticks.at(-1)!, ticks };
}

/** Where a value lies on a scale, in per cent; values outside stay at its ends. */
export function place(scale: Pick<Scale, "low" | "high">, x: number): number {
  if (scale.high <= scale.low) return 50;
  return Math.min(100, Math.max(0, (100 * (x - scale.low)) / (scale.high - scale.low)));
}
