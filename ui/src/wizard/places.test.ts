import { describe, expect, it } from "vitest";
import { lead, placeAt, placeOf, stageOf } from "./places";

describe("places of problems", () => {
  it("knows which element shows a field", () => {
    expect(
      [
        "stage.1.settings.beta",
        "stage.0.dataset",
        "stage.0.model",
        "stage.2.reward",
        "stage.0.lora",
        "choices.lora.lora_alpha",
        "memory",
        "stage.0",
        null,
      ].map(placeOf),
    ).toEqual([
      "field-1-beta",
      "field-data",
      "field-model",
      "field-method",
      "field-lora.r",
      "field-lora.lora_alpha",
      null,
      null,
      null,
    ]);
    expect(["stage.12.settings.beta", "stage.0", "disk", null].map(stageOf)).toEqual([12, 0, null, null]);
  });
  it("knows the step and the group that must be unfolded", () => {
    const opened = ["stage.0.settings.bf16", "stage.0.tuning", "choices.seed", "choices.title"].map((field) => {
      const place = placeAt(field);
      return [place?.step, place?.group];
    });
    expect(opened).toEqual([
      ["settings", "memory"],
      ["settings", "adapter"],
      ["settings", "repeat"],
      ["name", undefined],
    ]);
  });
  it("leads to the input and says when there is none", () => {
    document.body.innerHTML = `<div id="field-0-beta"><button class="help">?</button><input></div>`;
    const place = document.getElementById("field-0-beta")!;
    place.scrollIntoView = () => {};
    expect(lead("stage.0.settings.beta")).toBe(true);
    expect(document.activeElement).toBe(place.querySelector("input"));
    expect(lead("stage.0.settings.gamma")).toBe(false);
  });
});
