import { beforeEach, describe, expect, it, vi } from "vitest";

const answers: Record<string, unknown> = {
  list_models: [{ model: { id: "starter", name: "starter", sha256: "9f" }, parameters: 1, bundled: true }],
  list_datasets: [
    { id: "a", name: "answers", kind: "answers", summary: { kept: 5 } },
    { id: "p", name: "pairs", kind: "pairs", summary: { kept: 5 } },
  ],
  list_methods: [
    { name: "sft", place: "answers", needs: ["answers", "texts"], settings: [], variants: [] },
    { name: "dpo", place: "pairs", needs: ["pairs"], settings: [], variants: [] },
    { name: "cpo", place: "pairs", needs: ["pairs"], settings: [], variants: [] },
  ],
  list_presets: [
    {
      id: "kind_and_true",
      model: "starter",
      words: null,
      stages: [
        { kind: "train", method: "sft", dataset: "dataset:a" },
        { kind: "train", method: "cpo", dataset: "dataset:p", reward: "oracle" },
      ],
    },
  ],
  compose_pipeline: [{ kind: "train", method: "dpo", settings: {} }],
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

  it("lets the program compose the pipeline, and shows the newest answer", async () => {
    wizard.choices.pairs.dataset = "p";
    expect(wizard.learner("pairs")?.name).toBe("dpo");
    expect(wizard.learner("answers")).toBeUndefined();
    const older = wizard.compose();
    answers["compose_pipeline"] = [{ kind: "train", method: "sft", settings: {} }];
    await Promise.all([wizard.compose(), older]);
    expect(wizard.pipeline.map((recipe) => recipe.method)).toEqual(["sft"]);
    wizard.plan.stop();
  });

  it("keeps what was set by method", () => {
    wizard.set("dpo", "beta", 0.5);
    wizard.set("dpo", "learning_rate", 3e-6);
    expect(wizard.choices.changes).toEqual({ dpo: { beta: 0.5, learning_rate: 3e-6 } });
  });

  it("takes the choices of a goal from its pipeline", () => {
    wizard.chooseGoal("kind_and_true");
    expect(wizard.choices).toMatchObject({
      goal: "kind_and_true",
      answers: { dataset: "a", method: "sft" },
      pairs: { dataset: "p", method: "cpo" },
      prompts: { dataset: "", method: "" },
      oracle: true,
    });
  });

  it("chooses an imported set", async () => {
    const chosen = () => [wizard.goal, wizard.choices.answers.dataset, wizard.choices.pairs.dataset];
    wizard.choices.answers.dataset = "a";
    await wizard.import("h1");
    expect(chosen()).toEqual(["own", "a", "n"]);
    wizard.goal = "kind_and_true";
    await wizard.import("h1");
    expect(chosen()).toEqual(["own", "", "n"]);
  });

  it("gives an older plan up for a newer one and never shows it as such", async () => {
    vi.useFakeTimers();
    const working = { kind: "working", doing: "measuring", stage: 0, seconds: 2.4 };
    const checked = (ready: boolean) => ({
      kind: "checked",
      checked: { ready, problems: [], warnings: [], stages: [] },
    });
    asked.length = 0;
    wizard.pipeline = [{ method: "dpo" }] as never;
    wizard.checkSoon();
    expect([wizard.checking, wizard.checked]).toEqual([true, null]);
    vi.advanceTimersByTime(300);
    asked[0]!.hear(working);
    expect(wizard.plan.doing).toMatchObject({ doing: "measuring", seconds: 2.4 });
    wizard.checkSoon();
    expect(asked[0]!.signal.aborted).toBe(true);
    vi.advanceTimersByTime(300);
    asked[0]!.hear(checked(false));
    asked[0]!.fail({ code: "conflict", message: "given up" });
    await Promise.resolve();
    expect([wizard.checking, wizard.checked, wizard.plan.problem]).toEqual([true, null, null]);
    asked[1]!.hear(checked(true));
    expect([wizard.checking, wizard.checked?.ready]).toEqual([false, true]);
    wizard.checkSoon();
    vi.advanceTimersByTime(300);
    wizard.plan.stop();
    expect([asked[2]!.signal.aborted, wizard.checking, wizard.checked, wizard.plan.stopped]).toEqual([
      true,
      false,
      null,
      true,
    ]);
    vi.useRealTimers();
  });
});
