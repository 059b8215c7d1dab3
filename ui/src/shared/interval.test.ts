import { describe, expect, it } from "vitest";
import { place, scaleOf } from "./interval";

const estimate = (low: number, high: number) => ({ value: (low + high) / 2, low, high, n: 100, unreadable: 0 });

describe("the scale of an interval plot", () => {
  it("is 0 to 100 % for rates, whatever they are", () => {
    expect(scaleOf({ unit: "rate" }, [estimate(0.3, 0.4)])).toMatchObject({ low: 0, high: 1 });
  });
  it("holds every interval between round ticks", () => {
    const scale = scaleOf({ unit: "nats" }, [estimate(1.68, 1.72), estimate(1.43, 1.5)]);
    expect(scale.low).toBeLessThanOrEqual(1.43);
    expect(scale.high).toBeGreaterThanOrEqual(1.72);
    expect(scale.ticks.map((tick) => Number(tick.toFixed(6)))).toEqual([1.4, 1.5, 1.6, 1.7, 1.8]);
  });
  it("exists for one value without any width", () => {
    const scale = scaleOf({ unit: "tokens" }, [estimate(12, 12)]);
    expect(scale.high).toBeGreaterThan(scale.low);
    expect(scaleOf({ unit: "tokens" }, [])).toMatchObject({ low: 0, high: 1 });
  });
  it("keeps what lies outside at its ends", () => {
    expect([-1, 0.25, 7].map((x) => place({ low: 0, high: 1 }, x))).toEqual([0, 25, 100]);
    expect(place({ low: 3, high: 3 }, 3)).toBe(50);
  });
});
