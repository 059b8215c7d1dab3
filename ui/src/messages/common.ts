// Texts of every screen.
export const en = {
  nav: { experiments: "Experiments", models: "Models", data: "Data", runs: "Runs", chat: "Chat", reports: "Reports" },
  newExperiment: "New experiment",
  language: "Language",
  theme: "Light or dark",
  cancel: "Cancel",
  close: "Close",
  remove: "Remove",
  /** Consequence of removing a model or a data set for the experiments that use it. */
  usedBy: (done: number, drafts: number) => {
    const count = (n: number, one: string) => (n === 1 ? `1 ${one}` : `${n} ${one}s`);
    const users = [done ? count(done, "experiment") : "", drafts ? count(drafts, "draft") : ""]
      .filter(Boolean)
      .join(" and ");
    if (!users) return "No experiment uses it.";
    return `Used by ${users}. ${done ? "Finished experiments keep their report and their exports. " : ""}${drafts ? "Drafts need a replacement before they can start." : ""}`.trim();
  },
  rename: "Rename",
  save: "Save",
  back: "Back",
  loading: "One moment …",
  retry: "Try again",
  reveal: "May be harmful. Show",
  hide: "Hide",
  keys: "Keyboard shortcuts",
  skip: "Skip to the content",
  palette: {
    title: "Command palette",
    hint: "Go to a screen, an experiment, a data set …",
    nothing: "Nothing of this name.",
    screen: "screen",
    setting: "setting",
    experiment: "experiment",
    dataset: "data set",
  },
  keyList: [
    ["Ctrl K", "command palette"],
    ["?", "show the keyboard shortcuts"],
    ["Esc", "close or go back"],
  ] as [string, string][],
  tokens: "tokens",
  unreadable: (n: number) => `${n} unreadable`,
  states: {
    draft: "draft",
    queued: "waiting",
    running: "running",
    paused: "paused",
    interrupted: "interrupted",
    stopped: "stopped early",
    finished: "finished",
    failed: "failed",
    discarded: "discarded",
  } as Record<string, string>,
  copied: "Copied",
  copy: "Copy",
};

export const zh: typeof en = {
  nav: { experiments: "实验", models: "模型", data: "数据", runs: "运行", chat: "对话", reports: "报告" },
  newExperiment: "新建实验",
  language: "语言",
  theme: "浅色或深色",
  cancel: "取消",
  close: "关闭",
  remove: "移除",
  usedBy: (done, drafts) => {
    const users = [done ? `${done} 个实验` : "", drafts ? `${drafts} 个草稿` : ""].filter(Boolean).join("和");
    if (!users) return "没有实验用到它。";
    return `${users}用到它。${done ? "已完成的实验保留报告和导出。" : ""}${drafts ? "草稿需要另选替代后才能开始。" : ""}`;
  },
  rename: "改名",
  save: "保存",
  back: "返回",
  loading: "请稍候……",
  retry: "重试",
  reveal: "内容可能有害，点此显示",
  hide: "隐藏",
  keys: "快捷键",
  skip: "跳到内容",
  palette: {
    title: "命令面板",
    hint: "前往界面、实验、数据集……",
    nothing: "没有这个名称。",
    screen: "界面",
    setting: "设置",
    experiment: "实验",
    dataset: "数据集",
  },
  keyList: [
    ["Ctrl K", "命令面板"],
    ["?", "显示快捷键"],
    ["Esc", "关闭或返回"],
  ],
  tokens: "词元",
  unreadable: (n) => `${n} 条无法判读`,
  states: {
    draft: "草稿",
    queued: "排队中",
    running: "运行中",
    paused: "已暂停",
    interrupted: "已中断",
    stopped: "提前结束",
    finished: "已完成",
    failed: "失败",
    discarded: "已丢弃",
  },
  copied: "已复制",
  copy: "复制",
};
