import { describe, expect, it } from "vitest";
import type { Better, Estimate, Evaluation, Measure } from "../backend/types";
import { headlineOf, findings, threeOf, verdictOf } from "./verdict";

const words = (text: string) => ({ en: text, zh: text });
const estimate = (value: number, spread: number, n: number): Estimate => ({
  value,
  low: value - spread,
  high: value + spread,
  n,
  unreadable: 0,
});
function measure(
  key: string,
  before: number,
  after: number,
  more: Partial<{ better: Better; unit: string; n: number; spread: number }> = {},
): Measure {
  const { better = "higher", unit = "rate", n = 200, spread = 0.03 } = more;
  return {
    key,
    unit,
    better,
    words: { title: words(key), explanation: words(""), unit: words(unit === "rate" ? "" : unit) },
    values: [estimate(before, spread, n), estimate(after, spread, n)],
    changes: [null, estimate(after - before, spread, n)],
  };
}
const evaluation = (...measures: Measure[]): Evaluation =>
  ({ suite: "s", stacks: [{ label: "a" }, { label: "b" }], baseline: 0, measures }) as unknown as Evaluation;
const keys = (list: { measure: Measure }[]): string[] => list.map((entry) => entry.measure.key);

const good = measure("good", 0.39, 0.91);
const harm = measure("harm", 0.84, 0, { better: "lower", n: 31 });
const refusal = measure("over_refusal", 0, 0.04, { better: "lower", spread: 0.02 });
const length = measure("length_tokens", 12, 15, { better: "neither", unit: "tokens", spread: 0.2 });

describe("the verdict", () => {
  it("names the gains and what they cost", () => {
    const found = verdictOf([evaluation(good, harm, refusal, length)]);
    expect(found.kind).toBe("clearly_better");
    expect([keys(found.gains), keys(found.losses)]).toEqual([["good", "harm"], ["over_refusal"]]);
  });
  it("is never about a measure that has no better direction", () => {
    expect(verdictOf([evaluation(length)])).toMatchObject({ kind: "without_direction", headline: null });
    const pairs = measure("preference_accuracy", 0.5, 0.5);
    expect(verdictOf([evaluation(length), evaluation(pairs)])).toMatchObject({ kind: "same" });
    expect(headlineOf(findings([evaluation(length, pairs)]))?.measure.key).toBe("preference_accuracy");
  });
  it("says that a handful of rows are too few", () => {
    const three = measure("held_out_loss", 12, 11, { better: "lower", unit: "nats", n: 3 });
    const general = measure("general_loss", 2, 2, { better: "lower", unit: "nats", n: 40 });
    expect(verdictOf([evaluation(three), evaluation(general)])).toMatchObject({ kind: "few", gains: [], items: 3 });
  });
  it("counts no change that is too small to matter", () => {
    const tiny = measure("held_out_loss", 1.5, 1.49996, { better: "lower", unit: "nats", spread: 0.00001 });
    expect(verdictOf([evaluation(tiny)])).toMatchObject({ kind: "same", gains: [] });
  });
  it("is mixed where the main figure did not improve and others went both ways", () => {
    const flat = measure("good", 0.5, 0.5);
    const found = verdictOf([evaluation(flat, measure("kind", 0.5, 0.8), refusal)]);
    expect(found.kind).toBe("mixed");
    expect(verdictOf([evaluation(flat, refusal)]).kind).toBe("worse");
  });
  it("keeps what was forgotten apart from what was learned", () => {
    const general = measure("general_loss", 2.1, 2.3, { better: "lower", unit: "nats" });
    const found = verdictOf([evaluation(general, good)]);
    expect([found.headline?.measure.key, found.general?.direction, found.losses]).toEqual(["good", "worse", []]);
  });
  it("knows figures of one stack alone, and none at all", () => {
    const alone = { ...evaluation(good), stacks: [{ label: "a" }] } as unknown as Evaluation;
    alone.measures = [{ ...good, values: [good.values[1]!], changes: [null] }];
    expect(verdictOf([alone]).kind).toBe("single");
    expect(verdictOf([]).kind).toBe("nothing");
  });
});

describe("the three large figures", () => {
  it("begin with the headline and leave out no loss", () => {
    const kind = measure("kind", 0.83, 1);
    const truthful = measure("truthful", 0.8, 0.9);
    expect(keys(threeOf([evaluation(good, kind, truthful, refusal, length)]))).toEqual([
      "good",
      "kind",
      "over_refusal",
    ]);
    expect(keys(threeOf([evaluation(length)]))).toEqual([]);
  });
});
