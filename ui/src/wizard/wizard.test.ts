import { beforeEach, describe, expect, it, vi } from "vitest";

const words = (text: string) => ({ en: text, zh: text });
const answers: Record<string, unknown> = {
  list_models: [{ model: { id: "starter", name: "starter", sha256: "9f" }, parameters: 1, bundled: true }],
  list_datasets: [
    { id: "a", name: "answers", kind: "answers", summary: { kept: 5 } },
    { id: "p", name: "pairs", kind: "pairs", summary: { kept: 5 } },
  ],
  list_methods: [
    { name: "sft", place: "answers", needs: ["answers", "texts"], settings: [], variants: [] },
    {
      name: "dpo",
      place: "pairs",
      needs: ["pairs"],
      settings: [{ key: "beta", default: 0.1, value_kind: { type: "number", low: 0, high: 9 } }],
      variants: [],
    },
    { name: "cpo", place: "pairs", needs: ["pairs"], settings: [], variants: [] },
  ],
  list_presets: [
    {
      id: "kind_and_true",
      model: "starter",
      words: { name: words("Kind"), text: words(""), title: words("Kinder?"), question: words("How kind?") },
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
const called: [string, object][] = [];
vi.mock("../backend", () => ({
  backend: {
    call: (name: string, request: object) => {
      called.push([name, request]);
      return Promise.resolve(answers[name]);
    },
    stream: (_name: string, _request: object, hear: Asked["hear"], signal: AbortSignal) =>
      new Promise<void>((end, fail) => asked.push({ hear, signal, end, fail })),
  },
  asProblem: (error: unknown) => error,
}));
const { WizardState } = await import("./wizard.svelte");

describe("the wizard", () => {
  let wizard: InstanceType<typeof WizardState>;
  beforeEach(async () => {
    localStorage.clear();
    called.length = 0;
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

  it("forgets a change that returns to the default, and resets", async () => {
    answers["compose_pipeline"] = [{ kind: "train", method: "dpo", settings: { beta: 0.5 } }];
    wizard.choices.pairs.dataset = "p";
    await wizard.compose();
    wizard.set("dpo", "beta", 0.2);
    expect(wizard.choices.changes).toEqual({ dpo: { beta: 0.2 } });
    wizard.set("dpo", "beta", 0.5);
    expect(wizard.choices.changes).toEqual({});
    wizard.setLora({ r: 64 });
    Object.assign(wizard.choices, { seed: 7, compare: 0, strength: "strong" });
    expect([wizard.changed, wizard.choices.lora?.r]).toEqual([4, 64]);
    wizard.setLora({ r: 16 });
    expect(wizard.choices.lora).toBe(null);
    wizard.resetAll();
    expect([wizard.changed, wizard.choices.seed]).toEqual([0, 42]);
    wizard.plan.stop();
  });

  it("starts nothing that lacks a title or has a field that cannot be sent", () => {
    wizard.chooseGoal("kind_and_true");
    wizard.pipeline = [{ method: "dpo" }] as never;
    wizard.plan.checked = { ready: true, problems: [], warnings: [], stages: [] } as never;
    expect([wizard.title, wizard.ready]).toEqual(["Kinder?", true]);
    wizard.title = " ";
    expect([wizard.ready, wizard.problems[0]?.field]).toEqual([false, "choices.title"]);
    wizard.title = "Mine";
    wizard.refuse("seed", words("no"));
    expect([wizard.ready, wizard.problems[0]?.field]).toEqual([false, "choices.seed"]);
    wizard.refuse("seed", null);
    expect(wizard.ready).toBe(true);
  });

  it("keeps unfinished choices until they are saved or thrown away", async () => {
    wizard.chooseGoal("kind_and_true");
    wizard.choices.seed = 7;
    wizard.keep();
    const again = new WizardState();
    await again.load();
    expect([again.restored, again.goal, again.choices.seed, again.open]).toEqual([true, "kind_and_true", 7, null]);
    answers["create_experiment"] = { experiment: { id: "e1" } };
    answers["update_draft"] = { experiment: { id: "e1" } };
    await again.save();
    await again.start();
    again.done();
    again.keep();
    const names = called.map(([name]) => name).filter((name) => !name.startsWith("list_"));
    expect(names).toEqual([
      "compose_pipeline",
      "create_experiment",
      "compose_pipeline",
      "update_draft",
      "start_experiment",
    ]);
    const fresh = new WizardState();
    await fresh.load();
    expect([fresh.restored, fresh.goal]).toEqual([false, null]);
  });

  it("opens a copy under a new title, a draft under its own, and says when there are no choices", async () => {
    const choices = { ...wizard.choices, goal: "own", pairs: { dataset: "gone", method: "dpo" } };
    const made = (more: object) => ({
      experiment: { id: "e1", title: "A", question: "?", stages: [], choices, ...more },
      state: "draft",
    });
    answers["list_experiments"] = [made({})];
    answers["get_experiment"] = made({});
    const copy = new WizardState();
    await copy.load({ from: "e1" });
    expect([copy.title, copy.draft, copy.lost, copy.open]).toEqual(["A (2)", null, ["pairs"], "data"]);
    const draft = new WizardState();
    await draft.load({ draft: "e1" });
    expect([draft.title, draft.draft]).toEqual(["A", "e1"]);
    answers["get_experiment"] = made({ choices: null });
    const opaque = new WizardState();
    await opaque.load({ from: "e1" });
    expect([opaque.opaque?.experiment.id, opaque.goal]).toEqual(["e1", null]);
    const preset = (answers["list_presets"] as { stages: object[] }[])[0]!;
    answers["get_experiment"] = made({
      choices: null,
      stages: preset.stages.map((stage) => ({ ...stage, compare: 9 })),
    });
    const known = new WizardState();
    await known.load({ from: "e1" });
    expect([known.opaque, known.goal]).toEqual([null, "kind_and_true"]);
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
