// Samples as a table: the same prompts at several steps, so that one sees an answer change.
import type { Sample } from "./follow.svelte";

export interface Matrix {
  prompts: string[];
  /** Steps at which samples were taken, in order; 0 is before the first step. */
  steps: number[];
  /** The sample of a prompt at a step; a repeated step replaces what it had before. */
  at: (prompt: string, step: number) => Sample | undefined;
}

export function matrix(samples: Sample[]): Matrix {
  const cells = new Map<string, Map<number, Sample>>();
  for (const sample of samples) {
    const row = cells.get(sample.prompt) ?? new Map<number, Sample>();
    row.set(sample.step, sample);
    cells.set(sample.prompt, row);
  }
  const steps = [...new Set(samples.map((sample) => sample.step))].sort((a, b) => a - b);
  return { prompts: [...cells.keys()], steps, at: (prompt, step) => cells.get(prompt)?.get(step) };
}

/** True if prompts come back from step to step; methods that answer new prompts each time have hardly one twice. */
export function repeats({ prompts, steps, at }: Matrix): boolean {
  const again = prompts.filter((prompt) => steps.filter((step) => at(prompt, step)).length > 1);
  return steps.length < 2 || again.length >= prompts.length / 2;
}

/** As many steps as fit, evenly chosen; the first and the last are always among them. */
export function evenly(steps: number[], most: number): number[] {
  if (steps.length <= most) return steps;
  const apart = (steps.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, index) => steps[Math.round(index * apart)]!);
}
