// Runs side by side: curves on one axis of steps, and the settings in which they differ.
import type { MethodCard, RunView, SettingValue } from "../backend/types";

export interface Setting {
  key: string;
  values: (SettingValue | undefined)[];
}

/** Curves with steps of their own on the union of all steps; where a run has no value there is a gap. */
export function align(curves: [number, number][][]): { steps: number[]; values: (number | null)[][] } {
  const steps = [...new Set(curves.flatMap((curve) => curve.map(([step]) => step)))].sort((a, b) => a - b);
  const values = curves.map((curve) => {
    const known = new Map(curve);
    return steps.map((step) => known.get(step) ?? null);
  });
  return { steps, values };
}

/** Every key whose value differs between runs, with defaults filled in. */
export function differences(runs: RunView[], cards: MethodCard[]): Setting[] {
  const full = (run: RunView): Record<string, SettingValue | undefined> => {
    const card = cards.find((entry) => entry.name === run.method);
    const defaults = Object.fromEntries((card?.settings ?? []).map((field) => [field.key, field.default]));
    // Only runs that train have curves to be laid over each other.
    if (run.work.kind !== "train") return {};
    const { method, model, dataset, seed, adapter, reward, cost } = run.work;
    const lora = Object.fromEntries(
      Object.entries(run.work.lora ?? {}).map(([key, value]) => [`lora.${key}`, JSON.stringify(value)]),
    );
    return {
      method,
      model,
      dataset,
      seed,
      adapter: adapter ?? undefined,
      reward: reward ?? undefined,
      cost: cost ?? undefined,
      ...lora,
      ...defaults,
      ...run.work.settings,
    };
  };
  const all = runs.map(full);
  const keys = [...new Set(all.flatMap((settings) => Object.keys(settings)))];
  const same = (key: string): boolean => new Set(all.map((settings) => JSON.stringify(settings[key]))).size === 1;
  return keys.filter((key) => !same(key)).map((key) => ({ key, values: all.map((settings) => settings[key]) }));
}
