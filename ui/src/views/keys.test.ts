import { describe, expect, it } from "vitest";
import { en, zh } from "../messages";
import { keyGroups } from "./keys";
import { ENTRIES } from "./screens";

describe("the list of shortcuts", () => {
  it("has every screen, and each key once in its group", () => {
    for (const words of [en, zh]) {
      const groups = keyGroups(words);
      const listed = groups.flatMap((group) => group.keys.map(([key]) => key));
      expect(ENTRIES.every((entry) => listed.includes(entry.keys))).toBe(true);
      expect(listed).toEqual(expect.arrayContaining(["/", "?", "Esc"]));
      for (const { keys } of groups) expect(new Set(keys.map(([key]) => key)).size).toBe(keys.length);
    }
  });
  it("takes those that a noun adds, under the name of its screen", () => {
    const more = { ...en, chat: { ...en.chat, keyList: [["←", "the left answer is better"]] } };
    expect(keyGroups(more).at(-1)).toEqual({ name: "Chat", keys: [["←", "the left answer is better"]] });
  });
});
