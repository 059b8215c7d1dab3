import { describe, expect, it } from "vitest";
import { memoryFor, smooth } from "./smooth";

describe("smoothing", () => {
  it("does not climb out of ties at the beginning", () => {
    const curve = smooth([0, 0, 0.7, 0.7, 0.7]);
    expect(curve.slice(0, 2)).toEqual([0, 0]);
    for (const value of curve.slice(2)) expect(value).toBeCloseTo(0.7);
  });
  it("takes the first value into account where the curve moves at once", () => {
    expect(smooth([0, 1], 0.5)[1]).toBeCloseTo(2 / 3);
  });
  it("trails less behind short curves", () => {
    expect([5, 30, 60, 900].map((length) => Number(memoryFor(length).toFixed(2)))).toEqual([0, 0.7, 0.85, 0.85]);
  });
  it("keeps gaps, and stays between the values", () => {
    const curve = smooth([1, null, 3, NaN, 2]);
    expect([curve[1], curve[3]]).toEqual([null, null]);
    expect(curve[4]).toBeGreaterThan(1);
    expect(curve[4]).toBeLessThan(3);
    expect(smooth([5, 5, 5])).toEqual([5, 5, 5]);
  });
});
