import { describe, expect, it } from "vitest";
import type { Sign, Watch } from "../backend/types";
import { read } from "./reading";

const line = (from: number, to: number, n = 40): number[] =>
  Array.from({ length: n }, (_, i) => from + ((to - from) * i) / (n - 1));
const sign = (key: string, above: boolean, than: number, plus: Sign["plus"] = null): Sign => ({
  key,
  above,
  than,
  plus,
});
const words = { en: "…", zh: "……" };
const watch: Watch = {
  charts: [],
  needs: ["score"],
  margin: null,
  readings: [
    {
      id: "swells",
      when: [
        sign("score", true, 0.05, { factor: 1, key: "score", at: "first" }),
        sign("length", true, 2, { factor: 1.5, key: "length", at: "first" }),
      ],
      says: words,
      alarm: true,
    },
    { id: "far", when: [sign("kl", true, 0, { factor: 0.1, key: "length", at: "last" })], says: words, alarm: true },
    { id: "low", when: [sign("score", false, -1)], says: words, alarm: false },
    { id: "else", when: [], says: words, alarm: false },
  ],
};

describe("plain readings", () => {
  it("wait for ten steps, and for what they need", () => {
    expect(read(watch, { score: line(0, 1, 8) })).toBeNull();
    expect(read(watch, { kl: line(0, 9) })).toBeNull();
  });
  it("are the first of which all signs are there", () => {
    const run = (curves: Record<string, number[]>): string | undefined => read(watch, curves)?.id;
    expect(run({ score: line(0, 2), length: line(20, 80) })).toBe("swells");
    expect(run({ score: line(0, 0), length: line(20, 80) })).toBe("else");
    expect(run({ score: line(0, 0), length: line(20, 20), kl: line(0, 3) })).toBe("far");
    expect(run({ score: line(0, -2) })).toBe("low");
    // A missing curve has no reading.
    expect(run({ score: line(0, 2) })).toBe("else");
  });
});
