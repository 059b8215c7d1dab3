import { describe, expect, it } from "vitest";
import { ENTRIES, SCREENS, screenAt } from "./screens";

const shown = (path: string) => {
  const { component, params, place } = screenAt(path);
  return [SCREENS.find((screen) => screen.component === component)?.pattern, params, place];
};

describe("the route table", () => {
  it("shows the first line that fits, with what the path names", () => {
    expect(shown("experiments")).toEqual(["experiments", {}, "experiments"]);
    expect(shown("experiments/new")).toEqual(["experiments/new", {}, "experiments"]);
    expect(shown("experiments/7f")).toEqual(["experiments/:id", { id: "7f" }, "experiments"]);
    expect(shown("runs/7f")).toEqual(["runs/:experiment", { experiment: "7f" }, "runs"]);
    expect(shown("data")).toEqual(["data/:chosen?", {}, "data"]);
    expect(shown("data/7f")).toEqual(["data/:chosen?", { chosen: "7f" }, "data"]);
  });

  it("starts over where no line fits", () => {
    for (const path of ["", "nowhere", "runs/7f/steps", "runs/"]) {
      expect(shown(path)).toEqual(["experiments", {}, "experiments"]);
    }
  });

  it("opens every entry at a screen of its own, by keys of its own", () => {
    const opened = ENTRIES.map((entry) => screenAt(entry.path));
    expect(opened.map((screen) => screen.place)).toEqual(ENTRIES.map((entry) => entry.place));
    expect(new Set(opened.map((screen) => screen.component)).size).toBe(ENTRIES.length);
    expect(new Set(ENTRIES.map((entry) => entry.keys)).size).toBe(ENTRIES.length);
  });
});
