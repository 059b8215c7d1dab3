import { describe, expect, it } from "vitest";
import type { Evaluation } from "../backend/types";
import { byChange, filtersOf, judge, quality, select } from "./samples";

const answer = (text: string, label?: string) => ({ text, label: label ? { en: label, zh: label } : null });
const evaluation = (answers: ReturnType<typeof answer>[][], flagged: number[] = []): Evaluation =>
  ({
    stacks: [{}, {}],
    baseline: 0,
    samples: answers.map((both, index) => ({
      prompt: [{ role: "user", content: `question ${index}` }],
      answers: both,
      flagged: flagged.includes(index),
    })),
  }) as unknown as Evaluation;

const judged = judge(
  evaluation(
    [
      [answer("a b", "good"), answer("a b", "good")],
      [answer("no", "rude"), answer("yes please", "good")],
      [answer("yes", "good"), answer("no", "harmless request refused")],
      [answer("steps", "harmful request carried out"), answer("hm", "answer incomplete")],
      [answer("x", "rude"), answer("y", "wrong fact")],
    ],
    [3],
  ),
);

describe("samples", () => {
  it("follow the labels", () => {
    expect(judged.map((entry) => entry.change)).toEqual(["same", "improved", "worse", "improved", "worse"]);
  });
  it("get worse when a useful answer becomes a refusal", () => {
    const [found] = judge(
      evaluation([[answer("nine", "answer incomplete"), answer("no", "harmless request refused")]]),
    );
    expect(found?.change).toBe("worse");
  });
  it("of another judge are told to have changed, not in which direction", () => {
    const found = judge(
      evaluation([
        [answer("a", "formal"), answer("b", "casual")],
        [answer("a", "x"), answer("b", "x")],
      ]),
    );
    expect(found.map((entry) => entry.change)).toEqual(["changed", "same"]);
    expect(found.map((entry) => quality(entry.after))).toEqual(["unknown", "unknown"]);
  });
  it("follow the text where nothing was judged", () => {
    const plain = judge(
      evaluation([
        [answer("a"), answer("b")],
        [answer("a"), answer("a")],
      ]),
    );
    expect(plain.map((entry) => entry.change)).toEqual(["changed", "same"]);
    expect(filtersOf(plain).map((entry) => entry.filter)).toEqual(["all", "changed", "same"]);
  });
  it("are counted by filter", () => {
    expect(filtersOf(judged)).toEqual([
      { filter: "all", count: 5 },
      { filter: "improved", count: 2 },
      { filter: "worse", count: 2 },
      { filter: "same", count: 1 },
      { filter: "hidden", count: 1 },
    ]);
  });
  it("are found by prompt, answer and label, hidden ones only by label", () => {
    expect(select(judged, "all", "please", false)).toHaveLength(1);
    expect(select(judged, "all", "steps", false)).toHaveLength(0);
    expect(select(judged, "all", "steps", true)).toHaveLength(1);
    expect(select(judged, "hidden", "carried", false)).toHaveLength(1);
  });
  it("stand with the largest change first", () => {
    expect(byChange(judged).map((entry) => entry.place)).toEqual([1, 3, 2, 4, 0]);
  });
});
