import { describe, expect, it } from "vitest";
import type { ChatView, Problem, Stack, StackView } from "../backend/types";
import { freshStack, reusable, sharedProblem, speedOf, stackHash, stackName, suggestedStacks, tonesOf } from "./panes";

const stack = (model: string, adapter?: string): Stack => ({
  prompt_rewriters: [],
  model: { id: model, name: model, sha256: `${model}-0123456789` },
  adapter: adapter ? { id: adapter, name: adapter, sha256: `${adapter}-0123456789` } : null,
  response_rewriters: [],
});
const view = (of: Stack): StackView => ({ stack: of, label: "", origin: { en: "", zh: "" }, experiment: null });
const chat = (stacks: Stack[], title = ""): ChatView => ({
  id: "c",
  title,
  stacks,
  system_prompt: "",
  sampling: { temperature: 0.7, top_p: 1, max_new_tokens: 128, seed: 42 },
  precision: "f32",
  messages: [],
  created_ms: 0,
});

describe("panes", () => {
  it("are named by model and adapter", () => {
    expect(stackName(stack("s", "dpo"))).toBe("s + dpo");
    expect(stackHash(stack("s", "dpo"))).toBe("dpo-0123");
    expect(stackHash(stack("starter"))).toBe("starter-");
  });
  it("have colours of their own: slate, teal, then the others; the same stack keeps its colour", () => {
    const five = [stack("s"), stack("s", "a"), stack("s", "b"), stack("s", "c"), stack("t")];
    expect(tonesOf(five)).toEqual(["base", "accent", "third", "fourth", "fifth"]);
    expect(tonesOf([stack("s"), stack("s")])).toEqual(["base", "base"]);
    expect(tonesOf([stack("s", "a")])).toEqual(["accent"]);
  });
  it("begin with a stack that is not shown yet", () => {
    const views = [stack("t"), stack("s"), stack("s", "a")].map(view);
    expect(freshStack(views, [stack("s")])).toEqual(stack("s", "a"));
    expect(freshStack(views, [stack("s"), stack("s", "a")])).toEqual(stack("t"));
    expect(freshStack(views.slice(1, 2), [stack("s")])).toEqual(stack("s"));
  });
  it("start as base and newest aligned model", () => {
    expect(suggestedStacks([stack("t"), stack("s"), stack("s", "a")].map(view))).toEqual([stack("s"), stack("s", "a")]);
    expect(suggestedStacks([stack("t")].map(view))).toEqual([stack("t")]);
    expect(suggestedStacks([])).toEqual([]);
  });
});

describe("chats", () => {
  it("are used again when nothing was said in them", () => {
    const stacks = [stack("s"), stack("s", "a")];
    expect(reusable([chat(stacks, "said"), chat([stack("s")]), chat(stacks)], stacks)?.title).toBe("");
    expect(reusable([chat(stacks, "said")], stacks)).toBeUndefined();
  });
  it("show one problem once", () => {
    const problem = (en: string): Problem => ({ code: "input", message: { en, zh: en }, hints: [], field: null });
    expect(sharedProblem({ 0: problem("long"), 1: problem("long") }, 2)?.message.en).toBe("long");
    expect(sharedProblem({ 0: problem("long"), 1: problem("gone") }, 2)).toBeNull();
    expect(sharedProblem({ 1: problem("gone") }, 2)).toBeNull();
  });
  it("tell the speed where it was measured", () => {
    const message = { role: "assistant" as const, content: "" };
    const answer = { turn: 0, pane: 0, message, badge: null, end: null, seed: null };
    expect(speedOf({ ...answer, tokens: 92, seconds: 2 })).toBe(46);
    expect(speedOf({ ...answer, tokens: null, seconds: null })).toBeNull();
  });
});
