import { describe, expect, it } from "vitest";
import type { Chart, Line, RunView, Watch } from "../backend/types";
import { charts, figures, nameAndUnit, shownValues } from "./layout";

const line = (key: string, tone: Line["tone"] = "accent"): Line => ({
  metric: { key, label: { en: key, zh: key } },
  tone,
});
const chart = (...lines: Line[]): Chart => ({ title: lines[0]!.metric.label, lines, usual: null });
const of = (list: Chart[], more: Partial<Watch> = {}): Watch => ({
  charts: list,
  needs: [],
  readings: [],
  margin: null,
  ...more,
});
const run = (cost?: string): Pick<RunView, "work"> => ({ work: { kind: "train", cost } }) as unknown as RunView;

const dpo = of(
  [
    chart(line("rewards/margins")),
    chart(line("rewards/chosen"), line("rewards/rejected", "dashed")),
    chart(line("rewards/accuracies")),
    chart(line("loss")),
  ],
  { margin: "rewards/margins" },
);
const ppo = of(
  ["objective/scores", "objective/kl", "completions/mean_length", "objective/costs"].map((key) => chart(line(key))),
  { needs: ["objective/scores"] },
);

describe("what comes first", () => {
  it("is the margin with both of its parts, and the loss, for methods that compare", () => {
    const { main, more } = charts(dpo, run(), {}, false);
    expect(main.map((found) => found.lines.map((each) => each.metric.key))).toEqual([
      ["rewards/margins", "rewards/chosen", "rewards/rejected"],
      ["loss"],
    ]);
    expect(main[0]!.lines.map((each) => [each.tone, each.dashed])).toEqual([
      ["ink", false],
      ["accent", false],
      ["rejected", true],
    ]);
    expect(more.map((found) => found.key)).toEqual(["rewards/accuracies"]);
    expect(figures(dpo).map((metric) => metric.key)).toEqual(["rewards/margins", "rewards/accuracies", "loss"]);
  });
  it("is the score and the distance from the start for methods that learn from scores", () => {
    expect(charts(ppo, run("oracle"), {}, false).main.map((found) => found.key)).toEqual([
      "objective/scores",
      "objective/kl",
    ]);
    expect(figures(ppo).map((metric) => metric.key)).toEqual([
      "objective/scores",
      "objective/kl",
      "completions/mean_length",
    ]);
  });
  it("leaves out what no data can come for", () => {
    expect(charts(ppo, run(), {}, false).more.map((found) => found.key)).toEqual(["completions/mean_length"]);
    const ended = charts(ppo, run("oracle"), { "objective/scores": [1] }, true);
    expect([...ended.main, ...ended.more].map((found) => found.key)).toEqual(["objective/scores"]);
  });
  it("adds the schedule, which is not smoothed", () => {
    const { more } = charts(dpo, run(), { learning_rate: [0] }, false);
    expect(more.at(-1)).toMatchObject({ key: "learning_rate", lines: [{ smooth: false }] });
  });
});

describe("texts and values", () => {
  it("part a unit from its name", () => {
    expect(nameAndUnit("loss (nats)")).toEqual(["loss", "nats"]);
    expect(nameAndUnit("损失（奈特）")).toEqual(["损失", "奈特"]);
    expect(nameAndUnit("weight of harm (λ)")).toEqual(["weight of harm (λ)", ""]);
    expect(nameAndUnit("accuracy")).toEqual(["accuracy", ""]);
  });
  it("do not count ties as wrong", () => {
    const curves = { "rewards/margins": [0, 0, 0.2], "rewards/accuracies": [0, 0, 0.8] };
    expect(shownValues("rewards/accuracies", curves)).toEqual([null, null, 0.8]);
    expect(shownValues("rewards/margins", curves)).toEqual([0, 0, 0.2]);
  });
});
