// A plain reading of a run's curves: what a patient colleague would say on seeing them.
import type { Messages } from "../messages";
import { smooth } from "../shared/smooth";

export type Reading = keyof Messages["run"]["readings"];

const EARLY = 10;
/** Rewards nearer to zero than this are noise to the eye. */
const NOTABLE = 0.05;

export type Curves = Record<string, (number | null)[]>;

function ends(values: (number | null)[] | undefined): { first: number; last: number } | null {
  const numbers = smooth(values ?? []).filter((value): value is number => value !== null);
  if (numbers.length <= EARLY) return null;
  return { first: numbers[Math.min(4, numbers.length - 1)]!, last: numbers.at(-1)! };
}

export function readSft(curves: Curves): Reading {
  const loss = ends(curves["loss"]);
  if (!loss) return "begin";
  const change = (loss.last - loss.first) / Math.max(Math.abs(loss.first), 1e-9);
  if (change > 0.1) return "sftRising";
  return change < -0.03 ? "sftFalling" : "sftFlat";
}

export function readDpo(curves: Curves): Reading {
  const margin = ends(curves["rewards/margins"]);
  const chosen = ends(curves["rewards/chosen"]);
  if (!margin || !chosen) return "begin";
  if (margin.last < -NOTABLE) return "dpoReversed";
  if (margin.last < NOTABLE) return "dpoFlat";
  if (chosen.last < 0 && -chosen.last > margin.last) return "dpoFar";
  return chosen.last < -NOTABLE ? "dpoChosenFalls" : "dpoGood";
}
