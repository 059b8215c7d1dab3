// What each method does, in two lines for people who meet it for the first time, and the letters of its formula.
type How = Record<string, [string, string]>;

const howEn: How = {
  sft: [
    "Every token of the good answer is made likelier, given all before it. It copies how the rows answer: tone, length, format.",
    "Watch the held-out loss: when it rises while the training loss still falls, the rows are being memorised.",
  ],
  dpo: [
    "The reward of an answer is how much likelier it became than at the start. The chosen answer's reward is pushed above the rejected one's; β says how strongly the start is kept.",
    "Watch the margin between both. That both rewards fall a little is normal; that the chosen one falls far is not.",
  ],
  kto: [
    "Each answer counts by itself: one with a thumb up shall gain against the start, one with a thumb down shall lose, and the further it is the less is gained.",
    "Watch the balance: with many more thumbs of one kind, weigh the other kind more.",
  ],
  orpo: [
    "One loss does two things: it teaches the chosen answer as SFT does, and raises its odds over those of the rejected one.",
    "There is no reference that holds the model back, so few epochs and a small learning rate suffice.",
  ],
  cpo: [
    "Likelihoods are compared directly, without a copy of the start. SimPO divides them by the length of the answer, so that long answers have no advantage, and asks for a margin γ.",
    "Watch the length and the held-out loss: nothing else ties the model to its start.",
  ],
  reward_model: [
    "A number comes out instead of a word. The score of the chosen answer is pushed above that of the rejected one; only the difference counts.",
    "Watch the share of held-out pairs ranked right: 50 % is chance, and what it gets wrong the next stage will exploit.",
  ],
  ppo: [
    "The model answers, the scorer scores, and tokens that led to more than expected become likelier. A step that would change too much is clipped; drifting from the start costs reward (KL).",
    "Watch score and KL together: a score that soars with the KL is often a reward that is being tricked.",
  ],
  grpo: [
    "Several answers to one prompt are scored and compared with their own average, so that no value model is needed.",
    "Where all answers of a group score the same there is nothing to learn: watch how many groups differ.",
  ],
  rloo: [
    "Each answer is compared with the average of the others to the same prompt: an unbiased baseline without a value model.",
    "Watch score and KL together, as for PPO.",
  ],
  online_dpo: [
    "The model answers twice, the scorer says which is better, and DPO learns from that pair: the pairs always fit what the model says now.",
    "Watch the length of the answers: a scorer that likes long ones will get long ones.",
  ],
  rejection_sampling: [
    "The model answers several times, the scorer picks the best, and SFT learns that one. Simple and stable.",
    "It cannot find answers that the model never gives: the gain ends with the best of its own.",
  ],
};

const pairEn =
  "x prompt; y answer, w chosen and l rejected; π the model's probability, θ as trained, ref at its start; σ the sigmoid";
const scoredEn = "x prompt; y answer; r its score; π the model's probability, θ as trained, ref at its start";
const lettersEn: Record<string, string> = {
  sft: "x prompt; y answer of |y| tokens; π the model's probability, θ as trained.",
  dpo: `${pairEn}; β how strongly the start is kept.`,
  kto: "x prompt; y answer; π the model's probability, θ as trained, ref at its start; KL their mean distance; σ the sigmoid; w the weight of each kind.",
  orpo: `${pairEn}; odds p ÷ (1 − p).`,
  cpo: `${pairEn}; α the weight of the SFT term; γ the margin.`,
  reward_model: "x prompt; y answer, w chosen and l rejected; r the score, φ as trained; σ the sigmoid.",
  ppo: `${scoredEn}, old before the step; A the advantage, better or worse than expected; ε the clip range.`,
  grpo: `${scoredEn}; G answers in a group; A the advantage; ε the clip range.`,
  rloo: `${scoredEn}; G answers to a prompt; A the advantage.`,
  online_dpo: `${pairEn}; r the score.`,
  rejection_sampling: `${scoredEn}; G answers to a prompt; y* the best.`,
};

