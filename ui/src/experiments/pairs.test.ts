import { describe, expect, it } from "vitest";
import type { Evaluation, PairShift, RunView } from "../backend/types";
import { betaOf, marginOf, moved, shownPairs } from "./pairs";

const pair: PairShift = {
  prompt: "?",
  chosen: "yes",
  rejected: "no",
  flagged: false,
  logps: [
    [-31, -18],
    [-12, -44],
  ],
};
const evaluation = { baseline: 0, stacks: [{}, {}], pairs: [pair] } as unknown as Evaluation;
const run = (method: string, found: Evaluation[], settings = {}): RunView =>
  ({ work: { kind: "train", method, settings }, method, evaluations: found }) as unknown as RunView;

describe("one pair", () => {
  it("moved by what its answers gained", () => {
    const found = moved(pair, evaluation)!;
    expect(found).toMatchObject({ up: 19, down: -26, gap: [-13, 32] });
    expect(marginOf(0.5, found)).toBe(22.5);
  });
  it("has no figures without two stacks", () => {
    expect(moved({ ...pair, logps: [[-1, -2]] }, evaluation)).toBeNull();
    expect(moved(pair, { baseline: 0, stacks: [{}] } as unknown as Evaluation)).toBeNull();
  });
  it("has a reward only where the method compares with the start", () => {
    expect([betaOf(run("dpo", [], { beta: 0.3 })), betaOf(run("orpo", [], { beta: 0.3 }))]).toEqual([0.3, null]);
  });
  it("is of the last stage that has any", () => {
    const [sft, dpo] = [run("sft", [{ ...evaluation, pairs: [] }]), run("dpo", [evaluation])];
    expect(shownPairs([sft, dpo])?.run).toBe(dpo);
    expect(shownPairs([sft])).toBeNull();
  });
});
