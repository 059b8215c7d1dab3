import { beforeEach, describe, expect, it } from "vitest";
import { forget, keep, numbered, recall, type Kept } from "./kept";

const kept = (title: string): Kept => ({
  choices: { goal: "own" } as Kept["choices"],
  title,
  question: "",
  draft: null,
});

describe("kept choices", () => {
  beforeEach(() => localStorage.clear());

  it("come back by address until they are forgotten", () => {
    keep("new", kept("a"));
    keep("from/e1", kept("b"));
    keep("new", kept("c"));
    expect([recall("new")?.title, recall("from/e1")?.title, recall("draft/e2")]).toEqual(["c", "b", null]);
    forget("new");
    expect([recall("new"), recall("from/e1")?.title]).toEqual([null, "b"]);
  });
  it("do not pile up, and survive what cannot be read", () => {
    for (let index = 0; index < 20; index++) keep(`from/${index}`, kept(String(index)));
    expect([recall("from/0"), recall("from/19")?.title]).toEqual([null, "19"]);
    localStorage.setItem("alidade-wizard", "{");
    expect(recall("from/19")).toBe(null);
  });
  it("number a copy", () => {
    expect(numbered("A", ["A"])).toBe("A (2)");
    expect(numbered("A (2)", ["A", "A (2)"])).toBe("A (3)");
  });
});
