// What a person may type into a field of the settings, how values are shown, and how long numbers in a fault are shortened.
import type { Problem, SettingField, SettingValue, Wording } from "../backend/types";

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A decimal number; nothing for anything else, such as "0x10" or "", which JavaScript would take for 16 and 0. */
export function decimal(text: string): number | null {
  const plain = text.trim().replace(/^−/, "-");
  const number = NUMBER.test(plain) ? Number(plain) : NaN;
  return Number.isFinite(number) ? number : null;
}

/** The value of a setting as typed. What is no number is sent as it stands, so that the plan refuses it at its field. */
export function readSetting(field: SettingField, text: string): SettingValue {
  switch (field.value_kind.type) {
    case "flag":
      return text === "auto" ? null : text === "true";
    case "choice":
    case "choices":
      return text;
    case "numbers": {
      const numbers = text.split(/[;,\s]+/).filter(Boolean);
      const values = numbers.map(decimal);
      return values.every((value) => value !== null) ? values : text;
    }
    case "whole":
      return decimal(text) ?? text;
    case "number": {
      // A comma may separate thousands or begin a fraction; it is a fraction where it is not followed by three digits.
      const parted = /^[-−]?\d{1,3}(,\d{3})+$/.test(text.trim());
      return decimal(parted ? text : text.replace(",", ".")) ?? text;
    }
  }
}

export function showNumber(value: number): string {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e12) ? value.toExponential() : String(value);
}

/** A value as it stands in its field; flags and choices have their names in the dictionary. */
export function showSetting(value: SettingValue): string {
  if (Array.isArray(value)) return value.join(", ");
  if (value === null) return "auto";
  return typeof value === "number" ? showNumber(value) : String(value);
}

/** The names that are chosen where several may be. */
export const chosenNames = (value: SettingValue): string[] =>
  Array.isArray(value) ? value.map(String) : value === null ? [] : [String(value)];

/** The names after one is toggled; at least one stays on. */
export function toggled(value: SettingValue, name: string): SettingValue {
  const names = chosenNames(value);
  const next = names.includes(name) ? names.filter((other) => other !== name) : [...names, name];
  if (next.length === 0) return value;
  return next.length === 1 ? next[0]! : next;
}

/** Shortens numbers that nobody reads: "1000…" of 309 digits becomes 1e308. */
export function shortened(text: string): string {
  return text.replace(/(?<![\d.])(\d{13,}(\.\d+)?|0\.0{7,}\d+)(?![\de.]*\de)/g, (long) => {
    const [head, power] = Number(long).toExponential(2).split("e");
    return Number.isFinite(Number(long)) ? `${Number(head)}e${Number(power)}` : `${long.slice(0, 6)}…`;
  });
}

const shorter = (words: Wording): Wording => ({ en: shortened(words.en), zh: shortened(words.zh) });

/** A problem whose numbers are short enough to be read. */
export const readable = (problem: Problem): Problem => ({
  ...problem,
  message: shorter(problem.message),
  hints: problem.hints.map(shorter),
});
