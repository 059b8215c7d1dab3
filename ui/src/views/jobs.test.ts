import { describe, expect, it } from "vitest";
import type { RunView, StageEstimate } from "../backend/types";
import { endedBetween, jobOf, secondsLeft, shareOf } from "./jobs";

const run = (over: Partial<RunView>): RunView =>
  ({
    id: "r1",
    experiment: "e1",
    experiment_title: "Kinder?",
    state: "running",
    phase: "training",
    step: 10,
    total_steps: 40,
    seconds: 20,
    estimate: { seconds: 120, comparing_seconds: 40 } as StageEstimate,
    ...over,
  }) as RunView;

describe("the time left", () => {
  it("follows the run's own pace once it has one", () => {
    expect(secondsLeft(run({}))).toBe(2 * 30 + 40);
    expect(secondsLeft(run({ step: 1, seconds: 9 }))).toBe(111);
    expect(secondsLeft(run({ phase: "evaluating", seconds: 100 }))).toBe(20);
  });
  it("is not told when nothing tells it", () => {
    expect(secondsLeft(run({ phase: "evaluating", seconds: 130 }))).toBeNull();
    expect(secondsLeft(run({ phase: "preparing", step: 0, estimate: null }))).toBeNull();
    expect(secondsLeft(run({ state: "queued" }))).toBeNull();
  });
});

describe("the share that is done", () => {
  it("leaves room for comparing", () => {
    expect(shareOf(run({}))).toBeCloseTo((80 / 120) * 0.25);
    expect(shareOf(run({ step: 40, phase: "evaluating", seconds: 100 }))).toBeCloseTo(100 / 120);
    expect(shareOf(run({ step: 40, phase: "evaluating", seconds: 500 }))).toBe(0.97);
  });
  it("is that of the steps without a plan, and nothing without steps", () => {
    expect(shareOf(run({ estimate: null }))).toBe(0.25);
    expect(shareOf(run({ estimate: null, total_steps: 0, phase: "fetching" }))).toBe(0);
  });
});

describe("the job in the rail", () => {
  it("is the running one; other experiments wait", () => {
    const runs = [
      run({ id: "r5", experiment: "e3", state: "queued" }),
      run({ id: "r4", experiment: "e2", state: "queued" }),
      run({ id: "r3", experiment: "e2", state: "queued" }),
      run({ id: "r2", state: "queued" }),
      run({}),
    ];
    expect(jobOf(runs)).toMatchObject({ run: { id: "r1" }, stages: 2, waiting: 2 });
    expect(jobOf(runs.slice(0, 3))).toMatchObject({ run: { id: "r3" }, waiting: 1 });
    expect(jobOf([run({ state: "finished" })])).toBeNull();
  });
});

describe("what has ended", () => {
  const done = run({ state: "finished", seconds: 25 });
  it("is long work, once, when its last stage is over", () => {
    expect(endedBetween([run({})], [done])).toEqual([
      { experiment: "e1", title: "Kinder?", state: "finished", seconds: 25 },
    ]);
    expect(endedBetween([run({})], [run({ id: "r2", state: "queued", seconds: 0 }), done])).toEqual([]);
    expect(endedBetween([done], [done])).toEqual([]);
    expect(endedBetween([], [done])).toEqual([]);
  });
  it("is not short work, and not what the person ended", () => {
    expect(endedBetween([run({})], [run({ state: "finished", seconds: 5 })])).toEqual([]);
    expect(endedBetween([run({})], [run({ state: "paused", seconds: 50 })])).toEqual([]);
    expect(endedBetween([run({})], [])).toEqual([]);
  });
  it("is a failure at any time", () => {
    const waiting = run({ id: "r2", state: "queued" });
    expect(endedBetween([waiting, run({})], [waiting, run({ state: "failed", seconds: 3 })])).toMatchObject([
      { state: "failed" },
    ]);
  });
});
