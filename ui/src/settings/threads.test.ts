import { describe, expect, it } from "vitest";
import { threadChoices } from "./threads";

describe("the numbers of threads", () => {
  it("are all of them on a small machine", () => {
    expect(threadChoices(1)).toEqual([1]);
    expect(threadChoices(4)).toEqual([4, 3, 2, 1]);
  });
  it("are steps on a large one, with both ends", () => {
    const found = threadChoices(128);
    expect([found[0], found.at(-1)]).toEqual([128, 1]);
    expect(found.length).toBeLessThan(20);
  });
});
