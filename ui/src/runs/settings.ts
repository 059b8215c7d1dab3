// The settings of a stage as two lists: what it works on, and how its method was set, what differs from the default first.
import type { SettingField, SettingValue, Stage } from "../backend/types";

export interface ShownSetting {
  key: string;
  value: SettingValue;
  field: SettingField | undefined;
  changed: boolean;
}

/** Keys that say what a stage works on, in the order of reading. */
const FIRST = [
  "model",
  "dataset",
  "adapter",
  "reward",
  "cost",
  "builder",
  "scorer",
  "stacks",
  "suite",
  "judges",
  "limit",
];

/** A value in words; lists without brackets, and numbers as short as they can be. */
export function shownSetting(value: unknown): string {
  if (value === null || value === undefined || (Array.isArray(value) && value.length === 0)) return "–";
  if (Array.isArray(value)) return value.map(shownSetting).join(", ");
  if (typeof value === "object")
    return Object.entries(value)
      .filter(([, part]) => part !== null && part !== undefined)
      .map(([key, part]) => `${key} ${shownSetting(part)}`)
      .join(", ");
  if (typeof value === "number" && value !== 0 && Math.abs(value) < 1e-3)
    return value.toExponential().replace("e-", "e−");
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What a stage works on, and its settings. */
export function parts(work: Stage, fields: SettingField[]): { own: [string, unknown][]; settings: ShownSetting[] } {
  const given: Record<string, SettingValue> = "settings" in work ? work.settings : {};
  const place = (key: string): number => (FIRST.includes(key) ? FIRST.indexOf(key) : FIRST.length);
  const apart = ["kind", "method", "settings"];
  const own = Object.entries(work as Record<string, unknown>)
    .filter(([key]) => !apart.includes(key))
    .filter(([, value]) => value !== null && value !== undefined && !(Array.isArray(value) && value.length === 0))
    .sort(([a], [b]) => place(a) - place(b));
  const known = fields.map((field): ShownSetting => {
    const value = given[field.key] ?? field.default;
    return { key: field.key, value, field, changed: JSON.stringify(value) !== JSON.stringify(field.default) };
  });
  const others = Object.entries(given)
    .filter(([key]) => !fields.some((field) => field.key === key))
    .map(([key, value]): ShownSetting => ({ key, value, field: undefined, changed: false }));
  const all = [...known, ...others];
  return { own, settings: [...all.filter((setting) => setting.changed), ...all.filter((setting) => !setting.changed)] };
}
