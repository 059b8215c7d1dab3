import { describe, expect, it } from "vitest";
import type { Estimate, Measure } from "../backend/types";
import { bytes, change, direction, duration, figure, interval, value } from "./format";

const estimate = (v: number, low: number, high: number, unreadable = 0): Estimate => ({
  value: v,
  low,
  high,
  n: 200,
  unreadable,
});
const measure = (better: Measure["better"] = "higher", unit = "rate"): Measure => ({
  key: "good",
  unit,
  better,
  words: {
    title: { en: "good answers", zh: "好回答" },
    explanation: { en: "", zh: "" },
    unit: unit === "nats" ? { en: "nats", zh: "奈特" } : { en: "", zh: "" },
  },
  values: [],
  changes: [],
});

describe("figures", () => {
  it("keep unit, interval and n", () => {
    expect(value(measure(), estimate(0.884, 0.83, 0.92))).toBe("88 %");
    expect(interval(measure(), estimate(0.884, 0.83, 0.92, 3))).toBe("83–92, n = 200, 3 unreadable");
    expect(value(measure("lower", "nats"), estimate(1.416, 1, 2))).toBe("1.42 nats");
    expect(value(measure("lower", "parsecs"), estimate(1.416, 1, 2))).toBe("1.42 parsecs");
    expect(value(measure(), null)).toBe("–");
  });
  it("say no more than the interval", () => {
    expect(direction(measure("higher"), estimate(0.5, 0.4, 0.6))).toBe("better");
    expect(direction(measure("higher"), estimate(-0.5, -0.6, -0.4))).toBe("worse");
    expect(direction(measure("lower"), estimate(-0.5, -0.6, -0.4))).toBe("better");
    expect(direction(measure("higher"), estimate(0.1, -0.1, 0.3))).toBe("unclear");
    expect(direction(measure("higher"), null)).toBe("unclear");
    expect(change(measure(), estimate(0.52, 0.45, 0.59))).toBe("+52 (+45 … +59)");
  });
  it("have as many digits as help", () => {
    expect([0.0421, 1.832, 15.22, 152.4, 0.00002, NaN].map(figure)).toEqual([
      "0.042",
      "1.83",
      "15.2",
      "152",
      "2.0e-5",
      "–",
    ]);
    expect([12, 75, 3700].map(duration)).toEqual(["12 s", "1 min 15 s", "1 h 1 min"]);
    expect([900, 12_400_000, 3_000_000_000].map(bytes)).toEqual(["1 kB", "12 MB", "3.0 GB"]);
  });
});
