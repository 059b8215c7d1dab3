// The keyboard shortcuts by group, for the dialog that lists them. A noun whose screens have shortcuts of their own lists
// them under `keyList` in its dictionary, as pairs of keys and meaning.
import type { Messages } from "../messages";
import { ENTRIES } from "./screens";

export type Keys = [key: string, meaning: string];

export interface KeyGroup {
  name: string;
  keys: Keys[];
}

export function keyGroups(words: Messages): KeyGroup[] {
  const own = Object.entries(words).flatMap(([noun, texts]) => {
    const keys = (texts as { keyList?: Keys[] }).keyList;
    if (noun === "common" || !keys) return [];
    const place = ENTRIES.find((entry) => entry.place === noun || entry.place === `${noun}s`);
    return [{ name: place ? place.title(words) : noun, keys }];
  });
  return [
    { name: words.common.keysEverywhere, keys: words.common.keyList },
    { name: words.common.keysGo, keys: ENTRIES.map((entry): Keys => [entry.keys, entry.title(words)]) },
    ...own,
  ];
}
