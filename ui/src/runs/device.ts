// What a run computes with, taken apart so that it can be said in plain words in both languages.
import type { RunEvent } from "../backend/types";

export type Computing = Extract<RunEvent, { kind: "computing" }>;

export interface Arithmetic {
  /** "slices" for the program's own kernels, or the name of a library. */
  engine: string;
  /** The instruction set, where one is chosen. */
  set: string | null;
  /** Number format of the weights. */
  format: string;
  /** Number format that they are held in while computing, if another. */
  held: string | null;
}

/** Takes "slices, avx512-bf16, f32" or "candle, cuda:0, bf16 held as f32" apart. */
export function arithmeticOf(words: string): Arithmetic {
  const parts = words.split(",").map((part) => part.trim());
  const [format, held] = (parts.at(-1) ?? words).split(" held as ");
  const middle = parts.length > 2 ? parts[1]! : null;
  return {
    engine: parts[0] ?? words,
    set: middle && !/^(cuda|metal):/.test(middle) ? middle : null,
    format: format ?? "",
    held: held ?? null,
  };
}

/** Names of instruction sets; equal in every language. */
const SETS: Record<string, string> = {
  avx2: "AVX2",
  avx512: "AVX-512",
  "avx512-bf16": "AVX-512 BF16",
  amx: "AMX",
  neon: "NEON",
};

export const setName = (set: string): string => SETS[set] ?? set;

/** The kind of a device, and its number. */
export function deviceOf(name: string): { kind: "cpu" | "cuda" | "metal" | "other"; number: string } {
  const [kind, number = ""] = name.split(":");
  return { kind: kind === "cpu" || kind === "cuda" || kind === "metal" ? kind : "other", number };
}
