// The reading of a run's curves: a plain sentence on what they show. The readings and their conditions are on the method's
// card.
import type { At, Reading, RunState, Sign, Watch, Words } from "../backend/types";
import { smooth } from "../shared/smooth";

/** Shorter curves are not interpreted. */
export const EARLY = 10;

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

/** What a reading rests on: a curve where it began and where it is; smoothed, as the reading takes it, else as recorded. */
export interface Evidence {
  label: Words;
  from: number;
  to: number;
  smoothed: boolean;
}

/** The most curves that a reading names. */
const MOST = 3;

/** The curves behind a reading, or behind none, with their ends. */
export function evidence(watch: Watch, reading: Reading | null, curves: Curves): Evidence[] {
  const lines = watch.charts.flatMap((chart) => chart.lines.map((line) => line.metric));
  const signs = (reading?.when ?? []).flatMap((sign) => [sign.key, ...(sign.plus ? [sign.plus.key] : [])]);
  const keys = [...new Set([...watch.needs, ...signs])];
  return keys
    .flatMap((key): Evidence[] => {
      const metric = lines.find((line) => line.key === key);
      const known = (curves[key] ?? []).filter((value): value is number => value !== null && Number.isFinite(value));
      if (!metric || known.length < 2) return [];
      const found = reading ? ends(curves[key]) : null;
      return [
        {
          label: metric.label,
          from: found?.first ?? known[0]!,
          to: found?.last ?? known.at(-1)!,
          smoothed: found !== null,
        },
      ];
    })
    .slice(0, MOST);
}

/** What can be said of a run's curves: a reading, that it is too early or that too few steps ran, or that there are none. */
export type Situation = "reading" | "unread" | "waiting" | "early" | "short" | "nothing";

export function situation(state: RunState, steps: number, reading: Reading | null): Situation {
  if (reading) return "reading";
  const over = !["queued", "running", "paused", "interrupted"].includes(state);
  if (over) return steps === 0 ? "nothing" : steps <= EARLY ? "short" : "unread";
  return steps === 0 ? "waiting" : steps <= EARLY ? "early" : "unread";
}
