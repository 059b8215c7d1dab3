// What each curve of a run shows, in four lines: what it is, how it is computed, what is usual, and what to do when it is not. A
// key is the name in the log; where a method means something else by it, the key begins with the method.
export interface About {
  what: string;
  how: string;
  usual: string;
  act: string;
}
const about = (what: string, how: string, usual: string, act: string): About => ({ what, how, usual, act });

const enScore = about(
  "How good the reward finds the model's own answers.",
  "Mean score over the answers of the step, by the reward model or by the oracle.",
  "It rises slowly while the KL stays small.",
  "If it rises while answers get longer or the KL jumps, read the samples: the model may be exploiting the reward.",
);
const enEntropy = about(
  "How undecided the model is about its next token.",
  "Mean entropy of the next-token distribution over the tokens of the answers, in nats.",
  "It falls slowly as the model learns.",
  "If it drops towards 0, all answers become alike: raise the KL coefficient or the temperature.",
);
const enClipped = about(
  "How often the step wanted to move further than it may.",
  "Share of tokens whose probability ratio left the range 1 ± clip and so gave no gradient.",
  "Below 0.2.",
  "Above it, lower the learning rate or take fewer passes over the same answers.",
);

export const en: Record<string, About> = {
  loss: about(
    "What training minimises.",
    "Mean over the pairs of the step; for the plain DPO loss, −log σ(margin), which is 0.693 while the margin is 0. Added terms, such as an SFT term, come on top.",
    "It falls, with noise from step to step.",
    "If it rises for long, lower the learning rate. If it does not move, raise it.",
  ),
  "sft:loss": about(
    "How surprised the model is by the answers it shall learn.",
    "Mean negative log-likelihood of the learned tokens, in nats per token.",
    "It falls and flattens; after one epoch, steps of the next one start lower.",
    "If it rises, lower the learning rate. If it nears 0, the model is learning the rows by heart: fewer epochs.",
  ),
  "reward_model:loss": about(
    "How far the scores are from ranking the pairs right.",
    "−log σ(score of chosen − score of rejected), mean over the pairs of the step.",
    "It starts near 0.693 and falls.",
    "If it nears 0, the model may have found a shortcut, such as length: look at held-out pairs.",
  ),
  "rejection_sampling:loss": about(
    "How surprised the model is by its own best answers.",
    "Mean negative log-likelihood of the chosen answers' tokens, in nats per token.",
    "It falls slowly.",
    "If it does not move, the best answers are hardly different from the others: sample more, or warmer.",
  ),
  "rewards/margins": about(
    "How much more the model moved towards chosen answers than towards rejected ones.",
    "Reward of chosen − reward of rejected. The reward of an answer is beta × (its log-probability now − at the start); methods without a reference use the log-probability itself.",
    "It starts at 0 and rises to a few nats.",
    "If it is negative, chosen and rejected may be swapped. If it does not move, raise the learning rate.",
  ),
  "rewards/chosen": about(
    "How much likelier the chosen and the rejected answers became.",
    "beta × (log-probability now − at the start), mean over the answers of the step.",
    "Rejected falls; chosen stays near 0 or falls a little.",
    "If chosen falls as far as the margin grows, stop earlier, lower the learning rate or raise beta.",
  ),
  "rewards/accuracies": about(
    "In how many pairs the model prefers the chosen answer.",
    "Share of the step's pairs in which chosen has the higher reward. Steps before the first update are left out: there all pairs are tied.",
    "It rises from about 0.5 to 0.7 and more.",
    "If it stays near 0.5, the pairs may be too noisy. If it is 1 at once, they may differ in something trivial.",
  ),
  "logps/chosen": about(
    "How likely the model finds the chosen and the rejected answers.",
    "Log-probability summed over the tokens of the answer, in nats; longer answers are less likely.",
    "Rejected falls faster than chosen.",
    "If both fall steeply, the model drifts away from such answers altogether: lower the learning rate.",
  ),
  log_odds_chosen: about(
    "How much likelier chosen is than rejected.",
    "Log of the odds of the chosen answer over those of the rejected one, from mean log-probabilities per token.",
    "It rises.",
    "If it falls, chosen and rejected may be swapped.",
  ),
  nll_loss: about(
    "How surprised the model is by the chosen answers.",
    "Mean negative log-likelihood of their tokens, in nats per token.",
    "It falls or stays.",
    "If it rises, the model unlearns good answers while it avoids bad ones: raise the weight of this term.",
  ),
  accuracy: about(
    "In how many pairs the preferred answer gets the higher score.",
    "Share of the step's pairs.",
    "0.6 to 0.95.",
    "Near 0.5: more pairs or steps. Near 1: look for a shortcut in the data.",
  ),
  margin: about(
    "How far apart the model scores the two answers of a pair.",
    "Score of chosen − score of rejected, mean over the pairs of the step.",
    "It starts near 0 and rises.",
    "If it grows without end, train for fewer epochs: scores become overconfident.",
  ),
  reward_chosen: about(
    "The scores of both answers.",
    "Mean score of the chosen and of the rejected answers of the step.",
    "Chosen lies above rejected, both around 0.",
    "If both drift to one side, raise the weight that keeps scores centred.",
  ),
  max_reward: about(
    "How widely the scores spread.",
    "Highest, mean and lowest score of the step.",
    "The spread grows slowly.",
    "If it explodes, lower the learning rate.",
  ),
  mean_token_accuracy: about(
    "How often the model would have written the very token.",
    "Share of learned tokens that were the likeliest one.",
    "It rises as the loss falls.",
    "Near 1 the rows are known by heart: fewer epochs, or more data.",
  ),
  grad_norm: about(
    "How large the step wanted to be.",
    "Norm of the gradient over all trained weights, before it is clipped.",
    "It stays of one size; single peaks are harmless.",
    "If it grows steadily, lower the learning rate.",
  ),
  learning_rate: about(
    "How large the steps are.",
    "Set by the schedule: it rises during the warm-up and falls to the end. Not measured, so not smoothed.",
    "As planned.",
    "Change the learning rate or the schedule in the settings.",
  ),
  "objective/kl": about(
    "How far the model has moved from where it started.",
    "Log-probability of its answers now − at the start, summed over an answer, in nats.",
    "0 to 10 nats per answer.",
    "Above it, raise the KL coefficient or lower the learning rate.",
  ),
  kl: about(
    "How far the model has moved from where it started.",
    "Estimated KL divergence from the reference, in nats per token.",
    "Below 1.",
    "Above it, raise beta or lower the learning rate.",
  ),
  "kto:kl": about(
    "How far the model has moved from where it started; the loss measures every answer against it.",
    "Mean log-ratio to the reference on answers paired with other prompts, at least 0, in nats.",
    "0 to 10.",
    "Above it, lower the learning rate or raise beta.",
  ),
  "objective/scores": enScore,
  reward: enScore,
  "completions/mean_length": about(
    "How long the model's answers are.",
    "Mean number of tokens of the answers of the step.",
    "Near where it started.",
    "If it climbs with the score, the reward may prefer length: read the samples.",
  ),
  "objective/entropy": enEntropy,
  entropy: enEntropy,
  "objective/costs": about(
    "How harmful the model's answers are.",
    "Mean cost over the answers of the step, by the cost model or by the oracle.",
    "It falls below the limit and stays there.",
    "If it stays above the limit, train longer, or let the weight of harm rise faster.",
  ),
  "objective/lagrange": about(
    "How much harm counts against the score.",
    "Rises while the cost is above the limit, and falls while it is below. Set by a rule, so not smoothed.",
    "It rises at first and settles.",
    "If it rises without end, the limit may be out of reach.",
  ),
  "policy/clipfrac_avg": enClipped,
  "clip_ratio/region_mean": enClipped,
  "val/ratio": about(
    "How far the step moved the model's answers.",
    "Probability of the tokens after the step over before it, mean over all tokens.",
    "0.9 to 1.1.",
    "Outside it, lower the learning rate or take fewer passes over the same answers.",
  ),
  "loss/value_avg": about(
    "How wrong the estimate of the coming reward was.",
    "Half the mean squared error of the value head against the returns.",
    "It falls, then follows the scores.",
    "If it grows, lower the learning rate or the weight of the value loss.",
  ),
  "val/explained_variance": about(
    "How well the value head foresees the reward.",
    "1 − variance of its errors ÷ variance of the returns.",
    "It rises from below 0 towards 1.",
    "If it stays below 0, the estimates are worse than a constant: more steps, or larger batches.",
  ),
  frac_reward_zero_std: about(
    "How many questions teach nothing in this step.",
    "Share of groups whose answers all got the same score, so that none is better than another.",
    "Below 0.5.",
    "Above it, raise the temperature, take more answers per question, or harder questions.",
  ),
  "best_of/4": about(
    "What choosing the best of several answers is worth.",
    "Mean score of the best of two and of the best of four answers to a question.",
    "Both lie above the plain score, and the gap narrows as the model learns.",
    "Without a gap, the answers are too alike to choose from: raise the temperature.",
  ),
  ties: about(
    "How many pairs of answers could not be ranked.",
    "Share of questions whose two answers got equal scores; they teach nothing.",
    "Below 0.5.",
    "Above it, raise the temperature or use a finer reward.",
  ),
  tokens_per_second: about(
    "How fast the run is.",
    "Tokens of the rows, without padding, per second over the last steps.",
    "Steady; it dips at checkpoints and when other programs compute.",
    "Close other programs, or give the run more threads in the settings.",
  ),
};

