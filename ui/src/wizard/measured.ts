// What a preset gave when it was measured: the figure that counts, before and after, on its scale.
import type { Estimate, Measure, Preset } from "../backend/types";
import { interval } from "../shared/format";

export interface Outcome {
  measure: Measure;
  before: Estimate;
  after: Estimate;
  low: number;
  high: number;
}

/** The first figure that was measured before and after; nothing for presets that nobody measured. */
export function outcomeOf(preset: Preset): Outcome | null {
  for (const measure of preset.measured?.measures ?? []) {
    const [before, after] = [measure.values[0], measure.values.at(-1)];
    if (!before || !after || measure.values.length < 2) continue;
    const ends = [before.low, after.low, before.high, after.high];
    const [low, high] = measure.unit === "rate" ? [0, 1] : [Math.min(...ends), Math.max(...ends)];
    return { measure, before, after, low, high };
  }
  return null;
}

/** "32–46 → 86–94, n = 200": the number of items is said once where it is the same. */
export function intervals({ measure, before, after }: Outcome): string {
  const [first, second] = [interval(measure, before), interval(measure, after)];
  const tail = `, n = ${before.n}`;
  return `${before.n === after.n && first.endsWith(tail) ? first.slice(0, -tail.length) : first} → ${second}`;
}
