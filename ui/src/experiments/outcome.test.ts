import { describe, expect, it } from "vitest";
import type { Evaluation, ExperimentSummary, RunView, Stage } from "../backend/types";
import { datasetIds, modelIds, outcomeOf, secondsLeft, beginsShort, shownState } from "./outcome";

const train = (method: string, dataset = "d", settings = {}): Stage =>
  ({ kind: "train", method, model: "model:m", dataset: `dataset:${dataset}`, seed: 1, settings }) as unknown as Stage;
const run = (stage: number, state: string, evaluations: Evaluation[] = []): RunView =>
  ({ stage, state, evaluations, method: "sft", work: train(stage === 0 ? "sft" : "dpo") }) as unknown as RunView;
const stages = [train("sft"), train("dpo", "p")];
const summary = (state: string, runs: RunView[], overall: Evaluation[] = []): ExperimentSummary =>
  ({ experiment: { stages, choices: null }, state, runs, overall }) as unknown as ExperimentSummary;
const measured = { suite: "s", measures: [], stacks: [] } as unknown as Evaluation;

describe("a row of the home screen", () => {
  it("names what was chosen, each once", () => {
    expect([modelIds(stages), datasetIds([...stages, train("dpo", "p")])]).toEqual([["m"], ["d", "p"]]);
  });
  it("waits while no run of it works", () => {
    expect(shownState(summary("running", [run(0, "queued"), run(1, "queued")]))).toBe("queued");
    expect(shownState(summary("running", [run(0, "finished"), run(1, "running")]))).toBe("running");
    expect(shownState(summary("finished", [run(0, "finished")]))).toBe("finished");
  });
  it("says whose outcome it shows while a later stage has none", () => {
    const half = summary("running", [run(0, "finished", [measured]), run(1, "running")]);
    expect(outcomeOf(half)).toEqual({ evaluations: [measured], after: stages[0] });
    const whole = summary("finished", [run(0, "finished", [measured]), run(1, "finished", [measured])], [measured]);
    expect(outcomeOf(whole).after).toBeNull();
    expect(outcomeOf(summary("draft", []))).toEqual({ evaluations: [], after: null });
  });
  it("estimates the rest by the pace, and before there is one by the plan", () => {
    const estimate = { seconds: 60, comparing_seconds: 5 };
    const at = (more: object): RunView =>
      ({ phase: "training", total_steps: 20, estimate, ...more }) as unknown as RunView;
    expect(secondsLeft(at({ step: 10, seconds: 30 }))).toBe(35);
    expect(secondsLeft(at({ step: 0, seconds: 4 }))).toBe(56);
    expect(secondsLeft(at({ phase: "evaluating", step: 20, seconds: 30 }))).toBeNull();
  });
  it("knows the experiment whose SFT is short on purpose", () => {
    const made = (epochs: number) => ({
      choices: null,
      stages: [train("sft", "alder-bay-answers", { num_train_epochs: epochs }), train("dpo", "alder-bay-pairs")],
    });
    expect([made(0.32), made(6)].map(beginsShort)).toEqual([true, false]);
    expect(beginsShort({ choices: null, stages })).toBe(false);
  });
});
