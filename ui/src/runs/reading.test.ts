import { describe, expect, it } from "vitest";
import type { Sign, Watch } from "../backend/types";
import { evidence, read, situation } from "./reading";

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

describe("evidence", () => {
  const metric = (key: string) => ({ key, label: { en: key, zh: key } });
  const shown: Watch = {
    ...watch,
    charts: ["score", "length"].map((key) => ({
      title: metric(key).label,
      lines: [{ metric: metric(key), tone: "accent" as const }],
      usual: null,
    })),
  };
  it("is what the reading rests on, as smooth as the reading takes it", () => {
    const found = evidence(shown, shown.readings[0]!, { score: line(0, 4), length: line(20, 60) });
    expect(found.map(({ label, smoothed }) => [label.en, smoothed])).toEqual([
      ["score", true],
      ["length", true],
    ]);
    expect(found[0]!.to).toBeLessThan(4);
    expect(found[0]!.to).toBeGreaterThan(3);
  });
  it("is what was recorded where there is too little to read", () => {
    expect(evidence(shown, null, { score: [null, 0, 5, 4.2], length: [20, 50] })).toEqual([
      { label: { en: "score", zh: "score" }, from: 0, to: 4.2, smoothed: false },
    ]);
    expect(evidence(shown, null, { score: [1] })).toEqual([]);
  });
});

describe("what can be said", () => {
  it("promises nothing after the end", () => {
    expect(situation("running", 0, null)).toBe("waiting");
    expect(situation("running", 4, null)).toBe("early");
    expect(situation("finished", 5, null)).toBe("short");
    expect(situation("stopped", 5, null)).toBe("short");
    expect(situation("discarded", 0, null)).toBe("nothing");
    expect(situation("failed", 0, null)).toBe("nothing");
    expect(situation("failed", 40, watch.readings[3]!)).toBe("reading");
  });
});
