import { describe, expect, it } from "vitest";
import type { SettingField, Stage } from "../backend/types";
import { parts, shownSetting } from "./settings";

const field = (key: string, value: number): SettingField =>
  ({ key, default: value, label: { en: key, zh: key } }) as unknown as SettingField;

describe("the settings of a stage", () => {
  it("are what it works on, and what differs from the default before the rest", () => {
    const work = {
      kind: "train",
      method: "dpo",
      seed: 42,
      dataset: "dataset:d",
      model: "model:m",
      adapter: null,
      settings: { beta: 0.5 },
    } as unknown as Stage;
    const found = parts(work, [field("learning_rate", 5e-6), field("beta", 0.1)]);
    expect(found.own).toEqual([
      ["model", "model:m"],
      ["dataset", "dataset:d"],
      ["seed", 42],
    ]);
    expect(found.settings.map(({ key, value, changed }) => [key, value, changed])).toEqual([
      ["beta", 0.5, true],
      ["learning_rate", 5e-6, false],
    ]);
  });
  it("are shown as a person would write them", () => {
    expect([5e-6, [1, 2], null, true, { r: 8, lora_alpha: 16, x: null }].map(shownSetting)).toEqual([
      "5e−6",
      "1, 2",
      "–",
      "true",
      "r 8, lora_alpha 16",
    ]);
  });
});
