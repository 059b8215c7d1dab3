import { describe, expect, it } from "vitest";
import type { ExperimentSummary, MethodCard, RunView } from "../backend/types";
import { align, figures, groups, twins } from "./curves";
import { namesOf } from "./naming";
import { promptRows } from "./prompts";
import { differences } from "./settings";

const train = (method: string, settings = {}, seed = 42) => ({
  kind: "train",
  method,
  model: "model:m",
  dataset: "dataset:d",
  seed,
  settings,
});
const experiment = (title: string, ...stages: unknown[]): ExperimentSummary =>
  ({ experiment: { id: title, title, stages }, runs: [], overall: [] }) as unknown as ExperimentSummary;
const cards = [
  { name: "dpo", settings: [{ key: "beta", default: 0.1, label: { en: "Beta", zh: "β" } }], watch: { charts: [] } },
] as unknown as MethodCard[];
const numbered = (name: string, n: number): string => `${name} (${n})`;

describe("settings that differ", () => {
  it("count defaults as values and leave out what is the same", () => {
    const list = [experiment("a", train("dpo", { beta: 0.1 })), experiment("b", train("dpo"))];
    expect(differences(list, cards)).toEqual([]);
    const other = [experiment("a", train("dpo", { beta: 0.5 })), experiment("b", train("dpo", {}, 7))];
    expect(differences(other, cards).map(({ key, values }) => [key, values])).toEqual([
      ["seed", [42, 7]],
      ["beta", [0.5, 0.1]],
    ]);
  });
  it("name other pipelines once and compare the stages they share", () => {
    const list = [
      experiment("a", train("sft"), train("dpo")),
      experiment("b", train("sft", { lr: 2 }), train("orpo")),
      experiment("c", train("sft", { lr: 1 })),
    ];
    const found = differences(list, cards);
    expect(found.map((row) => row.key)).toEqual(["method", "lr"]);
    expect(found[1]?.values).toEqual([null, 2, 1]);
  });
});

describe("names beside each other", () => {
  const beta = [{ key: "beta", values: [0.05, 0.5, 0.5] }];
  it("are titles where these differ, else what differs", () => {
    expect(namesOf([experiment("a"), experiment("b")], [], numbered)).toEqual(["a", "b"]);
    expect(namesOf([experiment("t"), experiment("t"), experiment("u")], beta, numbered)).toEqual([
      "beta 0.05",
      "beta 0.5",
      "u",
    ]);
  });
  it("are numbered where nothing differs", () => {
    expect(namesOf([experiment("t"), experiment("t")], [], numbered)).toEqual(["t", "t (2)"]);
    expect(namesOf([experiment("t"), experiment("t"), experiment("t")], beta, numbered)).toEqual([
      "beta 0.05",
      "beta 0.5",
      "beta 0.5 (2)",
    ]);
  });
});

describe("curves beside each other", () => {
  it("lie on one axis and leave gaps", () => {
    const found = align([
      [
        [1, 5],
        [3, 4],
      ],
      [
        [1, 7],
        [2, 6],
      ],
    ]);
    expect(found.steps).toEqual([1, 2, 3]);
    expect(found.values).toEqual([
      [5, null, 4],
      [7, 6, null],
    ]);
  });
  it("are of methods that two experiments share, the last stage first", () => {
    const run = (method: string): RunView =>
      ({ method, work: { kind: "train" }, metrics: { loss: 1 } }) as unknown as RunView;
    const list = [
      { runs: [run("sft"), run("dpo")] },
      { runs: [run("sft"), run("dpo")] },
      { runs: [run("orpo")] },
    ] as unknown as ExperimentSummary[];
    expect(groups(list).map(({ method, runs }) => [method, runs.map(Boolean)])).toEqual([
      ["dpo", [true, true, false]],
      ["sft", [true, true, false]],
    ]);
  });
  it("are named as the method's charts name them", () => {
    const words = (en: string) => ({ en, zh: en });
    const card = {
      watch: {
        charts: [
          { title: words("Loss"), lines: [{ metric: { key: "loss", label: words("loss") } }] },
          {
            title: words("Rewards"),
            lines: [
              { metric: { key: "c", label: words("chosen") } },
              { metric: { key: "r", label: words("rejected") } },
            ],
          },
        ],
      },
    } as unknown as MethodCard;
    const run = { metrics: { loss: 1, c: 1 } } as unknown as RunView;
    expect(figures([run, run], card).map(({ key, title }) => [key, title.en])).toEqual([
      ["loss", "Loss"],
      ["c", "Rewards: chosen"],
    ]);
  });
  it("are told to be identical", () => {
    expect(twins([[[1, 2]], [[1, 3]], [[1, 2]], []])).toEqual([[0, 2]]);
  });
});

describe("prompts across experiments", () => {
  const asked = (...answers: [string, string][]): ExperimentSummary =>
    ({
      overall: [
        {
          stacks: [{}, {}],
          baseline: 0,
          samples: answers.map(([prompt, label]) => ({
            prompt: [{ role: "user", content: prompt }],
            answers: [
              { text: "base", label: null },
              { text: label, label: { en: label, zh: label } },
            ],
            flagged: prompt === "harm",
          })),
        },
      ],
    }) as unknown as ExperimentSummary;
  it("are those that all were asked", () => {
    const rows = promptRows([
      asked(["a", "good"], ["b", "good"], ["harm", "good"], ["a", "good"]),
      asked(["harm", "good"], ["a", "rude"]),
    ]);
    expect(rows.map(({ prompt, differs, flagged }) => [prompt, differs, flagged])).toEqual([
      ["a", true, false],
      ["harm", false, true],
    ]);
    expect(promptRows([asked(["a", "good"]), { overall: [] } as unknown as ExperimentSummary])).toEqual([]);
  });
});
