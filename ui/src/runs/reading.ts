// The reading of a run's curves: a plain sentence on what they show. The readings and their conditions are on the method's
// card.
import type { At, Reading, Sign, Watch } from "../backend/types";
import { smooth } from "../shared/smooth";

const EARLY = 10;

export type Curves = Record<string, (number | null)[]>;
type Ends = Record<At, number>;

function ends(values: (number | null)[] | undefined): Ends | null {
  const numbers = smooth(values ?? []).filter((value): value is number => value !== null);
  if (numbers.length <= EARLY) return null;
  return { first: numbers[Math.min(4, numbers.length - 1)]!, last: numbers.at(-1)! };
}

function holds(sign: Sign, curves: Curves): boolean {
  const found = ends(curves[sign.key]);
  const other = sign.plus ? ends(curves[sign.plus.key]) : null;
  if (!found || (sign.plus && !other)) return false;
  const than = sign.than + (sign.plus && other ? sign.plus.factor * other[sign.plus.at] : 0);
  return sign.above ? found.last > than : found.last < than;
}

/** The first reading whose conditions all hold; none before the curves are long enough. */
export function read(watch: Watch, curves: Curves): Reading | null {
  if (!watch.needs.every((key) => ends(curves[key]))) return null;
  return watch.readings.find((reading) => reading.when.every((sign) => holds(sign, curves))) ?? null;
}
