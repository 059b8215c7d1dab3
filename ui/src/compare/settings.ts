// The settings in which experiments differ, stage by stage. Stages belong together when they use the same method: the first
// DPO of each, the second of each.
import type { ExperimentSummary, MethodCard, SettingValue, Stage, Words } from "../backend/types";
import { stageName, trains, type TrainStage } from "../shared/methods.svelte";

export interface Difference {
  /** Name of the stage's method; empty for the pipeline as a whole. */
  stage: string;
  key: string;
  /** Name of the setting for people, where it has one. */
  label: Words | null;
  /** A value for each experiment; undefined where it has no such stage. */
  values: (SettingValue | undefined)[];
}

type Flat = Map<string, SettingValue>;

/** Everything of a stage that a person could have chosen, with defaults filled in. */
function flat(stage: TrainStage, card: MethodCard | undefined): Flat {
  const { model, dataset, seed, adapter, reward, cost, tuning, lora, prefix } = stage;
  const shape = Object.entries(lora ?? {}).map(([key, value]): [string, SettingValue] => [
    `lora.${key}`,
    typeof value === "object" ? JSON.stringify(value) : value,
  ]);
  return new Map<string, SettingValue>([
    ["model", model],
    ["dataset", dataset],
    ["seed", seed],
    // "stage:1" is a place in the pipeline and no choice.
    ["adapter", adapter && !adapter.startsWith("stage:") ? adapter : null],
    ["reward", reward ?? null],
    ["cost", cost ?? null],
    ["tuning", tuning ?? null],
    ["prefix", prefix?.num_virtual_tokens ?? null],
    ...shape,
    ...(card?.settings ?? []).map((field): [string, SettingValue] => [field.key, field.default]),
    ...Object.entries(stage.settings).filter((entry): entry is [string, SettingValue] => entry[1] !== undefined),
  ]);
}

/** Stages that train by method and by which one of this method they are. */
function byMethod(stages: Stage[]): Map<string, TrainStage> {
  const found = new Map<string, TrainStage>();
  for (const stage of stages.filter(trains)) {
    let name = stage.method;
    for (let n = 2; found.has(name); n++) name = `${stage.method} ${n}`;
    found.set(name, stage);
  }
  return found;
}

export function differences(list: ExperimentSummary[], cards: MethodCard[]): Difference[] {
  const pipelines = list.map(({ experiment }) => byMethod(experiment.stages));
  const chains = list.map(({ experiment }) => experiment.stages.map(stageName).join(" → "));
  const rows: Difference[] = [{ stage: "", key: "method", label: null, values: chains }];
  for (const name of new Set(pipelines.flatMap((stages) => [...stages.keys()]))) {
    const stages = pipelines.map((entry) => entry.get(name));
    const known = stages.find((stage) => stage !== undefined);
    const card = cards.find((entry) => entry.name === known?.method);
    const settings = stages.map((stage) => (stage ? flat(stage, card) : null));
    // A stage that only one experiment has differs as a whole; the chain of methods says so already.
    if (settings.filter(Boolean).length < 2) continue;
    for (const key of new Set(settings.flatMap((entry) => [...(entry?.keys() ?? [])]))) {
      const label = card?.settings.find((field) => field.key === key)?.label ?? null;
      const values = settings.map((entry) => (entry ? (entry.get(key) ?? null) : undefined));
      rows.push({ stage: known ? stageName(known) : name, key, label, values });
    }
  }
  return rows.filter(({ values }) => {
    const present = values.filter((value) => value !== undefined).map((value) => JSON.stringify(value));
    return new Set(present).size > 1;
  });
}
