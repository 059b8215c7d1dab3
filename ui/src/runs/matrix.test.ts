import { describe, expect, it } from "vitest";
import { evenly, matrix, repeats } from "./matrix";

const sample = (step: number, prompt: string, answer: string) => ({ step, prompt, answer, score: null });

describe("samples as a table", () => {
  it("have a row for a prompt and a column for a step, before the first one too", () => {
    const found = matrix([
      sample(0, "Why?", "No."),
      sample(0, "How?", "Well."),
      sample(20, "Why?", "Old."),
      sample(20, "Why?", "So."),
    ]);
    expect([found.prompts, found.steps]).toEqual([
      ["Why?", "How?"],
      [0, 20],
    ]);
    expect(found.at("Why?", 20)?.answer).toBe("So.");
    expect(found.at("How?", 20)).toBeUndefined();
    expect(repeats(found)).toBe(true);
  });
  it("are no table when every step has prompts of its own", () => {
    expect(repeats(matrix([1, 10].map((step) => sample(step, `Prompt ${step}`, ""))))).toBe(false);
  });
  it("choose columns evenly, the ends among them", () => {
    expect(evenly([0, 1, 2, 3, 4, 5, 6, 7, 8], 3)).toEqual([0, 4, 8]);
    expect(evenly([0, 20], 5)).toEqual([0, 20]);
  });
});
