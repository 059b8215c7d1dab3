import { describe, expect, it } from "vitest";
import type { SettingField, SettingKind } from "../backend/types";
import { decimal, readSetting, shortened, showSetting, toggled } from "./entry";

const words = { en: "", zh: "" };
const field = (value_kind: SettingKind): SettingField => ({
  key: "x",
  value_kind,
  default: 0,
  level: "simple",
  label: words,
  help: words,
});
const range = { low: 0, high: 9 };

describe("fields", () => {
  it("accept decimal numbers and nothing else", () => {
    expect(["1", " 2.5 ", "1e-4", ".5", "−3", "+7"].map(decimal)).toEqual([1, 2.5, 1e-4, 0.5, -3, 7]);
    expect(["0x10", "", "1e999", "Infinity", "1 2", "fast", "1_000", "0b1"].map(decimal)).toEqual(
      new Array(8).fill(null),
    );
  });
  it("send what is no number as it stands", () => {
    const number = field({ type: "number", ...range });
    expect(["0,5", "1,000", "fast", "0x10"].map((text) => readSetting(number, text))).toEqual([
      0.5,
      "1,000",
      "fast",
      "0x10",
    ]);
    expect(readSetting(field({ type: "whole", ...range }), "0x10")).toBe("0x10");
    expect(readSetting(field({ type: "numbers", ...range }), "1; 5")).toEqual([1, 5]);
    expect(readSetting(field({ type: "numbers", ...range }), "1; 0x5")).toBe("1; 0x5");
    expect(readSetting(field({ type: "flag", automatic: true }), "auto")).toBe(null);
  });
  it("show values so that they can be typed again", () => {
    expect([2e-4, 0, 0.5, null, [1, 5], "cosine", 1e308].map(showSetting)).toEqual([
      "2e-4",
      "0",
      "0.5",
      "auto",
      "1, 5",
      "cosine",
      "1e+308",
    ]);
  });
  it("keep at least one of several names", () => {
    expect(toggled("sigmoid", "sft")).toEqual(["sigmoid", "sft"]);
    expect(toggled(["sigmoid", "sft"], "sft")).toBe("sigmoid");
    expect(toggled("sigmoid", "sigmoid")).toBe("sigmoid");
  });
  it("shorten numbers in faults", () => {
    expect(shortened(`beta is 1${"0".repeat(308)}; it must be from 0.000001 to 1000.`)).toBe(
      "beta is 1e308; it must be from 0.000001 to 1000.",
    );
    expect(shortened("0.0000000012 and 4096 rows")).toBe("1.2e-9 and 4096 rows");
    expect(shortened("up to 9.007199254740991e+15.")).toBe("up to 9.007199254740991e+15.");
  });
});
