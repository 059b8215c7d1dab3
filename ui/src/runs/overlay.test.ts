import { describe, expect, it } from "vitest";
import type { MethodCard, RunView } from "../backend/types";
import { align, differences } from "./overlay";

describe("runs side by side", () => {
  it("lay curves on one axis and leave gaps", () => {
    const found = align([
      [
        [1, 5],
        [3, 4],
      ],
      [
        [1, 7],
        [2, 6],
      ],
    ]);
    expect(found.steps).toEqual([1, 2, 3]);
    expect(found.values).toEqual([
      [5, null, 4],
      [7, 6, null],
    ]);
  });
  it("show what differs and count defaults as values", () => {
    const run = (settings: Record<string, number>, seed = 1): RunView =>
      ({
        method: "dpo",
        work: { kind: "train", method: "dpo", model: "m", dataset: "d", seed, settings },
      }) as unknown as RunView;
    const cards = [
      {
        name: "dpo",
        settings: [
          { key: "beta", default: 0.1 },
          { key: "max_steps", default: -1 },
        ],
      },
    ] as unknown as MethodCard[];
    expect(differences([run({ beta: 0.1 }), run({})], cards)).toEqual([]);
    expect(differences([run({ beta: 0.5 }), run({}, 2)], cards)).toEqual([
      { key: "seed", values: [1, 2] },
      { key: "beta", values: [0.5, 0.1] },
    ]);
  });
});
