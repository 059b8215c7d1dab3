import { describe, expect, it } from "vitest";
import type { MethodCard } from "../backend/types";
import type { TrainStage } from "../shared/methods.svelte";
import { differing, groupOf, rowsOf } from "./groups";

const field = (key: string, level: "simple" | "advanced", value: number) => ({ key, level, default: value });
const sft = { settings: [field("max_steps", "advanced", -1), field("learning_rate", "simple", 2e-4)] };
const dpo = { settings: [field("learning_rate", "simple", 5e-6), field("beta", "simple", 0.1)] };
const cards = [sft, dpo] as unknown as MethodCard[];

describe("groups of settings", () => {
  it("put every setting somewhere", () => {
    expect(["learning_rate", "bf16", "save_steps", "temperature", "simpo_gamma"].map(groupOf)).toEqual([
      "learning",
      "memory",
      "repeat",
      "answers",
      "loss",
    ]);
  });
  it("have a column for each stage, empty where the method lacks the setting", () => {
    const rows = rowsOf("learning", cards);
    expect(rows.map((row) => [row.key, row.cells.map((cell) => cell?.default ?? null)])).toEqual([
      ["learning_rate", [2e-4, 5e-6]],
      ["max_steps", [-1, null]],
    ]);
    expect(rowsOf("loss", cards).map((row) => row.cells[0])).toEqual([null]);
  });
  it("tell what differs from the default", () => {
    const stage = (settings: object) => ({ method: "dpo", settings }) as unknown as TrainStage;
    expect(differing(stage({ beta: 0.5 }), stage({ beta: 0.5 }), cards[1])).toEqual([]);
    expect(differing(stage({ beta: 0.1 }), stage({ beta: 0.5 }), cards[1])).toEqual(["beta"]);
    expect(differing(stage({ learning_rate: 5e-6 }), stage({}), cards[1])).toEqual([]);
  });
});
