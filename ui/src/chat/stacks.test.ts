import { expect, test } from "vitest";
import type { StackView } from "../backend/types";
import { stackKey, stackLines } from "./stacks";

const view = (run: string): StackView => ({
  label: "starter + sft · 4776e352",
  origin: { en: "Kind and true", zh: "Kind and true" },
  experiment: `e-${run}`,
  stack: {
    prompt_rewriters: [],
    model: { id: "starter", name: "starter", sha256: "aa" },
    adapter: { id: run, name: "sft", sha256: "4776e352" },
    response_rewriters: [],
  },
});

test("equal adapters of two experiments have keys and lines of their own", () => {
  const views = [view("r1"), view("r2")];
  const keys = views.map((entry) => stackKey(entry.stack));
  expect(new Set(keys).size).toBe(2);
  expect(stackLines(views).map((entry) => entry.line)).toEqual([
    "starter + sft · 4776e352 — Kind and true (1)",
    "starter + sft · 4776e352 — Kind and true (2)",
  ]);
  expect(stackLines([view("r1")])[0]?.line).toBe("starter + sft · 4776e352 — Kind and true");
});
