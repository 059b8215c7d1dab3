import { describe, expect, it } from "vitest";
import { FORMULAS } from "../messages/formulas";
import { formula, spoken } from "./math";

describe("formulas", () => {
  it("are read as a tree", () => {
    expect(formula("log x_t")).toEqual([
      { kind: "text", text: "log", italic: false },
      { kind: "text", text: " ", italic: false },
      { kind: "text", text: "x", italic: true },
      { kind: "script", low: [{ kind: "text", text: "t", italic: true }], high: [] },
    ]);
    const [fraction] = formula("\\frac{π_θ}{2}");
    expect(fraction).toMatchObject({ kind: "fraction", bottom: [{ text: "2", italic: false }] });
    expect(spoken(formula("β \\frac{a_i}{b}"))).toBe("β (ai) / (b)");
  });
  it("lose no letter, and every brace is closed", () => {
    for (const lines of Object.values(FORMULAS)) {
      for (const line of lines) {
        const letters = (text: string): string => text.replace(/\\frac|[\s_^{}()/]/g, "");
        expect(letters(spoken(formula(line)))).toBe(letters(line));
        expect(line.split("{").length).toBe(line.split("}").length);
      }
    }
  });
});
