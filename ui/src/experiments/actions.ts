// What can be done with an experiment from more than one screen.
import { backend } from "../backend";
import type { Experiment, Preset, Stack } from "../backend/types";
import { chatWith } from "../chat/chatWith";
import { say } from "../shared/i18n.svelte";
import { go } from "../shared/router.svelte";
import type { Path } from "../views/screens";

/** The wizard on a copy of an experiment, or on a draft itself. */
export function inWizard(what: "from" | "draft", id: string): void {
  const path: string = `wizard/${what}/${id}`;
  go(path as Path);
}

/** Creates the experiment of a preset and starts it. */
export async function runPreset(preset: Preset): Promise<void> {
  const { words, stages } = preset;
  const [title, question] = words ? [say(words.title), say(words.question)] : [preset.id, ""];
  const made = await backend.call("create_experiment", { title, question, stages, choices: null });
  await backend.call("start_experiment", { id: made.experiment.id });
  go(`runs/${made.experiment.id}`);
}

export const saveDetails = ({ id, title, question, notes, tags }: Experiment) =>
  backend.call("update_experiment", { id, title, question, notes, tags });

/** Tags as a person types them: by commas, in lower case, each once. */
export function tagsFrom(text: string): string[] {
  const tags = text
    .split(/[,，;；\n]/)
    .map((tag) => tag.trim().toLowerCase())
    .filter(Boolean);
  return [...new Set(tags)];
}

/** Opens a chat that compares these stacks; an untouched one is used again, so that a second click makes no second chat. */
export async function openChat(stacks: Stack[]): Promise<void> {
  go(`chat/${(await chatWith(stacks)).id}`);
}
