// What the rail shows of the work in progress, and which work has just ended: both follow from the list of runs.
import type { RunState, RunView } from "../backend/types";

/** Work that took less is over before anybody looks away. */
const LONG_SECONDS = 20;
/** The first steps say little about the pace: caches are cold, and loading the model counts in. */
const EARLY = 3;

const busy = (run: RunView): boolean => run.state === "running" || run.state === "queued";

export interface Job {
  /** The run that is computed now, or will be next. */
  run: RunView;
  /** Stages of its experiment. */
  stages: number;
  /** How far it is, from 0 to 1. */
  share: number;
  /** Seconds until it ends, if that can be told. */
  left: number | null;
  /** Other experiments that wait for their turn. */
  waiting: number;
}

/** Seconds of training that the plan expects, without comparing. */
const planned = (run: RunView): number =>
  Math.max(0, (run.estimate?.seconds ?? 0) - (run.estimate?.comparing_seconds ?? 0));

/** Seconds until the run ends: from its own pace as soon as it has one, before that from the plan. */
export function secondsLeft(run: RunView): number | null {
  if (run.state !== "running") return null;
  const comparing = run.estimate?.comparing_seconds ?? 0;
  if (run.phase === "training" && run.step >= EARLY && run.total_steps > 0)
    return (run.seconds / run.step) * (run.total_steps - run.step) + comparing;
  const rest = (run.estimate?.seconds ?? 0) - run.seconds;
  return rest > 0 ? rest : null;
}

/** How far the run is: its steps, and the time of comparing that follows them. */
export function shareOf(run: RunView): number {
  const [training, comparing] = [planned(run), run.estimate?.comparing_seconds ?? 0];
  const weight = training > 0 ? training / (training + comparing) : 1;
  const steps = run.total_steps > 0 ? Math.min(1, run.step / run.total_steps) : 0;
  if (run.phase === "preparing" || run.phase === "training") return weight * steps;
  const all = run.estimate?.seconds ?? 0;
  // What has no steps is measured by the plan, and is not done before it says so.
  return Math.max(weight * steps, all > 0 ? Math.min(0.97, run.seconds / all) : 0);
}

/** The job of the rail; none when nothing runs or waits. Runs are given newest first. */
export function jobOf(runs: RunView[]): Job | null {
  const run = runs.find((entry) => entry.state === "running") ?? runs.findLast((entry) => entry.state === "queued");
  if (!run) return null;
  const others = runs.filter((entry) => busy(entry) && entry.experiment !== run.experiment);
  return {
    run,
    stages: runs.filter((entry) => entry.experiment === run.experiment).length,
    share: shareOf(run),
    left: secondsLeft(run),
    waiting: new Set(others.map((entry) => entry.experiment)).size,
  };
}

export interface Ended {
  experiment: string;
  title: string;
  state: RunState;
  /** Seconds that the work of the experiment took in all. */
  seconds: number;
}

/** Experiments whose work was in progress before and is not now, if it was long. A stage that fails ends it. */
export function endedBetween(before: RunView[], now: RunView[]): Ended[] {
  const found = new Map<string, Ended>();
  for (const earlier of before.filter(busy)) {
    const runs = now.filter((run) => run.experiment === earlier.experiment);
    const run = runs.find((entry) => entry.id === earlier.id);
    // Paused and discarded are what the person did.
    if (!run || !["finished", "stopped", "failed", "interrupted"].includes(run.state)) continue;
    const bad = run.state === "failed" || run.state === "interrupted";
    if (!bad && runs.some(busy)) continue;
    const seconds = runs.reduce((sum, entry) => sum + entry.seconds, 0);
    if (seconds < LONG_SECONDS && !bad) continue;
    found.set(run.experiment, { experiment: run.experiment, title: run.experiment_title, state: run.state, seconds });
  }
  return [...found.values()];
}
