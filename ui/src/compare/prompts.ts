// The same prompts across experiments: one row a prompt that all were asked, one answer an experiment.
import type { Evaluation, ExperimentSummary, SampleAnswer } from "../backend/types";
import { last, words } from "../shared/format";

export interface PromptRow {
  prompt: string;
  /** The base model's answer, if the first experiment has one. */
  base: SampleAnswer | null;
  answers: SampleAnswer[];
  flagged: boolean;
  /** True if the judges' labels are not all the same. */
  differs: boolean;
}

const asked = (summary: ExperimentSummary): Evaluation | undefined =>
  summary.overall.find((found) => found.samples.length > 0);

/** Prompts that every experiment was asked, in the order of the first. */
export function promptRows(list: ExperimentSummary[]): PromptRow[] {
  const evaluations = list.map(asked).filter((found) => found !== undefined);
  const [first, ...others] = evaluations;
  if (!first || evaluations.length < list.length) return [];
  const indexed = others.map((found) => new Map(found.samples.map((sample) => [words(sample.prompt), sample])));
  const seen = new Set<string>();
  return first.samples.flatMap((sample) => {
    const prompt = words(sample.prompt);
    // A prompt that was asked twice got the same answers twice.
    if (seen.has(prompt)) return [];
    seen.add(prompt);
    const rest = indexed.map((known) => known.get(prompt));
    const answers = [sample, ...rest].map((entry, index) => entry?.answers[last(evaluations[index]!)]);
    if (answers.some((answer) => !answer)) return [];
    const given = answers.filter((answer) => answer !== undefined);
    const base = first.stacks.length > 1 ? (sample.answers[first.baseline] ?? null) : null;
    return [
      {
        prompt,
        base,
        answers: given,
        flagged: sample.flagged || rest.some((entry) => entry?.flagged),
        differs: new Set(given.map((answer) => answer.label?.en ?? answer.text)).size > 1,
      },
    ];
  });
}
