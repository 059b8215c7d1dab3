import { describe, expect, it } from "vitest";
import type { TrainStage } from "../shared/methods.svelte";
import { beginsAt, drawn, formulaOf, lossTerms, scoredBy } from "./chain";

const stage = (method: string, more: object = {}): TrainStage =>
  ({ kind: "train", method, model: "model:starter", settings: {}, ...more }) as unknown as TrainStage;
const scores = (entry: TrainStage): boolean => entry.method === "reward_model";

describe("the drawn chain", () => {
  it("puts scorers below and leads dashed lines to what they score", () => {
    const stages = [stage("sft"), stage("reward_model"), stage("ppo", { adapter: "stage:1", reward: "stage:2" })];
    const { nodes, lines } = drawn(stages, scores);
    expect(nodes.map((node) => [node.column, node.lane])).toEqual([
      [1, 0],
      [2, 1],
      [3, 0],
    ]);
    expect(lines.map((line) => [line.from.column, line.to.column, line.scores])).toEqual([
      [0, 1, false],
      [0, 2, false],
      [1, 3, false],
      [2, 3, true],
    ]);
    expect(stages.map(beginsAt)).toEqual([null, null, 0]);
    expect([scoredBy(stages[2]!), scoredBy(stage("grpo", { reward: "oracle" })), scoredBy(stages[0]!)]).toEqual([
      1,
      "oracle",
      null,
    ]);
  });
  it("follows a stage that makes a whole model", () => {
    expect(beginsAt(stage("dpo", { model: "stage:1" }))).toBe(0);
  });
  it("tells the losses that are summed, and shows no formula of another loss", () => {
    const mixed = stage("dpo", { settings: { loss_type: ["sigmoid", "sft"], loss_weights: [1, 5] } });
    expect(lossTerms(mixed)).toEqual([
      { name: "sigmoid", weight: 1 },
      { name: "sft", weight: 5 },
    ]);
    expect(formulaOf(mixed, false)).toBe("dpo");
    expect(formulaOf(stage("dpo", { settings: { loss_type: "hinge" } }), false)).toBe(null);
    expect(formulaOf(stage("cpo", { settings: { loss_type: "simpo" } }), false)).toBe("simpo");
    expect(formulaOf(stage("reward_model"), true)).toBe(null);
  });
});