const howZh: How = {
  sft: [
    "在给定前文的条件下，让好回答中的每个词元更可能出现。它学到的是数据的回答方式：语气、长度、格式。",
    "留意留出数据上的损失：训练损失还在降而它开始升，说明模型在死记数据。",
  ],
  dpo: [
    "一个回答的奖励，就是它比训练开始时变得更可能了多少。优选回答的奖励被推到劣选之上；β 决定对起点的保持程度。",
    "留意两者的间隔。两边的奖励都略降是正常的；优选的奖励大幅下降则不正常。",
  ],
  kto: [
    "每个回答单独计算：得赞的应比起点更可能，得踩的应更不可能；离得越远，收益越小。",
    "留意两类的比例：一类远多于另一类时，应加大少的一类的权重。",
  ],
  orpo: [
    "一个损失做两件事：像 SFT 那样学习优选回答，同时提高它相对劣选回答的几率。",
    "没有参考模型拉住它，所以少量轮数和较小的学习率就够了。",
  ],
  cpo: [
    "直接比较似然，不保留起点的副本。SimPO 再除以回答长度，使长回答不占便宜，并要求间隔达到 γ。",
    "留意回答长度和留出数据上的损失：没有别的东西把模型拴在起点附近。",
  ],
  reward_model: [
    "输出的是一个分数而不是词。优选回答的分数被推到劣选之上，只有差值有意义。",
    "留意留出偏好对的判断正确率：50 % 等于瞎猜；它判断错的地方，下一阶段会加以利用。",
  ],
  ppo: [
    "模型作答，打分者打分，带来意外高分的词元变得更可能。变动过大的一步会被裁剪，偏离起点则扣奖励（KL）。",
    "把得分和 KL 放在一起看：得分随 KL 一起猛涨，往往是奖励被钻了空子。",
  ],
  grpo: [
    "同一提示的多个回答各自打分，再与这一组的平均分比较，因此不需要价值模型。",
    "一组回答得分全都相同时学不到东西：留意有多少组存在差别。",
  ],
  rloo: ["每个回答与同一提示其他回答的平均分比较：不需要价值模型的无偏基线。", "与 PPO 一样，把得分和 KL 放在一起看。"],
  online_dpo: [
    "模型作答两次，由打分者判断哪个更好，再用 DPO 从这一对学习：偏好对始终贴合模型当前的说法。",
    "留意回答长度：打分者偏爱长回答，得到的就会是长回答。",
  ],
  rejection_sampling: [
    "模型多次作答，由打分者挑出最好的，再用 SFT 学习它。简单而稳定。",
    "模型从不给出的回答它也找不到：提升止于它自己最好的回答。",
  ],
};

const pairZh = "x 为提示；y 为回答，w 优选、l 劣选；π 为模型给出的概率，θ 为训练中、ref 为起点；σ 为 sigmoid";
const scoredZh = "x 为提示；y 为回答；r 为得分；π 为模型给出的概率，θ 为训练中、ref 为起点";
const lettersZh: Record<string, string> = {
  sft: "x 为提示；y 为含 |y| 个词元的回答；π 为模型给出的概率，θ 为训练中。",
  dpo: `${pairZh}；β 为对起点的保持程度。`,
  kto: "x 为提示；y 为回答；π 为模型给出的概率，θ 为训练中、ref 为起点；KL 为两者的平均距离；σ 为 sigmoid；w 为各类的权重。",
  orpo: `${pairZh}；odds 为几率 p ÷ (1 − p)。`,
  cpo: `${pairZh}；α 为 SFT 项的权重；γ 为间隔。`,
  reward_model: "x 为提示；y 为回答，w 优选、l 劣选；r 为得分，φ 为训练中；σ 为 sigmoid。",
  ppo: `${scoredZh}，old 为这一步之前；A 为优势，即好于或差于预期的程度；ε 为裁剪范围。`,
  grpo: `${scoredZh}；G 为一组的回答数；A 为优势；ε 为裁剪范围。`,
  rloo: `${scoredZh}；G 为同一提示的回答数；A 为优势。`,
  online_dpo: `${pairZh}；r 为得分。`,
  rejection_sampling: `${scoredZh}；G 为同一提示的回答数；y* 为最好的一个。`,
};

export const en = { how: howEn, symbols: (method: string): string => lettersEn[method] ?? "" };
export const zh: typeof en = { how: howZh, symbols: (method) => lettersZh[method] ?? "" };
