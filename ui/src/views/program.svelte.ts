// What the frame knows of the program by asking it again and again: the work in progress, current faults, and what has ended.
import { backend } from "../backend";
import type { Problem, RunView } from "../backend/types";
import { endedBetween, jobOf, type Ended, type Job } from "./jobs";

const AGAIN_MS = 2000;

let known: { job: Job | null; problems: Problem[] } = $state.raw({ job: null, problems: [] });

/** The work that the rail shows. */
export const job = (): Job | null => known.job;

/** Faults of the program as a whole: a full disk, a backup that failed, rows that cannot be read. */
export const ownProblems = (): Problem[] => known.problems;

/** Asks until the returned function is called; `onEnd` hears of experiments whose work has ended meanwhile. */
export function watchProgram(onEnd: (ended: Ended) => void): () => void {
  let before: RunView[] = [];
  const look = async (): Promise<void> => {
    try {
      const runs = await backend.call("list_runs", {});
      const { problems } = await backend.call("app_info", {});
      known = { job: jobOf(runs), problems };
      endedBetween(before, runs).forEach(onEnd);
      before = runs;
    } catch {
      // The current screen shows the problem; what the frame knows is only a hint.
    }
  };
  let stopped = false;
  const turn = async (): Promise<void> => {
    while (!stopped) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  };
  void turn();
  return () => void (stopped = true);
}
