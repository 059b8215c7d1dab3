// How many runs wait or work: the number in the rail.
import { backend } from "../backend";
import type { RunView } from "../backend/types";

const state = $state({ count: 0 });

export const activeRuns = (): number => state.count;

export function watchRuns(): () => void {
  const look = async (): Promise<void> => {
    try {
      const runs = await backend.call<RunView[]>("list_runs", {});
      state.count = runs.filter((run) => run.state === "running" || run.state === "queued").length;
    } catch {
      // The screen at hand says what is wrong; the number is only a hint.
    }
  };
  void look();
  const timer = setInterval(() => void look(), 2000);
  return () => clearInterval(timer);
}
