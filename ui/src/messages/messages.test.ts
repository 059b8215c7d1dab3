import { describe, expect, it } from "vitest";
import { en, zh } from ".";

/** Paths of all entries that are still equal in both languages, apart from names that are equal on purpose. */
function same(left: unknown, right: unknown, path: string, found: string[]): string[] {
  if (typeof left === "string") {
    if (left === "" && right === "") return found;
    if (right === "" || left === right) found.push(path);
  } else if (left && typeof left === "object") {
    for (const key of Object.keys(left)) {
      same((left as Record<string, unknown>)[key], (right as Record<string, unknown>)[key], `${path}.${key}`, found);
    }
  }
  return found;
}

describe("dictionaries", () => {
  it("say everything in Chinese that they say in English", () => {
    const names = [/SHA|hash/, /keyList/, /draws/, /formula/, /space/];
    expect(same(en, zh, "", []).filter((path) => !names.some((name) => name.test(path)))).toEqual([]);
  });
  it("give back what they are given", () => {
    for (const words of [en, zh]) {
      expect(words.run.step(3, 9)).toMatch(/3.*9/);
      expect(words.wizard.rows("12", "340")).toMatch(/12.*340/);
      expect(words.data.kept("39", "40")).toContain("39");
    }
  });
});
