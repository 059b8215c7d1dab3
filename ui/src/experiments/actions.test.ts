import { describe, expect, it } from "vitest";
import { tagsFrom } from "./actions";

describe("tags", () => {
  it("are split by commas of either script, in lower case, each once", () => {
    expect(tagsFrom(" Beta, long run，beta ,, ")).toEqual(["beta", "long run"]);
    expect(tagsFrom("")).toEqual([]);
  });
});
