// Models.
export const en = {
  title: "Models",
  add: "Add a model folder",
  addHint: "A folder in the hub's layout: config.json, safetensors, tokenizer.json. Nothing is copied.",
  browserHint: "Model folders can be added in the desktop window.",
  empty: "No model here",
  emptyText: "The program's own models were not found. Add a folder in the hub's layout.",
  facts: { parameters: "parameters", vocabulary: "vocabulary", context: "longest text", size: "on disk", licence: "licence", hash: "SHA-256", folder: "folder", template: "chat template" },
  yes: "yes",
  no: "no",
  unknown: "not stated",
  bundled: "bundled",
  card: "Model card",
  removeAsk: (name: string) => `Forget “${name}”? Its files stay where they are.`,
};

export const zh: typeof en = {
  title: "模型",
  add: "添加模型文件夹",
  addHint: "文件夹应为 Hub 布局：config.json、safetensors、tokenizer.json。不会复制任何文件。",
  browserHint: "请在桌面窗口中添加模型文件夹。",
  empty: "这里没有模型",
  emptyText: "没有找到程序自带的模型。请添加 Hub 布局的文件夹。",
  facts: { parameters: "参数量", vocabulary: "词表", context: "最长文本", size: "占用磁盘", licence: "许可证", hash: "SHA-256", folder: "文件夹", template: "对话模板" },
  yes: "有",
  no: "无",
  unknown: "未说明",
  bundled: "自带",
  card: "模型卡",
  removeAsk: (name) => `不再使用“${name}”？它的文件会留在原处。`,
};
