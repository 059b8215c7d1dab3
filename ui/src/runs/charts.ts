// Which curves a method is watched by. Bands are ranges in which runs usually stay; outside of them a look is worth while.
import type { MethodName } from "../backend/types";

export interface Line {
  name: string;
  tone: "accent" | "base";
  dashed?: boolean;
}

export interface ChartPreset {
  title: string;
  lines: Line[];
  band?: [number, number];
}

const one = (name: string, tone: Line["tone"] = "accent", band?: [number, number]): ChartPreset => ({
  title: name,
  lines: [{ name, tone }],
  ...(band ? { band } : {}),
});
const chosenRejected = (title: string, prefix: string): ChartPreset => ({
  title,
  lines: [
    { name: `${prefix}chosen`, tone: "accent" },
    { name: `${prefix}rejected`, tone: "base", dashed: true },
  ],
});

const pairs = [
  one("rewards/margins"),
  chosenRejected("rewards", "rewards/"),
  one("rewards/accuracies", "accent", [0.6, 1]),
  one("loss"),
  chosenRejected("logps", "logps/"),
];
const groups = [
  one("reward"),
  one("kl", "base", [0, 1]),
  one("completions/mean_length", "base"),
  one("entropy", "base"),
  one("clip_ratio/region_mean", "base", [0, 0.2]),
  one("frac_reward_zero_std", "base", [0, 0.5]),
];

export const CHARTS: Record<MethodName, ChartPreset[]> = {
  sft: [one("loss"), one("mean_token_accuracy"), one("grad_norm", "base"), one("learning_rate", "base")],
  dpo: pairs,
  kto: [one("rewards/margins"), chosenRejected("rewards", "rewards/"), one("kl", "base", [0, 10]), one("loss")],
  orpo: [one("log_odds_chosen"), one("nll_loss"), one("rewards/accuracies", "accent", [0.6, 1]), one("loss")],
  cpo: [one("rewards/margins"), one("rewards/accuracies", "accent", [0.6, 1]), one("nll_loss"), one("loss")],
  reward_model: [
    one("accuracy", "accent", [0.6, 0.95]),
    one("margin"),
    chosenRejected("scores", "reward_"),
    one("loss"),
    {
      title: "spread",
      lines: [
        { name: "max_reward", tone: "accent" },
        { name: "mean_reward", tone: "base" },
        { name: "min_reward", tone: "base", dashed: true },
      ],
    },
  ],
  ppo: [
    one("objective/scores"),
    one("objective/kl", "base", [0, 10]),
    one("completions/mean_length", "base"),
    one("objective/entropy", "base"),
    one("objective/costs"),
    one("objective/lagrange", "base"),
    one("policy/clipfrac_avg", "base", [0, 0.2]),
    one("val/ratio", "base", [0.9, 1.1]),
    one("loss/value_avg", "base"),
    one("val/explained_variance", "base", [0, 1]),
  ],
  grpo: groups,
  rloo: groups,
  rejection_sampling: [
    one("objective/scores"),
    {
      title: "best_of",
      lines: [
        { name: "best_of/4", tone: "accent" },
        { name: "best_of/2", tone: "base" },
      ],
    },
    one("objective/kl", "base", [0, 10]),
    one("completions/mean_length", "base"),
    one("objective/entropy", "base"),
    one("loss"),
  ],
  online_dpo: [
    one("objective/scores"),
    one("rewards/margins"),
    one("objective/kl", "base", [0, 10]),
    one("completions/mean_length", "base"),
    one("ties", "base", [0, 0.5]),
    one("loss"),
  ],
};
