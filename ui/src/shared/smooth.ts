// Exponential smoothing with bias correction, as in reports. A curve that begins with equal values (ties before the first
// update) is smoothed from where it first moves: else the smoothed line would climb slowly out of values that no longer hold.

/** Curves with fewer values are drawn as they are. */
export const SHORTEST = 8;

export function smooth(values: (number | null)[], memory = 0.85): (number | null)[] {
  const finite = (value: number | null): value is number => value !== null && Number.isFinite(value);
  const first = values.find(finite);
  let still = true;
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    if (!finite(value)) return null;
    if (still && value === first) return value;
    still = false;
    sum = memory * sum + (1 - memory) * value;
    weight = memory * weight + (1 - memory);
    return sum / weight;
  });
}
