import { describe, expect, it } from "vitest";
import { readDpo, readSft } from "./reading";

const line = (from: number, to: number, n = 40): number[] => Array.from({ length: n }, (_, i) => from + ((to - from) * i) / (n - 1));

describe("plain readings", () => {
  it("waits for ten steps", () => {
    expect(readSft({ loss: line(3, 1, 8) })).toBe("begin");
    expect(readDpo({})).toBe("begin");
  });
  it("reads the loss of SFT", () => {
    expect(readSft({ loss: line(3, 1) })).toBe("sftFalling");
    expect(readSft({ loss: line(1, 1) })).toBe("sftFlat");
    expect(readSft({ loss: line(1, 3) })).toBe("sftRising");
  });
  it("reads margins and rewards of DPO", () => {
    const run = (margin: number, chosen: number): string => readDpo({ "rewards/margins": line(0, margin), "rewards/chosen": line(0, chosen) });
    expect(run(3, 1)).toBe("dpoGood");
    expect(run(3, -1)).toBe("dpoChosenFalls");
    expect(run(3, -9)).toBe("dpoFar");
    expect(run(0.01, 0)).toBe("dpoFlat");
    expect(run(-2, 0)).toBe("dpoReversed");
  });
});
