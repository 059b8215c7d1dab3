// What SFT and DPO are, in two minutes.
export const en = {
  title: "What are SFT and DPO?",
  lead: "A base model continues text. Two short trainings turn it into one that answers as people want: first it is shown good answers, then it is told which of two answers is better.",
  sft: {
    title: "SFT: learn from good answers",
    text: [
      "Supervised fine-tuning shows the model a prompt and a good answer, and makes every word of that answer more likely. It learns the form: to answer at all, in the right tone, and to stop.",
      "What it cannot learn is what not to do. It never sees a bad answer, so nothing pushes one down.",
    ],
    picture: "Picture: one prompt with one answer. The answer's probability rises.",
    prompt: "prompt",
    answer: "good answer",
    up: "likelier",
  },
  dpo: {
    title: "DPO: learn from a choice",
    text: [
      "Direct preference optimisation takes pairs: one prompt, an answer that people chose and one that they rejected. It raises the chosen answer and lowers the rejected one, but only relative to where the model started. That keeps it from running away from what it knew.",
      "No reward model and no sampling are needed, hence direct.",
    ],
    picture: "Picture: one prompt with two answers. The chosen one's probability rises, the rejected one's falls.",
    chosen: "chosen",
    rejected: "rejected",
    down: "less likely",
  },
  formula: {
    title: "The formula in plain words",
    margin: "margin",
    loss: "loss",
    parts: [
      ["c, r", "log-probability of the chosen and of the rejected answer, now"],
      ["c₀, r₀", "the same at the start of DPO: the reference"],
      ["β", "how much a difference counts; a small β lets the model move further"],
      ["margin", "by how much more the chosen answer gained than the rejected one"],
      ["σ", "squeezes the margin into a probability that the pair is ranked right"],
    ] as [string, string][],
    after:
      "At the start the margin is 0, the probability one half, and the loss 0.693. While the margin grows, the loss falls.",
  },
  watch: {
    title: "What to look at",
    items: [
      "Good answers before and after, with their interval: did it work at all?",
      "Harmless requests refused: a model that refuses everything does no harm, and is of no use.",
      "The margin during DPO: it should grow and then level off.",
    ],
  },
  back: "Experiments",
};

export const zh: typeof en = {
  title: "SFT 和 DPO 是什么？",
  lead: "基座模型只会续写文本。两次短训练让它学会按人的意愿回答：先给它看好的回答，再告诉它两个回答中哪个更好。",
  sft: {
    title: "SFT：从好的回答中学习",
    text: [
      "监督微调给模型看一个提问和一个好的回答，让这个回答的每个词概率更高。它学到的是形式：要回答、语气要合适、说完就停。",
      "它学不到的是什么不该做。它从没见过坏的回答，也就没有什么把坏的回答压下去。",
    ],
    picture: "图：一个提问，一个回答，回答的概率升高。",
    prompt: "提问",
    answer: "好的回答",
    up: "概率升高",
  },
  dpo: {
    title: "DPO：从选择中学习",
    text: [
      "直接偏好优化使用偏好对：同一个提问，一个被人选中的回答（chosen），一个没被选中的（rejected）。它抬高前者、压低后者，但只相对于模型的起点，因此不会偏离原有的知识太远。",
      "不需要奖励模型，也不需要采样，所以叫“直接”。",
    ],
    picture: "图：一个提问，两个回答。优选回答的概率升高，劣选回答的概率降低。",
    chosen: "优选",
    rejected: "劣选",
    down: "概率降低",
  },
  formula: {
    title: "公式，用大白话说",
    margin: "间隔",
    loss: "损失",
    parts: [
      ["c、r", "优选与劣选回答现在的对数概率"],
      ["c₀、r₀", "DPO 开始时的对数概率，即参考"],
      ["β", "差异有多重要；β 越小，模型可以走得越远"],
      ["间隔", "优选回答比劣选回答多升高了多少"],
      ["σ", "把间隔压成“这一对排序正确”的概率"],
    ],
    after: "开始时间隔为 0，概率是二分之一，损失是 0.693。间隔变大，损失随之下降。",
  },
  watch: {
    title: "该看什么",
    items: [
      "前后的合格回答率及其区间：到底有没有效果？",
      "误拒的无害请求：什么都拒绝的模型不会有害，也没有用。",
      "DPO 期间的间隔：应当先变大，再趋于平稳。",
    ],
  },
  back: "实验",
};
