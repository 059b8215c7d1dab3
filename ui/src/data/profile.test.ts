import { expect, test } from "vitest";
import { barsOf, medianPlace, percent } from "./profile";

const histogram = { low: 10, width: 5, counts: [2, 8, 0, 4], median: 17.5, longest: 29 };

test("bars are relative to the tallest", () => {
  expect(barsOf(histogram).map((bar) => [bar.from, bar.to, bar.height])).toEqual([
    [10, 15, 0.25],
    [15, 20, 1],
    [20, 25, 0],
    [25, 30, 0.5],
  ]);
  expect(barsOf({ ...histogram, counts: [] })).toEqual([]);
});

test("the median stays inside", () => {
  expect(medianPlace(histogram)).toBe(0.375);
  expect(medianPlace({ ...histogram, median: 90 })).toBe(1);
  expect(medianPlace({ ...histogram, counts: [] })).toBe(0);
});

test("small and large shares stay visible", () => {
  expect([0, 0.004, 0.61, 0.996, 1].map(percent)).toEqual(["0 %", "< 1 %", "61 %", "> 99 %", "100 %"]);
});
