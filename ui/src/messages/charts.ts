// What stands around a chart: axes, legend, table, and the heads of its explanation.
export const en = {
  chart: {
    step: "step",
    at: (step: number) => `step ${step}`,
    smoothed: "thin: every step · thick: smoothed",
    table: "As a table",
    spoken: (name: string, first: string, last: string) => `${name} from ${first} to ${last}`,
    /** What an empty chart will show, and when. */
    soon: "One point for each step, from the first step on.",
    queued: "Begins when the run has its turn.",
    none: "Nothing was recorded.",
    usual: (low: string, high: string) => `usual ${low} to ${high}`,
    margin: "margin, chosen and rejected",
    marginLine: "margin",
    more: (n: number) => (n === 1 ? "1 more curve" : `${n} more curves`),
    extra: {
      learning_rate: "learning rate",
      grad_norm: "gradient norm",
      tokens_per_second: "speed (tokens/s)",
    } as Record<string, string>,
  },
  explain: {
    of: (name: string) => `What is ${name}?`,
    what: "what it is",
    how: "how it is computed",
    usual: "what is usual",
    act: "when it is not",
  },
};

export const zh: typeof en = {
  chart: {
    step: "步",
    at: (step) => `第 ${step} 步`,
    smoothed: "细线：每一步 · 粗线：平滑后",
    table: "以表格查看",
    spoken: (name, first, last) => `${name}从 ${first} 到 ${last}`,
    soon: "从第一步开始，每步一个点。",
    queued: "轮到本次运行后开始。",
    none: "没有任何记录。",
    usual: (low, high) => `通常 ${low} 至 ${high}`,
    margin: "间隔，优选与劣选",
    marginLine: "间隔",
    more: (n) => `另有 ${n} 条曲线`,
    extra: { learning_rate: "学习率", grad_norm: "梯度范数", tokens_per_second: "速度（词元／秒）" },
  },
  explain: {
    of: (name) => `${name}是什么？`,
    what: "含义",
    how: "算法",
    usual: "通常",
    act: "异常时",
  },
};
