// Polled state: the number of queued and running runs (shown in the navigation), and current faults of the program.
import { backend } from "../backend";
import type { Problem } from "../backend/types";

const state = $state<{ count: number; problems: Problem[] }>({ count: 0, problems: [] });

export const activeRuns = (): number => state.count;

/** Faults of the program as a whole: a full disk, a backup that failed, rows that cannot be read. */
export const ownProblems = (): Problem[] => state.problems;

export function watchRuns(): () => void {
  const look = async (): Promise<void> => {
    try {
      const runs = await backend.call("list_runs", {});
      state.count = runs.filter((run) => run.state === "running" || run.state === "queued").length;
      state.problems = (await backend.call("app_info", {})).problems;
    } catch {
      // The current screen shows the problem; the number is only a hint.
    }
  };
  void look();
  const timer = setInterval(() => void look(), 2000);
  return () => clearInterval(timer);
}
