import { describe, expect, it } from "vitest";
import { changedWords } from "./diff";

const changed = (before: string, after: string): string[] =>
  changedWords(before, after)
    .filter((piece) => piece.changed)
    .map((piece) => piece.text);

describe("changed words", () => {
  it("marks only what is new", () => {
    expect(changed("The goat sleeps here.", "The old goat sleeps very well here.")).toEqual(["old", "very", "well"]);
  });
  it("knows a word whatever its case", () => {
    expect(changed("Nine.", "The sum is nine.")).toEqual(["The", "sum", "is"]);
  });
  it("keeps the second text whole", () => {
    const after = "Gladly!  The sum\nis nine.";
    expect(
      changedWords("Ten.", after)
        .map((piece) => piece.text)
        .join(""),
    ).toBe(after);
  });
  it("marks nothing when nothing changed or the texts are too long", () => {
    expect(changed("same words", "same words")).toEqual([]);
    expect(changed("", "word ".repeat(500))).toEqual([]);
  });
});