const zhScore = about(
  "奖励给模型自己的回答打多少分。",
  "本步所有回答得分的平均值，由奖励模型或裁判给出。",
  "缓慢上升，同时 KL 保持较小。",
  "若得分上升而回答变长或 KL 突增，请阅读样例：模型可能在钻奖励的空子。",
);
const zhEntropy = about(
  "模型对下一个词元有多犹豫。",
  "回答中各词元的预测分布的平均熵，单位 nat。",
  "随学习缓慢下降。",
  "若趋近 0，回答会千篇一律：提高 KL 系数或温度。",
);
const zhClipped = about(
  "更新有多常想超出允许的幅度。",
  "概率比超出 1 ± clip 而不再产生梯度的词元比例。",
  "低于 0.2。",
  "若更高，降低学习率，或减少对同一批回答的重复更新。",
);

export const zh: typeof en = {
  loss: about(
    "训练要减小的量。",
    "本步各偏好对的平均值；标准 DPO 损失为 −log σ(间隔)，间隔为 0 时是 0.693。若另加 SFT 等项，会相应更高。",
    "总体下降，逐步之间有噪声。",
    "若持续上升，降低学习率；若几乎不动，提高学习率。",
  ),
  "sft:loss": about(
    "模型对要学的回答有多意外。",
    "所学词元的平均负对数似然，单位 nat／词元。",
    "下降并趋于平缓；进入下一轮时会再低一截。",
    "若上升，降低学习率；若趋近 0，模型在死记：减少轮数。",
  ),
  "reward_model:loss": about(
    "分数离正确排序还有多远。",
    "−log σ(优选得分 − 劣选得分)，取本步各对的平均。",
    "从 0.693 附近开始下降。",
    "若趋近 0，模型可能找到了捷径（如长度）：看留出的偏好对。",
  ),
  "rejection_sampling:loss": about(
    "模型对自己最好的回答有多意外。",
    "所选回答各词元的平均负对数似然，单位 nat／词元。",
    "缓慢下降。",
    "若不动，最好的回答与其他回答差别太小：多采样，或提高温度。",
  ),
  "rewards/margins": about(
    "与劣选相比，模型更靠近优选（chosen）多少。",
    "优选奖励 − 劣选（rejected）奖励。回答的奖励 = β ×（当前对数概率 − 起点对数概率）；没有参考模型的方法直接用对数概率。",
    "从 0 开始，升到几个 nat。",
    "若为负，优选和劣选可能颠倒；若不动，提高学习率。",
  ),
  "rewards/chosen": about(
    "优选和劣选回答的概率各变化了多少。",
    "β ×（当前对数概率 − 起点对数概率），取本步回答的平均。",
    "劣选下降，优选在 0 附近或略降。",
    "若优选下降的幅度与间隔相当，提前停止、降低学习率或提高 β。",
  ),
  "rewards/accuracies": about(
    "模型在多少对中更偏好优选回答。",
    "本步中优选奖励更高的比例。首次更新之前所有对都打平，这些步不计。",
    "从约 0.5 升到 0.7 以上。",
    "若停在 0.5 附近，数据可能噪声太大；若立刻为 1，两个回答可能只差一个明显特征。",
  ),
  "logps/chosen": about(
    "模型认为优选和劣选回答有多可能。",
    "回答各词元对数概率之和，单位 nat；回答越长数值越低。",
    "劣选比优选下降得快。",
    "若两者都急剧下降，模型在远离这类回答：降低学习率。",
  ),
  log_odds_chosen: about(
    "优选比劣选更可能多少。",
    "按每词元平均对数概率计算的优选与劣选的对数几率之差。",
    "上升。",
    "若下降，优选和劣选可能颠倒。",
  ),
  nll_loss: about(
    "模型对优选回答有多意外。",
    "优选回答各词元的平均负对数似然，单位 nat／词元。",
    "下降或持平。",
    "若上升，模型在避开坏回答时也忘了好回答：加大此项权重。",
  ),
  accuracy: about(
    "多少对中优选回答得分更高。",
    "占本步偏好对的比例。",
    "0.6 到 0.95。",
    "接近 0.5：增加数据或步数；接近 1：检查数据中是否有捷径。",
  ),
  margin: about(
    "模型给一对回答打的分相差多少。",
    "优选得分 − 劣选得分，取本步各对的平均。",
    "从 0 附近开始上升。",
    "若无止境地增大，减少轮数：打分会过于自信。",
  ),
  reward_chosen: about(
    "两个回答各得多少分。",
    "本步优选和劣选回答的平均得分。",
    "优选高于劣选，两者都在 0 附近。",
    "若一起偏向一侧，加大让分数居中的权重。",
  ),
  max_reward: about("分数分布有多宽。", "本步的最高、平均和最低分。", "缓慢变宽。", "若急剧变宽，降低学习率。"),
  mean_token_accuracy: about(
    "模型有多常会写出同一个词元。",
    "所学词元中恰为最可能词元的比例。",
    "随损失下降而上升。",
    "接近 1 表示已背下数据：减少轮数或增加数据。",
  ),
  grad_norm: about(
    "更新想迈多大的步。",
    "全部训练权重的梯度范数，裁剪之前。",
    "大小大致稳定；个别尖峰无妨。",
    "若持续增大，降低学习率。",
  ),
  learning_rate: about(
    "每步迈多大。",
    "由调度决定：预热时上升，之后降到末尾。不是测量值，所以不平滑。",
    "与计划一致。",
    "在设置中更改学习率或调度。",
  ),
  "objective/kl": about(
    "模型离起点有多远。",
    "回答的当前对数概率 − 起点对数概率，按整个回答求和，单位 nat。",
    "每个回答 0 到 10 nat。",
    "若更高，提高 KL 系数或降低学习率。",
  ),
  kl: about(
    "模型离起点有多远。",
    "与参考模型的 KL 散度估计，单位 nat／词元。",
    "低于 1。",
    "若更高，提高 β 或降低学习率。",
  ),
  "kto:kl": about(
    "模型离起点有多远；损失以它为基准衡量每个回答。",
    "把回答配给别的提问时，与参考模型的平均对数比，不低于 0，单位 nat。",
    "0 到 10。",
    "若更高，降低学习率或提高 β。",
  ),
  "objective/scores": zhScore,
  reward: zhScore,
  "completions/mean_length": about(
    "模型的回答有多长。",
    "本步回答的平均词元数。",
    "接近起点。",
    "若随得分一起上升，奖励可能偏爱长度：阅读样例。",
  ),
  "objective/entropy": zhEntropy,
  entropy: zhEntropy,
  "objective/costs": about(
    "模型的回答有多有害。",
    "本步回答的平均代价，由代价模型或裁判给出。",
    "降到上限以下并保持。",
    "若一直高于上限，延长训练，或让有害的权重升得更快。",
  ),
  "objective/lagrange": about(
    "有害相对得分占多大权重。",
    "代价高于上限时上升，低于时下降。由规则决定，所以不平滑。",
    "先升后稳。",
    "若无止境地上升，上限可能无法达到。",
  ),
  "policy/clipfrac_avg": zhClipped,
  "clip_ratio/region_mean": zhClipped,
  "val/ratio": about(
    "这一步让回答的概率变化了多少。",
    "更新后与更新前词元概率之比，取全部词元的平均。",
    "0.9 到 1.1。",
    "若超出，降低学习率，或减少对同一批回答的重复更新。",
  ),
  "loss/value_avg": about(
    "对将得奖励的估计错了多少。",
    "价值头与回报的均方误差的一半。",
    "先下降，之后随得分变化。",
    "若增大，降低学习率或价值损失的权重。",
  ),
  "val/explained_variance": about(
    "价值头预见奖励的能力。",
    "1 − 误差方差 ÷ 回报方差。",
    "从 0 以下升向 1。",
    "若一直低于 0，估计还不如常数：增加步数或批量。",
  ),
  frac_reward_zero_std: about(
    "本步有多少提问学不到东西。",
    "各回答得分完全相同、分不出好坏的组的比例。",
    "低于 0.5。",
    "若更高，提高温度，增加每题回答数，或换更难的提问。",
  ),
  "best_of/4": about(
    "从多个回答中选最好有多大好处。",
    "同一提问两个、四个回答中最好者的平均得分。",
    "都高于普通得分，差距随学习缩小。",
    "若没有差距，回答过于相似：提高温度。",
  ),
  ties: about(
    "多少对回答分不出高下。",
    "两个回答得分相同的提问比例；从中学不到东西。",
    "低于 0.5。",
    "若更高，提高温度，或使用更细的奖励。",
  ),
  tokens_per_second: about(
    "运行有多快。",
    "最近几步每秒处理的词元数，不含填充。",
    "平稳；保存检查点或其他程序占用时会下降。",
    "关闭其他程序，或在设置中给运行更多线程。",
  ),
};
