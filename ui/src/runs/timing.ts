// How long each phase of a run took, from the times of its events alone: a run may have been paused, resumed, or cut off, and
// only the time in which a worker was at it counts. The clock of this machine is not compared with that of the program.
import type { Phase, RunEvent, RunState, RunView, Stage, StageEstimate } from "../backend/types";

/** Seconds in each phase so far, and the phase that is going on. */
export interface PhaseTimes {
  /** Seconds of closed stretches. */
  seconds: Partial<Record<Phase, number>>;
  /** Phases in the order in which they first began. */
  order: Phase[];
  /** The phase that is going on, with the time of the event that began it; none between workers. */
  open: { phase: Phase; from: number } | null;
  /** Time of the last event of a worker. */
  last: number;
}

export const noTimes: PhaseTimes = { seconds: {}, order: [], open: null, last: 0 };

/** Ends the open phase at a time. */
function close(times: PhaseTimes, at: number): PhaseTimes {
  if (!times.open) return times;
  const { phase, from } = times.open;
  const more = Math.max(0, at - from) / 1000;
  return { ...times, open: null, seconds: { ...times.seconds, [phase]: (times.seconds[phase] ?? 0) + more } };
}

/** The times after one more event. */
export function after(times: PhaseTimes, event: RunEvent): PhaseTimes {
  const at = event.at_ms;
  switch (event.kind) {
    case "queued":
    case "interrupted":
      // Recorded by the program, perhaps much later: the worker was last heard of with the event before.
      return close(times, times.last);
    case "started":
      return { ...close(times, times.last), last: at };
    case "stage": {
      const order = times.order.includes(event.phase) ? times.order : [...times.order, event.phase];
      return { ...close(times, at), order, open: { phase: event.phase, from: at }, last: at };
    }
    case "paused":
    case "stopped":
    case "finished":
    case "failed":
    case "discarded":
      return { ...close(times, at), last: at };
    default:
      return { ...times, last: at };
  }
}

/** The times after a list of events. */
export const timesOf = (events: RunEvent[]): PhaseTimes => events.reduce(after, noTimes);

/** Seconds in a phase up to the last event, the open stretch included. */
export function spent(times: PhaseTimes, phase: Phase): number {
  const open = times.open?.phase === phase ? Math.max(0, times.last - times.open.from) / 1000 : 0;
  return (times.seconds[phase] ?? 0) + open;
}

/** The phases that a kind of stage goes through. */
const PHASES: Record<Stage["kind"], Phase[]> = {
  train: ["preparing", "training", "saving", "evaluating"],
  build: ["preparing", "building", "saving"],
  evaluate: ["preparing", "evaluating"],
  fetch: ["fetching", "saving"],
  export: ["preparing", "exporting"],
};

/** The phase in which a stage does its work; what a plan counts without comparing belongs to it. */
const MAIN: Record<Stage["kind"], Phase> = {
  train: "training",
  build: "building",
  evaluate: "evaluating",
  fetch: "fetching",
  export: "exporting",
};

/** One phase on the ruler. */
export interface Mark {
  phase: Phase;
  state: "waiting" | "current" | "broken" | "done";
  /** Seconds that the plan has for it; unknown for phases that the plan does not count. */
  planned: number | null;
  /** Seconds that it has taken so far; null before it began. */
  real: number | null;
  /** How much of it is done, from 0 to 1; null while that is unknown. */
  share: number | null;
}

/** How far a phase without steps has come. */
export interface Progress {
  phase: Phase;
  done: number;
  total: number;
  secondsLeft: number | null;
}

export interface RulerOf {
  kind: Stage["kind"];
  state: RunState;
  estimate: StageEstimate | null;
  times: PhaseTimes;
  /** Share of the steps taken. */
  steps: number;
  progress: Progress | null;
  /** Seconds since the last event arrived, as long as the run goes on. */
  since: number;
}

/** What the plan has for a phase. */
function planned(kind: Stage["kind"], phase: Phase, estimate: StageEstimate | null): number | null {
  if (!estimate) return null;
  const comparing = kind === "train" ? estimate.comparing_seconds : 0;
  if (phase === MAIN[kind]) return Math.max(0, estimate.seconds - comparing);
  return phase === "evaluating" && comparing > 0 ? comparing : null;
}

/** True when nothing more will happen to a run. */
export const isOver = (state: RunState): boolean => ["finished", "stopped", "discarded"].includes(state);

/** True when nothing more will be recorded, and everything that was is here. */
export const isRead = (state: RunState, followed: { ended: boolean }): boolean =>
  followed.ended && (isOver(state) || state === "failed");

/** The ruler: all phases of a run in order, with planned and real seconds. */
export function ruler({ kind, state, estimate, times, steps, progress, since }: RulerOf): Mark[] {
  const own = PHASES[kind];
  const phases = [...own, ...times.order.filter((phase) => !own.includes(phase))];
  const running = state === "running";
  const latest = times.open?.phase ?? null;
  const reached = latest ?? (isOver(state) ? null : furthest(phases, times));
  const place = reached === null ? phases.length : phases.indexOf(reached);
  const marks = phases.map((phase, index): Mark => {
    const began = times.order.includes(phase);
    const current = running && phase === latest;
    const plan = planned(kind, phase, estimate);
    const real = began ? spent(times, phase) + (current ? since : 0) : null;
    const broken = !running && began && phase === reached;
    // A resumed run prepares anew: what it had begun before comes again.
    const markState = current ? "current" : broken ? "broken" : began && index < place ? "done" : "waiting";
    return { phase, state: markState, planned: plan, real, share: share(phase, markState) };
  });
  // What never came and never will is not shown as missing: a run without a comparison has none.
  return isOver(state) ? marks.filter((mark) => mark.real !== null) : marks;

  function share(phase: Phase, markState: Mark["state"]): number | null {
    if (markState === "done") return 1;
    if (phase === "training") return Math.min(1, steps);
    if (markState === "waiting") return 0;
    if (progress?.phase === phase) return progress.total > 0 ? progress.done / progress.total : 0;
    return markState === "broken" ? 0 : null;
  }
}

/** The last phase in which a worker was seen. */
function furthest(phases: Phase[], times: PhaseTimes): Phase | null {
  // Resumed runs prepare anew: the phase that was cut off is the furthest one that began.
  return phases.findLast((phase) => times.order.includes(phase)) ?? null;
}

/** Seconds that a running stage still takes, its comparison included; null while nobody can know. */
export function secondsLeft(
  run: Pick<RunView, "state" | "work" | "estimate">,
  times: PhaseTimes,
  trainingLeft: number | null,
  progress: Progress | null,
  since: number,
): number | null {
  if (run.state !== "running") return null;
  const comparing = run.work.kind === "train" ? (run.estimate?.comparing_seconds ?? 0) : 0;
  const less = (seconds: number): number => Math.max(0, seconds - since);
  if (times.open?.phase === "training" && trainingLeft !== null) return less(trainingLeft) + comparing;
  if (progress && progress.phase === times.open?.phase)
    return progress.secondsLeft === null ? comparing || null : less(progress.secondsLeft);
  if (times.open?.phase === "saving" || times.open?.phase === "evaluating") return comparing || null;
  return run.estimate ? less(run.estimate.seconds) : null;
}

/** Seconds in all, and those of them that went into comparing. */
export function taken(times: PhaseTimes): { all: number; comparing: number } {
  const all = times.order.reduce((sum, phase) => sum + spent(times, phase), 0);
  return { all, comparing: spent(times, "evaluating") };
}
