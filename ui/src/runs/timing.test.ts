import { describe, expect, it } from "vitest";
import type { Phase, RunEvent, StageEstimate } from "../backend/types";
import { ruler, secondsLeft, spent, taken, timesOf, type RulerOf } from "./timing";

let sequence = 0;
const at = (seconds: number, kind: object): RunEvent =>
  ({ run: "r", sequence: ++sequence, at_ms: 1_000_000 + seconds * 1000, ...kind }) as RunEvent;
const stage = (seconds: number, phase: Phase): RunEvent => at(seconds, { kind: "stage", phase });
const started = (seconds: number, from_step = 0): RunEvent =>
  at(seconds, { kind: "started", pid: 1, threads: 2, from_step });
const step = (seconds: number): RunEvent => at(seconds, { kind: "step" });

const whole = [
  at(0, { kind: "queued" }),
  started(5),
  stage(5, "preparing"),
  stage(6, "training"),
  step(20),
  stage(32, "saving"),
  stage(33, "evaluating"),
  at(40, { kind: "finished", steps: 9, artifacts: [] }),
];
const estimate = { seconds: 28, comparing_seconds: 4 } as StageEstimate;
const given = (events: RunEvent[], more: Partial<RulerOf> = {}): RulerOf => ({
  kind: "train",
  state: "finished",
  estimate,
  times: timesOf(events),
  steps: 1,
  progress: null,
  since: 0,
  ...more,
});

describe("times of phases", () => {
  it("are the stretches between stage events, without the time in the queue", () => {
    const times = timesOf(whole);
    expect(times.seconds).toEqual({ preparing: 1, training: 26, saving: 1, evaluating: 7 });
    expect(taken(times)).toEqual({ all: 35, comparing: 7 });
  });

  it("do not count a pause, and add up over resumed workers", () => {
    const times = timesOf([
      started(0),
      stage(0, "preparing"),
      stage(2, "training"),
      at(12, { kind: "paused", step: 4 }),
      at(500, { kind: "queued" }),
      started(600, 4),
      stage(600, "preparing"),
      stage(601, "training"),
      step(605),
    ]);
    expect(spent(times, "preparing")).toBe(3);
    expect(spent(times, "training")).toBe(14);
  });

  it("end with the last sign of life when a worker was lost", () => {
    const lost = [started(0), stage(0, "preparing"), stage(1, "training"), step(9)];
    expect(spent(timesOf([...lost, at(9000, { kind: "interrupted", step: 0 })]), "training")).toBe(8);
    // The next worker began before anybody noticed.
    expect(spent(timesOf([...lost, started(9000), stage(9000, "preparing")]), "training")).toBe(8);
  });
});

describe("the ruler", () => {
  it("holds planned beside real seconds", () => {
    const marks = ruler(given(whole));
    expect(marks.map((mark) => [mark.phase, mark.planned, mark.real])).toEqual([
      ["preparing", null, 1],
      ["training", 24, 26],
      ["saving", null, 1],
      ["evaluating", 4, 7],
    ]);
    expect(marks.every((mark) => mark.state === "done" && mark.share === 1)).toBe(true);
  });

  it("moves in the current phase and leaves what comes later waiting", () => {
    const marks = ruler(given(whole.slice(0, 5), { state: "running", steps: 0.4, since: 2 }));
    expect(marks.map((mark) => mark.state)).toEqual(["done", "current", "waiting", "waiting"]);
    expect(marks[1]).toMatchObject({ real: 16, share: 0.4 });
    expect(marks[3]).toMatchObject({ real: null, share: 0, planned: 4 });
  });

  it("gives comparing a progress of its own", () => {
    const progress = { phase: "evaluating" as const, done: 23, total: 80, secondsLeft: 5 };
    const marks = ruler(given(whole.slice(0, 7), { state: "running", progress }));
    expect(marks.at(-1)).toMatchObject({ state: "current", share: 23 / 80 });
    expect(marks[1]!.state).toBe("done");
  });

  it("says where a paused or failed run stands, and drops what never came", () => {
    const paused = [...whole.slice(0, 5), at(21, { kind: "paused", step: 3 })];
    expect(ruler(given(paused, { state: "paused", steps: 0.3 }))[1]).toMatchObject({ state: "broken", share: 0.3 });
    const again = [...paused, started(90, 3), stage(90, "preparing")];
    expect(ruler(given(again, { state: "running", steps: 0.3 })).map((mark) => [mark.state, mark.share])).toEqual([
      ["current", null],
      ["waiting", 0.3],
      ["waiting", 0],
      ["waiting", 0],
    ]);
    const alone = [...whole.slice(0, 6), at(33, { kind: "finished", steps: 9, artifacts: [] })];
    expect(ruler(given(alone)).map((mark) => mark.phase)).toEqual(["preparing", "training", "saving"]);
    expect(ruler(given([], { state: "queued" })).map((mark) => mark.state)).toEqual(Array(4).fill("waiting"));
  });

  it("knows the phases of stages that do not train", () => {
    const build = given([started(0), stage(0, "preparing"), stage(1, "building"), step(3)], {
      kind: "build",
      state: "running",
      progress: { phase: "building", done: 1, total: 4, secondsLeft: null },
    });
    expect(ruler(build).map((mark) => [mark.phase, mark.share])).toEqual([
      ["preparing", 1],
      ["building", 0.25],
      ["saving", 0],
    ]);
    expect(ruler({ ...build, kind: "evaluate", times: timesOf([]) })[1]).toMatchObject({ planned: 28 });
  });
});

describe("time left", () => {
  const run = { state: "running" as const, estimate, work: { kind: "train" } as never };
  it("includes the comparison", () => {
    expect(secondsLeft(run, timesOf(whole.slice(0, 5)), 10, null, 1)).toBe(13);
    expect(secondsLeft(run, timesOf(whole.slice(0, 6)), 0, null, 0)).toBe(4);
    const progress = { phase: "evaluating" as const, done: 1, total: 2, secondsLeft: 3 };
    expect(secondsLeft(run, timesOf(whole.slice(0, 7)), 0, progress, 1)).toBe(2);
    expect(secondsLeft(run, timesOf(whole.slice(0, 3)), null, null, 0)).toBe(28);
    expect(secondsLeft({ ...run, state: "paused" }, timesOf(whole), 10, null, 0)).toBeNull();
  });
});
