// What a row of the home screen tells about an experiment: what it was made with, how far it is, and whose outcome is shown.
import type { DatasetView, Evaluation, ExperimentSummary, ModelView, RunView, Stage, Wording } from "../backend/types";
import { cardOf, stageName, trains } from "../shared/methods.svelte";

/** "stage:2" and absent sources name nothing that a person chose. */
const chosen = (source: string | undefined | null, kind: string): string[] =>
  source?.startsWith(`${kind}:`) ? [source.slice(kind.length + 1)] : [];
const once = <T>(list: T[]): T[] => [...new Set(list)];

export const modelIds = (stages: Stage[]): string[] =>
  once(stages.flatMap((stage) => ("model" in stage ? chosen(stage.model, "model") : [])));
export const datasetIds = (stages: Stage[]): string[] =>
  once(stages.flatMap((stage) => ("dataset" in stage ? chosen(stage.dataset, "dataset") : [])));
export const methodNames = (stages: Stage[]): string[] => once(stages.map(stageName));

/** Names of models and data sets for people; an identifier where something was removed. */
export interface Names {
  model: (id: string) => string;
  dataset: (id: string) => Wording;
}
export const namesFrom = (models: ModelView[], datasets: DatasetView[]): Names => ({
  model: (id) => models.find((view) => view.model.id === id)?.model.name ?? id,
  dataset: (id) => datasets.find((view) => view.id === id)?.title ?? { en: id, zh: id },
});

/** An experiment of which no run works yet waits for its turn, whatever else runs. */
export function shownState({ state, runs }: ExperimentSummary): string {
  if (state !== "running") return state;
  const waits = runs.some((run) => run.state === "queued") && runs.every((run) => run.state !== "running");
  return waits ? "queued" : state;
}

const generates = (run: RunView): boolean => run.work.kind === "train" && !cardOf(run.method)?.makes_scorer;

/** The stage whose outcome is shown, if a later one that trains has none yet: unfinished, stopped or failed. */
export function outcomeOf(summary: ExperimentSummary): { evaluations: Evaluation[]; after: Stage | null } {
  const { overall, runs, experiment } = summary;
  const measured = runs.findLast((run) => run.evaluations.length > 0 && (generates(run) || !trains(run.work)));
  const evaluations = overall.length > 0 ? overall : (measured?.evaluations ?? []);
  if (!measured || evaluations.length === 0) return { evaluations, after: null };
  const later = experiment.stages.some((stage, index) => {
    if (index <= measured.stage || !trains(stage) || cardOf(stage.method)?.makes_scorer) return false;
    return runs.find((run) => run.stage === index)?.state !== "discarded";
  });
  return { evaluations, after: later ? measured.work : null };
}

/** The run that works now. */
export const working = (summary: ExperimentSummary): RunView | undefined =>
  summary.runs.find((run) => run.state === "running");

/** Seconds until a run ends: by its own pace once it has one, before that by its plan; none when neither is known. */
export function secondsLeft(run: RunView): number | null {
  const comparing = run.estimate?.comparing_seconds ?? 0;
  if (run.phase === "training" && run.step > 2 && run.total_steps > 0)
    return (run.seconds / run.step) * (run.total_steps - run.step) + comparing;
  if (run.phase === "evaluating" || run.phase === "saving") return null;
  return run.estimate ? Math.max(0, run.estimate.seconds - run.seconds) : null;
}

/** Rows of the first stage and of the second …, with the held-out ones, as planned or as the data set has them. */
export function rowsOf(summary: ExperimentSummary, datasets: DatasetView[]): number[] {
  return summary.experiment.stages.flatMap((stage, index) => {
    const estimate = summary.runs.find((run) => run.stage === index)?.estimate;
    if (estimate && estimate.rows > 0) return [estimate.rows + estimate.held_out_rows];
    if (!("dataset" in stage)) return [];
    const kept = datasets.find((set) => stage.dataset === `dataset:${set.id}`)?.summary.kept;
    return kept === undefined ? [] : [kept];
  });
}

/** The betas of the stages that have one, the method's default where none was set. */
export function betasOf(stages: Stage[]): number[] {
  return once(
    stages.filter(trains).flatMap((stage) => {
      const beta = stage.settings.beta ?? cardOf(stage.method)?.settings.find((field) => field.key === "beta")?.default;
      return typeof beta === "number" ? [beta] : [];
    }),
  );
}

export const seedsOf = (stages: Stage[]): number[] =>
  once(stages.flatMap((stage) => ("seed" in stage ? [stage.seed] : [])));
export const secondsOf = (runs: RunView[]): number => runs.reduce((sum, run) => sum + run.seconds, 0);

/** The ready-made experiment whose first stage is short on purpose. */
export function beginsShort({ choices, stages }: Pick<ExperimentSummary["experiment"], "choices" | "stages">): boolean {
  if (choices?.goal) return choices.goal === "kind_and_true";
  const [first, second] = stages;
  if (!first || !second || !trains(first) || !trains(second)) return false;
  const epochs = first.settings.num_train_epochs;
  return (
    first.dataset === "dataset:alder-bay-answers" &&
    second.dataset === "dataset:alder-bay-pairs" &&
    typeof epochs === "number" &&
    epochs < 1
  );
}
