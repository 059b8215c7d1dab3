// Exponential smoothing with bias correction, as in reports. A curve that begins with equal values (ties before the first
// update) is smoothed from where it first moves: else the smoothed line would climb slowly out of values that no longer hold.

/** Curves with fewer values are drawn as they are. */
export const SHORTEST = 12;

/** The memory of a smoothed line; a short curve is smoothed less, so that the line does not trail far behind it. */
const MOST_MEMORY = 0.85;
const SHARE = 9;
export const memoryFor = (length: number): number =>
  Math.min(MOST_MEMORY, Math.max(0, 1 - SHARE / Math.max(1, length)));

export function smooth(values: (number | null)[], memory = MOST_MEMORY): (number | null)[] {
  const finite = (value: number | null): value is number => value !== null && Number.isFinite(value);
  const known = values.filter(finite);
  const first = known[0];
  // One value alone is no beginning of equal ones: noise is smoothed from there.
  let still = known.length > 1 && known[1] === first;
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
