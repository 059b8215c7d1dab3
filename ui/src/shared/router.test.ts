import { describe, expect, it } from "vitest";
import { pathAt, START } from "./router.svelte";

describe("the path of an address", () => {
  it("is what follows the mark, with its letters", () => {
    expect(pathAt("#/runs/7f")).toBe("runs/7f");
    expect(pathAt("#/data/%E5%AE%9E")).toBe("data/实");
  });
  it("is the start where an address names none or cannot be read", () => {
    for (const hash of ["", "#", "#/", "#token=00ff", "#/runs/%E0%A4%A"]) expect(pathAt(hash)).toBe(START);
  });
});
