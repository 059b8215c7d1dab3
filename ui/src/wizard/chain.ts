// The drawing of a pipeline: what generates answers stands on one line from the base model, what scores them on a second one
// below, and dashed lines lead from a scorer to the stage that it scores.
import type { TrainStage } from "../shared/methods.svelte";

export interface Shape {
  column: number;
  lane: 0 | 1;
}
export interface Line {
  from: Shape;
  to: Shape;
  scores: boolean;
}

const stageIn = (source: string | null | undefined): number | null => {
  const found = /^stage:(\d+)$/.exec(source ?? "");
  return found ? Number(found[1]) - 1 : null;
};

const BASE: Shape = { column: 0, lane: 0 };

/** Place of each stage, and the lines between them; column 0 is the base model. */
export function drawn(stages: TrainStage[], scores: (stage: TrainStage) => boolean): { nodes: Shape[]; lines: Line[] } {
  const nodes = stages.map((stage, index): Shape => ({ column: index + 1, lane: scores(stage) ? 1 : 0 }));
  const lines = stages.flatMap((stage, index): Line[] => {
    const to = nodes[index]!;
    const from = nodes[stageIn(stage.adapter) ?? stageIn(stage.model) ?? -1] ?? BASE;
    const scorers = [stage.reward, stage.cost].flatMap((source) => nodes[stageIn(source) ?? -1] ?? []);
    return [{ from, to, scores: false }, ...scorers.map((scorer) => ({ from: scorer, to, scores: true }))];
  });
  return { nodes, lines };
}

/** Where a stage begins: the number of an earlier stage, or nothing for the base model. */
export const beginsAt = (stage: TrainStage): number | null => stageIn(stage.adapter) ?? stageIn(stage.model);
/** Who scores its answers: the number of an earlier stage, or the oracle. */
export const scoredBy = (stage: TrainStage): number | "oracle" | null =>
  stage.reward === "oracle" ? "oracle" : stageIn(stage.reward);

/** Names of the losses of a stage with their weights, when the method sums several. */
export function lossTerms(stage: TrainStage): { name: string; weight: number }[] {
  const { loss_type: names, loss_weights: weights } = stage.settings;
  const list = Array.isArray(names) ? names.map(String) : typeof names === "string" ? [names] : [];
  return list.map((name, index) => ({ name, weight: Array.isArray(weights) ? Number(weights[index] ?? 1) : 1 }));
}

/** Key of the formula of a stage; none where its settings make another loss of it. */
export function formulaOf(stage: TrainStage, variant: boolean): string | null {
  const terms = lossTerms(stage).map((term) => term.name);
  if (stage.method === "cpo" && terms[0]) return terms[0] === "simpo" ? "simpo" : terms[0] === "sigmoid" ? "cpo" : null;
  if (["dpo", "online_dpo"].includes(stage.method) && terms.some((name) => !["sigmoid", "sft"].includes(name)))
    return null;
  return variant ? null : stage.method;
}
