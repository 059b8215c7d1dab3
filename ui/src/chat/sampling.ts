// What may stand in the sampling fields: checked where it is typed, so that no request with a wrong value leaves the page.
import type { Sampling } from "../backend/types";

export interface Range {
  low: number;
  high: number;
  whole: boolean;
  /** True if `low` itself is not allowed. */
  above?: boolean;
}

/** The same ranges as the program's. Seeds stay below 2^32, where every tool reads them alike. */
export const RANGES: Record<keyof Sampling, Range> = {
  temperature: { low: 0, high: 5, whole: false },
  top_p: { low: 0, high: 1, whole: false, above: true },
  max_new_tokens: { low: 1, high: 4096, whole: true },
  seed: { low: 0, high: 4_294_967_295, whole: true },
};

export const FIELDS: (keyof Sampling)[] = ["temperature", "top_p", "max_new_tokens", "seed"];

/** The number that was typed, or null when it is none or out of range. */
export function readField(key: keyof Sampling, text: string): number | null {
  const typed = text.trim().replace(",", ".");
  // Plain decimals only: JavaScript would also read "0x10", "1e3" and an empty field as numbers.
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(typed)) return null;
  const value = Number(typed);
  const { low, high, whole, above } = RANGES[key];
  if (whole && !Number.isInteger(value)) return null;
  return value > high || value < low || (above && value === low) ? null : value;
}
