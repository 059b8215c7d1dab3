// What a method that learns from pairs did to one pair, from the log-probabilities of both answers before and after.
import type { Evaluation, PairShift, RunView } from "../backend/types";
import { last } from "../shared/format";
import { cardOf } from "../shared/methods.svelte";

export interface Moved {
  chosen: [before: number, after: number];
  rejected: [before: number, after: number];
  /** How far each answer moved, in nats. */
  up: number;
  down: number;
  /** Chosen minus rejected, before and after. */
  gap: [before: number, after: number];
}

/** The figures of one pair from the baseline to the last stack; none where a stack was not asked. */
export function moved(pair: PairShift, evaluation: Pick<Evaluation, "baseline" | "stacks">): Moved | null {
  const [before, after] = [pair.logps[evaluation.baseline], pair.logps[last(evaluation as Evaluation)]];
  if (!before || !after || evaluation.stacks.length < 2) return null;
  const [[c0, r0], [c1, r1]] = [before, after];
  return { chosen: [c0, c1], rejected: [r0, r1], up: c1 - c0, down: r1 - r0, gap: [c0 - r0, c1 - r1] };
}

/** The reward margin of DPO and its family: beta times how much more the chosen answer gained than the rejected one. */
export const marginOf = (beta: number, { up, down }: Moved): number => beta * (up - down);

/** Methods whose reward is relative to the model as it was before; the others compare the answers directly. */
const RELATIVE = ["dpo", "kto", "online_dpo"];

/** Beta of a run whose rewards are relative to its start; none for other methods. */
export function betaOf(run: RunView): number | null {
  if (run.work.kind !== "train" || !RELATIVE.includes(run.work.method)) return null;
  const field = cardOf(run.work.method)?.settings.find((entry) => entry.key === "beta");
  const beta = run.work.settings.beta ?? field?.default;
  return typeof beta === "number" ? beta : null;
}

/** The last stage that has pairs to show, with the evaluation that holds them. */
export function shownPairs(runs: RunView[]): { run: RunView; evaluation: Evaluation } | null {
  for (const run of [...runs].reverse()) {
    if (run.work.kind !== "train") continue;
    const evaluation = run.evaluations.find((entry) => entry.pairs.some((pair) => moved(pair, entry)));
    if (evaluation) return { run, evaluation };
  }
  return null;
}
