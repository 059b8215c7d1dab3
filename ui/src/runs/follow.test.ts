import { describe, expect, it, vi } from "vitest";
import type { RunEvent } from "../backend/types";

let deliver: ((events: RunEvent[]) => void) | null = null;
vi.mock("../backend", () => ({
  backend: {
    stream: (_name: string, _request: object, onMessage: (events: RunEvent[]) => void) =>
      new Promise<void>(() => (deliver = onMessage)),
  },
  asProblem: (error: unknown) => error,
}));
const { Followed } = await import("./follow.svelte");

const step = (sequence: number, number: number, loss: number): RunEvent => ({
  run: "r",
  sequence,
  at_ms: 0,
  kind: "step",
  step: number,
  total: 9,
  metrics: { loss },
  tokens_per_second: 1,
  seconds_left: 1,
});

describe("following a run", () => {
  it("takes each event once and lets repeated steps replace earlier ones", () => {
    const followed = new Followed("r");
    deliver?.([step(1, 1, 3), step(2, 2, 2), step(3, 3, 1)]);
    deliver?.([step(2, 2, 99)]);
    expect(followed.steps).toEqual([1, 2, 3]);
    deliver?.([
      { run: "r", sequence: 4, at_ms: 0, kind: "started", pid: 1, threads: 1, from_step: 1 },
      step(5, 2, 2.5),
    ]);
    expect(followed.steps).toEqual([1, 2]);
    expect(followed.curves["loss"]).toEqual([3, 2.5]);
    expect(followed.log.map((event) => event.kind)).toEqual(["started"]);
    followed.close();
  });

  it("does not copy the curves of a long run with every message, and tells whoever looks at them", () => {
    const followed = new Followed("r");
    deliver?.([step(1, 1, 3)]);
    const [curves, loss, steps] = [followed.curves, followed.curves["loss"], followed.steps];
    deliver?.([step(2, 2, 2)]);
    expect(followed.curves).not.toBe(curves);
    expect(followed.curves["loss"]).toBe(loss);
    expect(followed.steps).toBe(steps);
    expect([followed.steps, loss]).toEqual([
      [1, 2],
      [3, 2],
    ]);
    followed.close();
  });

  it("tells how far comparing has come, without a line in the log for each word", () => {
    const followed = new Followed("r");
    const head = { run: "r", at_ms: 0 };
    deliver?.([
      { ...head, sequence: 1, kind: "stage", phase: "evaluating" },
      { ...head, sequence: 2, kind: "progress", phase: "evaluating", done: 12, total: 40, seconds_left: 20 },
    ]);
    expect(followed.progress).toEqual({ phase: "evaluating", done: 12, total: 40, unit: "answers", secondsLeft: 20 });
    expect(followed.log.map((event) => event.kind)).toEqual(["stage"]);
    deliver?.([{ ...head, sequence: 3, kind: "started", pid: 1, threads: 1, from_step: 1 }]);
    expect(followed.progress).toBeNull();
    const item = { number: 1, prompt: "Why?", result: "So.", failed: false };
    deliver?.([
      { ...head, sequence: 4, kind: "item", item },
      { ...head, sequence: 5, kind: "progress", phase: "building", done: 1, total: 9, unit: "items" },
    ]);
    expect(followed.items).toEqual([item]);
    expect(followed.progress).toEqual({ phase: "building", done: 1, total: 9, unit: "items", secondsLeft: null });
    followed.close();
  });
});
