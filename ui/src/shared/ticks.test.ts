import { describe, expect, it } from "vitest";
import { pointValue, tickLabels, WHOLE } from "./ticks";

describe("labels of an axis", () => {
  it("have enough digits to be distinct, and no more", () => {
    expect(tickLabels([0.0018, 0.0019, 0.002])).toEqual(["0.0018", "0.0019", "0.0020"]);
    expect(tickLabels([0.693, 0.6932, 0.6934])).toEqual(["0.6930", "0.6932", "0.6934"]);
    expect(tickLabels([-2, 0, 2])).toEqual(["−2", "0", "2"]);
    expect(tickLabels([0, 0.5, 1])).toEqual(["0.0", "0.5", "1.0"]);
    expect(tickLabels([10, 20])).toEqual(["10", "20"]);
  });
  it("keep decimals where large values lie close together", () => {
    expect(tickLabels([0.9995, 0.99975, 1])).toEqual(["0.99950", "0.99975", "1.00000"]);
  });
  it("turn to powers of ten where decimals would run on", () => {
    expect(tickLabels([0, 0.00002, 0.00004])).toEqual(["0", "2e−5", "4e−5"]);
    expect(tickLabels([0.00001, 0.000015, 0.00002])).toEqual(["1e−5", "1.5e−5", "2e−5"]);
  });
  it("never round two ticks to one", () => {
    for (const apart of [1e-7, 3e-4, 0.02, 0.25, 2.5, 40]) {
      const labels = tickLabels([0, 1, 2, 3, 4].map((i) => -apart + i * apart));
      expect(new Set(labels).size).toBe(5);
    }
  });
  it("count whole steps", () => {
    expect(WHOLE.slice(0, 7)).toEqual([1, 2, 5, 10, 20, 50, 100]);
  });
});

describe("a value at a curve", () => {
  it("has three digits and a true minus", () => {
    expect([0, -3.919, 0.00005, 0.2869, 1284].map(pointValue)).toEqual(["0", "−3.92", "5e−5", "0.287", "1,284"]);
  });
});
