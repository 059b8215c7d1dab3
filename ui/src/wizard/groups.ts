// How the settings of all stages are put together: one row a setting, one column a stage, in groups that follow what a person
// wants to change. A setting that no group claims belongs to the method itself, that is to its loss.
import type { MethodCard, SettingField, SettingValue } from "../backend/types";
import type { TrainStage } from "../shared/methods.svelte";

export const GROUPS = ["learning", "adapter", "loss", "answers", "memory", "repeat", "compare"] as const;
export type Group = (typeof GROUPS)[number];

const KEYS: Partial<Record<Group, string[]>> = {
  learning: [
    "learning_rate",
    "num_train_epochs",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "max_steps",
    "lr_scheduler_type",
    "warmup_ratio",
    "warmup_steps",
    "weight_decay",
    "max_grad_norm",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
  ],
  adapter: ["loraplus_lr_ratio"],
  answers: [
    "response_length",
    "max_completion_length",
    "max_new_tokens",
    "num_generations",
    "temperature",
    "missing_eos_penalty",
    "mask_truncated_completions",
  ],
  memory: ["max_length", "gradient_checkpointing", "bf16", "packing", "packing_strategy"],
  repeat: ["train_sampling_strategy", "save_steps"],
};

export const groupOf = (key: string): Group => GROUPS.find((group) => KEYS[group]?.includes(key)) ?? "loss";

/** A setting, and its field in each stage that has it. */
export interface Row {
  key: string;
  field: SettingField;
  cells: (SettingField | null)[];
  /** True when it is shown without asking for more. */
  simple: boolean;
}

/** The rows of a group, simple ones first, then in the order of the first method that has them. */
export function rowsOf(group: Group, cards: (MethodCard | undefined)[]): Row[] {
  const rows = new Map<string, Row>();
  cards.forEach((card, stage) => {
    for (const field of card?.settings ?? []) {
      if (groupOf(field.key) !== group) continue;
      const row = rows.get(field.key) ?? { key: field.key, field, cells: cards.map(() => null), simple: false };
      row.cells[stage] = field;
      row.simple ||= field.level === "simple";
      rows.set(field.key, row);
    }
  });
  return [...rows.values()].sort((a, b) => Number(b.simple) - Number(a.simple));
}

/** The value of a setting in a stage. */
export const valueIn = (stage: TrainStage | undefined, field: SettingField): SettingValue =>
  stage?.settings[field.key] ?? field.default;

export const same = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right);

/** Keys of the settings that differ from what the stage has by default. */
export function differing(stage: TrainStage, standard: TrainStage | undefined, card: MethodCard | undefined): string[] {
  if (!standard) return [];
  return (card?.settings ?? [])
    .filter((field) => !same(valueIn(stage, field), valueIn(standard, field)))
    .map((field) => field.key);
}
