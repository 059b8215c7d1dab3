import { describe, expect, it } from "vitest";
import type { Preset } from "../backend/types";
import { intervals, outcomeOf } from "./measured";

const estimate = (value: number) => ({ value, low: value - 0.05, high: value + 0.05, n: 200, unreadable: 0 });
const preset = (measures: object[] | null): Preset =>
  ({ id: "p", measured: measures && { measures, seconds: 40, machine: "m" } }) as unknown as Preset;

describe("the measured result of a preset", () => {
  it("is the first figure with both ends, a rate from 0 to 1", () => {
    const outcome = outcomeOf(
      preset([
        { unit: "nats", values: [null, estimate(1)] },
        { unit: "rate", values: [estimate(0.39), estimate(0.6), estimate(0.91)] },
      ]),
    );
    expect([outcome?.before.value, outcome?.after.value, outcome?.low, outcome?.high]).toEqual([0.39, 0.91, 0, 1]);
    expect(outcome && intervals(outcome)).toBe("34–44 → 86–96, n = 200");
    const nats = outcomeOf(preset([{ unit: "nats", values: [estimate(2), estimate(1)] }]));
    expect([nats?.low, nats?.high]).toEqual([0.95, 2.05]);
  });
  it("is nothing where nobody measured", () => {
    expect([outcomeOf(preset(null)), outcomeOf(preset([]))]).toEqual([null, null]);
  });
});
