import { describe, expect, it } from "vitest";
import type { Measure, RunView } from "../backend/types";
import { experimentsOf, matching, outcome, sorted, turned } from "./list";

const run = (id: string, more: Partial<RunView> = {}): RunView =>
  ({
    id,
    experiment: `e-${id}`,
    experiment_title: `Title ${id}`,
    method: "dpo",
    state: "finished",
    seconds: 1,
    step: 1,
    evaluations: [],
    work: { kind: "train" },
    ...more,
  }) as unknown as RunView;
const name = (each: RunView): string => (each.method ?? "").toUpperCase();
const all = { words: "", state: "", method: "" };

describe("the list of runs", () => {
  const runs = [run("a", { seconds: 5 }), run("b", { state: "failed" }), run("c", { method: "sft", seconds: 9 })];
  it("finds by words, state and method", () => {
    const ids = (wanted: object): string[] => matching(runs, { ...all, ...wanted }, name).map((each) => each.id);
    expect(ids({})).toEqual(["a", "b", "c"]);
    expect(ids({ words: "title SFT" })).toEqual(["c"]);
    expect(ids({ state: "failed" })).toEqual(["b"]);
    expect(ids({ method: "dpo", words: "a" })).toEqual(["a"]);
  });
  it("sorts up, down, and back", () => {
    const first = turned(null, "time");
    expect(sorted(runs, first, name).map((each) => each.id)).toEqual(["c", "a", "b"]);
    const second = turned(first, "time");
    expect(sorted(runs, second, name).map((each) => each.id)).toEqual(["b", "a", "c"]);
    expect(turned(second, "time")).toBeNull();
    expect(turned(first, "experiment")).toEqual({ column: "experiment", down: false });
  });
  it("names an outcome that can be better or worse", () => {
    const measure = (key: string, better: string) =>
      ({ key, better, values: [null, { value: 1 }] }) as unknown as Measure;
    const evaluations = [{ measures: [measure("length", "neither"), measure("good", "higher")] }];
    expect(outcome(run("a", { evaluations } as never))?.measure.key).toBe("good");
    expect(outcome(run("a"))).toBeNull();
  });
  it("leads from runs to their experiments, each once", () => {
    const two = [run("a", { experiment: "e" }), run("b", { experiment: "e" }), run("c", { experiment: "f" })];
    expect(experimentsOf(two, ["a", "b", "c"])).toEqual(["e", "f"]);
  });
});
