import { beforeEach, describe, expect, it, vi } from "vitest";

const answers: Record<string, unknown> = {
  list_models: [{ model: { id: "starter", name: "starter", sha256: "9f" }, parameters: 1, bundled: true }],
  list_datasets: [
    { id: "a", name: "answers", kind: "answers", summary: { kept: 5 } },
    { id: "p", name: "pairs", kind: "pairs", summary: { kept: 5 } },
  ],
  list_methods: [
    {
      name: "sft",
      settings: [
        { key: "learning_rate", default: 2e-4, level: "simple", value_kind: { type: "number", low: 0, high: 1 } },
      ],
    },
    {
      name: "dpo",
      settings: [
        { key: "learning_rate", default: 5e-6, level: "simple", value_kind: { type: "number", low: 0, high: 1 } },
      ],
    },
  ],
  list_presets: [],
  import_dataset: { id: "n", name: "new", kind: "pairs", summary: { kept: 3 } },
};
interface Asked {
  hear: (news: unknown) => void;
  signal: AbortSignal;
  end: () => void;
  fail: (problem: unknown) => void;
}
const asked: Asked[] = [];
vi.mock("../backend", () => ({
  backend: {
    call: (name: string) => Promise.resolve(answers[name]),
    stream: (_name: string, _request: object, hear: Asked["hear"], signal: AbortSignal) =>
      new Promise<void>((end, fail) => asked.push({ hear, signal, end, fail })),
  },
  asProblem: (error: unknown) => error,
}));
const { WizardState } = await import("./wizard.svelte");

describe("the wizard", () => {
  let wizard: InstanceType<typeof WizardState>;
  beforeEach(async () => {
    wizard = new WizardState();
    await wizard.load();
    wizard.goal = "own";
  });

  it("lets the data choose the method", () => {
    wizard.pairs = "p";
    expect(wizard.pipeline.map((recipe) => recipe.method)).toEqual(["dpo"]);
    wizard.answers = "a";
    expect(wizard.pipeline.map((recipe) => recipe.method)).toEqual(["sft", "dpo"]);
    expect(wizard.pipeline[1]).toMatchObject({ adapter: "stage:1", dataset: "dataset:p", model: "model:starter" });
    expect(wizard.pipeline[0]?.adapter).toBeUndefined();
  });

  it("doubles the rate for strong and lets a typed value win", () => {
    wizard.pairs = "p";
    wizard.strength = "strong";
    expect(wizard.pipeline[0]?.settings["learning_rate"]).toBeCloseTo(1e-5);
    wizard.set("dpo", "learning_rate", 3e-6);
    expect(wizard.pipeline[0]?.settings["learning_rate"]).toBe(3e-6);
  });

  it("chooses an imported set", async () => {
    wizard.answers = "a";
    await wizard.import("h1");
    expect([wizard.answers, wizard.pairs]).toEqual(["a", "n"]);
    wizard.goal = "kind_and_true";
    await wizard.import("h1");
    expect([wizard.goal, wizard.answers, wizard.pairs]).toEqual(["own", "", "n"]);
  });

  it("chains reward models, policies and judges", () => {
    wizard.answers = "a";
    [wizard.pairs, wizard.fromPairs] = ["p", "reward_model"];
    [wizard.prompts, wizard.fromReward] = ["a", "ppo"];
    expect(wizard.pipeline.map((recipe) => [recipe.method, recipe.adapter, recipe.reward])).toEqual([
      ["sft", undefined, undefined],
      ["reward_model", undefined, undefined],
      ["ppo", "stage:1", "stage:2"],
    ]);
    wizard.oracle = true;
    expect(wizard.pipeline[2]?.reward).toBe("oracle");
    wizard.limit = "oracle";
    expect(wizard.pipeline[2]?.cost).toBe("oracle");
    wizard.limit = "model";
    expect(
      wizard.pipeline.map((recipe) => [recipe.method, recipe.cost, recipe.settings["loss_type"]]).slice(2),
    ).toEqual([
      ["reward_model", undefined, "cost"],
      ["ppo", "stage:3", undefined],
    ]);
    wizard.limit = "";
    wizard.model = "other";
    expect(wizard.pipeline[2]?.reward).toBe("stage:2");
    wizard.pairs = "";
    expect(wizard.pipeline[1]?.reward).toBeUndefined();
  });

  it("gives an older plan up for a newer one and never shows it as such", async () => {
    vi.useFakeTimers();
    const working = { kind: "working", doing: "measuring", stage: 0, seconds: 2.4 };
    const checked = (ready: boolean) => ({
      kind: "checked",
      checked: { ready, problems: [], warnings: [], stages: [] },
    });
    asked.length = 0;
    wizard.pairs = "p";
    wizard.checkSoon();
    expect([wizard.checking, wizard.checked]).toEqual([true, null]);
    vi.advanceTimersByTime(300);
    asked[0]!.hear(working);
    expect(wizard.doing).toMatchObject({ doing: "measuring", seconds: 2.4 });
    wizard.checkSoon();
    expect(asked[0]!.signal.aborted).toBe(true);
    vi.advanceTimersByTime(300);
    asked[0]!.hear(checked(false));
    asked[0]!.fail({ code: "conflict", message: "given up" });
    await Promise.resolve();
    expect([wizard.checking, wizard.checked, wizard.problem]).toEqual([true, null, null]);
    asked[1]!.hear(checked(true));
    expect([wizard.checking, wizard.checked?.ready]).toEqual([false, true]);
    wizard.checkSoon();
    vi.advanceTimersByTime(300);
    wizard.stopChecking();
    expect([asked[2]!.signal.aborted, wizard.checking, wizard.checked, wizard.stopped]).toEqual([
      true,
      false,
      null,
      true,
    ]);
    vi.useRealTimers();
  });
});
