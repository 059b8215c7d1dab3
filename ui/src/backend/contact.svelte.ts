// Whether the program answers. In the browser it may be stopped and started again while a tab is open: then everything that
// only reads waits until it is back, the frame says so once, and no screen has to know.
import type { Problem } from "./types";

/** Waiting times between two attempts; the last one repeats. */
const AGAIN_MS = [1000, 1000, 2000, 3000, 5000];

/** The problem of what could not be done because of it. */
export const SILENCE: Problem = {
  code: "internal",
  message: { en: "The program does not answer.", zh: "程序没有响应。" },
  hints: [],
  field: null,
};
/** True for that problem, also for a copy of it; the frame shows it, screens need not. */
export const isSilence = (problem: Problem): boolean => problem.message.en === SILENCE.message.en;

const state = $state({ silent: false });
let back: Promise<void> | null = null;
let wake: () => void = () => {};

/** True while the program does not answer. */
export const silent = (): boolean => state.silent;
/** Tries again at once. */
export const tryAgain = (): void => wake();

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

/** Says that the program did not answer, and waits until it does again; `ping` asks it. */
export function untilBack(ping: () => Promise<boolean>): Promise<void> {
  back ??= (async () => {
    state.silent = true;
    for (let turn = 0; ; turn++) {
      await pause(AGAIN_MS[Math.min(turn, AGAIN_MS.length - 1)]!);
      if (await ping()) break;
    }
    state.silent = false;
    back = null;
  })();
  return back;
}
