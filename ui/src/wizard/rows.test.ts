import { describe, expect, it } from "vitest";
import type { Example } from "../backend/types";
import { partsOf } from "./rows";

const said = (content: string) => [{ role: "user" as const, content }];
const pair = (harmful: [boolean, boolean] | null): Example => ({
  kind: "pair",
  prompt: said("q"),
  chosen: said("good"),
  rejected: said("bad"),
  harmful,
});

describe("the parts of a row", () => {
  it("are blurred by what the source says of each answer, else by the set", () => {
    const flags = (example: Example, flagged: boolean) => partsOf(example, flagged).map((part) => part.flagged);
    expect(flags(pair([false, true]), true)).toEqual([true, false, true]);
    expect(flags(pair([false, false]), true)).toEqual([false, false, false]);
    expect(flags(pair(null), true)).toEqual([true, true, true]);
  });
  it("have their roles", () => {
    expect(partsOf(pair(null), false).map((part) => part.role)).toEqual(["prompt", "chosen", "rejected"]);
    const rated: Example = { kind: "rated", prompt: said("q"), completion: said("a"), label: false };
    expect(partsOf(rated, false).map((part) => part.role)).toEqual(["prompt", "unwanted"]);
  });
});
