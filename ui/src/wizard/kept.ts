// Unfinished choices are kept in the browser's storage while they are made, so that Esc, Back, a glance at another screen or a
// reload lose nothing. One entry for each address of the wizard: a new experiment, a copy of one, a draft.
import type { Choices } from "../backend/types";

export interface Kept {
  choices: Choices;
  title: string;
  question: string;
  /** The draft in the program that these choices belong to, once there is one. */
  draft: string | null;
}

const KEY = "alidade-wizard";
const MOST = 8;

function entries(): [string, Kept][] {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]") as unknown;
    return Array.isArray(kept) ? (kept as [string, Kept][]) : [];
  } catch {
    // What an earlier version left is of no use.
    return [];
  }
}

function store(list: [string, Kept][]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(list.slice(0, MOST)));
  } catch {
    // A full or forbidden storage must not stop anyone from choosing.
  }
}

export const recall = (address: string): Kept | null => entries().find(([key]) => key === address)?.[1] ?? null;

export const keep = (address: string, kept: Kept): void =>
  store([[address, kept], ...entries().filter(([key]) => key !== address)]);

export const forget = (address: string): void => store(entries().filter(([key]) => key !== address));

/** A title that no other experiment has: "Beta 0.1" becomes "Beta 0.1 (2)". */
export function numbered(title: string, known: string[]): string {
  const stem = title.replace(/ \(\d+\)$/, "");
  for (let number = 2; ; number++) {
    const next = `${stem} (${number})`;
    if (!known.includes(next)) return next;
  }
}
