import { describe, expect, it } from "vitest";
import type { Estimate, Measure } from "../backend/types";
import { bytes, change, clock, compact, direction, duration, figure, interval, shortDay, value } from "./format";
import { setLanguage } from "./i18n.svelte";

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
    expect(direction(measure("neither"), estimate(0.5, 0.4, 0.6))).toBe("neutral");
    expect(change(measure(), estimate(0.52, 0.45, 0.59))).toBe("+52 points (+45 … +59)");
    expect(change(measure(), estimate(0.001, -0.002, 0.004))).toBe("0 points (0 … 0)");
  });
  it("judge no change by a handful of rows, and none that is too small to matter", () => {
    expect(direction(measure(), { ...estimate(0.5, 0.4, 0.6), n: 3 })).toBe("few");
    expect(direction(measure(), estimate(0.01, 0.005, 0.015))).toBe("small");
    expect(direction(measure(), estimate(0.02, 0.005, 0.035))).toBe("better");
    expect(direction(measure("lower", "nats"), estimate(-0.00004, -0.00005, -0.00003))).toBe("small");
    expect(direction(measure("lower", "nats"), estimate(-0.02, -0.03, -0.01))).toBe("better");
    expect(direction(measure("higher", "reward"), estimate(0.001, 0.0005, 0.0015))).toBe("better");
  });
  it("tell the time of today and the date of other days", () => {
    const now = new Date(2026, 10, 28, 18, 0).getTime();
    const at = (year: number, month: number, day: number): string =>
      shortDay(new Date(year, month, day, 16, 30).getTime(), now);
    const shown = [at(2026, 10, 28), at(2026, 10, 3), at(2025, 10, 3)];
    // Which kind of space stands before PM differs between versions of the Unicode data.
    expect(shown.map((text) => text.replace(/\s/g, " "))).toEqual(["4:30 PM", "Nov 3", "Nov 3, 2025"]);
  });
  it("write negative numbers with a minus and leave scores without a unit", () => {
    expect(figure(-5.11)).toBe("−5.11");
    expect(interval(measure("higher", "reward"), estimate(-0.5, -0.6, 0.2))).toBe("−0.600 … 0.200, n = 200");
    expect(value(measure("higher", "reward"), estimate(0.379, 0, 1))).toBe("0.379");
  });
  it("read as Chinese in Chinese", () => {
    setLanguage("zh");
    expect([12, 250, 3700].map(duration)).toEqual(["12 秒", "4 分 10 秒", "1 小时 1 分"]);
    expect([134_515_008, 3_279_104, 900].map(compact)).toEqual(["1.35 亿", "328 万", "900"]);
    expect(interval(measure(), estimate(0.9, 0.86, 0.94))).toBe("86–94，n = 200");
    setLanguage("en");
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
    expect([16, 75, 3725].map(clock)).toEqual(["0:16", "1:15", "1:02:05"]);
    expect([900, 12_400_000, 3_000_000_000].map(bytes)).toEqual(["1 kB", "12 MB", "3.0 GB"]);
  });
});
