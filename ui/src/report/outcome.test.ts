import { expect, test } from "vitest";
import type { Estimate, Evaluation, Measure } from "../backend/types";
import { figuresOf, scaleOf } from "./outcome";

const words = { en: "", zh: "" };
const estimate = (value: number): Estimate => ({ value, low: value - 0.05, high: value + 0.05, n: 200, unreadable: 0 });
const measure = (key: string, better: Measure["better"], unit = "rate"): Measure => ({
  key,
  unit,
  better,
  words: { title: words, explanation: words, unit: words },
  values: [estimate(0.4), estimate(0.9)],
  changes: [null, estimate(0.5)],
});
const evaluation = (measures: Measure[], stacks = 2): Evaluation => ({
  suite: "s",
  title: words,
  stacks: Array.from({ length: stacks }, () => ({ label: "", key: "" })),
  baseline: 0,
  temperature: 0,
  seed: 0,
  measures,
  samples: [],
  worst: [],
  scores: null,
  pairs: [],
  seconds: 1,
});

test("figures that cannot become better are no outcome, and each counts once", () => {
  const found = figuresOf([
    evaluation([measure("length", "neither", "tokens"), measure("good", "higher")]),
    evaluation([measure("good", "higher"), measure("harm", "lower")]),
  ]);
  expect(found.map((figure) => [figure.measure.key, figure.before?.value, figure.direction])).toEqual([
    ["good", 0.4, "better"],
    ["harm", 0.4, "worse"],
  ]);
});

test("a single stack has no change", () => {
  const [figure] = figuresOf([evaluation([measure("good", "higher")], 1)]);
  expect([figure?.before, figure?.direction]).toEqual([null, null]);
});

test("rates stand on their whole scale, other units on what was measured", () => {
  const [rate, loss] = figuresOf([evaluation([measure("good", "higher"), measure("loss", "lower", "nats")])]);
  expect(scaleOf(rate!)).toEqual([0, 1]);
  const [low, high] = scaleOf(loss!);
  expect(low).toBeLessThan(0.35);
  expect(high).toBeGreaterThan(0.95);
});
