// A plain reading of a run's curves: what a patient colleague would say on seeing them.
import type { MethodName } from "../backend/types";
import type { Messages } from "../messages";
import { smooth } from "../shared/smooth";

export type Reading = keyof Messages["run"]["readings"];

const EARLY = 10;
/** Rewards nearer to zero than this are noise to the eye. */
const NOTABLE = 0.05;

export type Curves = Record<string, (number | null)[]>;

function ends(values: (number | null)[] | undefined): { first: number; last: number } | null {
  const numbers = smooth(values ?? []).filter((value): value is number => value !== null);
  if (numbers.length <= EARLY) return null;
  return { first: numbers[Math.min(4, numbers.length - 1)]!, last: numbers.at(-1)! };
}

export function readSft(curves: Curves): Reading {
  const loss = ends(curves["loss"]);
  if (!loss) return "begin";
  const change = (loss.last - loss.first) / Math.max(Math.abs(loss.first), 1e-9);
  if (change > 0.1) return "sftRising";
  return change < -0.03 ? "sftFalling" : "sftFlat";
}

export function readDpo(curves: Curves): Reading {
  const margin = ends(curves["rewards/margins"]);
  const chosen = ends(curves["rewards/chosen"]);
  if (!margin || !chosen) return "begin";
  if (margin.last < -NOTABLE) return "dpoReversed";
  if (margin.last < NOTABLE) return "dpoFlat";
  if (chosen.last < 0 && -chosen.last > margin.last) return "dpoFar";
  return chosen.last < -NOTABLE ? "dpoChosenFalls" : "dpoGood";
}

/** Losses without a reference: rewards are log-probabilities there, so only the margin speaks. */
export function readContrast(curves: Curves): Reading {
  const margin = ends(curves["log_odds_chosen"]) ?? ends(curves["rewards/margins"]);
  if (!margin) return "begin";
  if (margin.last < -NOTABLE && margin.last <= margin.first) return "dpoReversed";
  return margin.last - margin.first > NOTABLE ? "dpoGood" : "dpoFlat";
}

export function readKto(curves: Curves): Reading {
  const margin = ends(curves["rewards/margins"]);
  if (!margin) return "begin";
  const kl = ends(curves["kl"]);
  if (kl && kl.last > 10) return "ktoFar";
  if (margin.last < -NOTABLE) return "ktoReversed";
  return margin.last > NOTABLE ? "ktoGood" : "dpoFlat";
}

export function readRewardModel(curves: Curves): Reading {
  const accuracy = ends(curves["accuracy"]);
  if (!accuracy) return "begin";
  if (accuracy.last > 0.98) return "rewardPerfect";
  return accuracy.last > 0.65 ? "rewardGood" : "rewardWeak";
}

/** KL, in nats per answer, beyond which a policy has left its start. */
const FAR_NATS = 20;
/** The same per token: short answers are spoilt long before the whole has moved far. */
const FAR_NATS_A_TOKEN = 0.1;

/** Methods that learn from scores. A score that rises while answers swell or run away from the start is an alarm, no success. */
export function readReward(curves: Curves): Reading {
  const score = ends(curves["objective/scores"] ?? curves["reward"]);
  if (!score) return "begin";
  const kl = ends(curves["objective/kl"]);
  const length = ends(curves["completions/mean_length"]);
  const entropy = ends(curves["objective/entropy"] ?? curves["entropy"]);
  const far = kl !== null && (kl.last > FAR_NATS || (length !== null && kl.last > FAR_NATS_A_TOKEN * length.last));
  const rises = score.last - score.first > NOTABLE;
  const swells = length !== null && length.last > 1.5 * length.first + 2;
  if (rises && (swells || far)) return "rlHacking";
  if (far) return "rlFar";
  if (entropy && entropy.first > 0 && entropy.last < 0.2 * entropy.first) return "rlCollapse";
  if (rises) return "rlGood";
  return score.last - score.first < -NOTABLE ? "rlFalling" : "rlFlat";
}

const READERS: Record<MethodName, (curves: Curves) => Reading> = {
  sft: readSft,
  dpo: readDpo,
  kto: readKto,
  orpo: readContrast,
  cpo: readContrast,
  reward_model: readRewardModel,
  ppo: readReward,
  grpo: readReward,
  rloo: readReward,
  online_dpo: readReward,
  rejection_sampling: readReward,
};

export const read = (method: MethodName, curves: Curves): Reading => READERS[method](curves);

/** Readings that ask for a hand. */
export const ALARMS: readonly Reading[] = [
  "sftRising",
  "dpoReversed",
  "dpoFar",
  "ktoReversed",
  "ktoFar",
  "rlHacking",
  "rlFar",
  "rlCollapse",
  "rlFalling",
];
