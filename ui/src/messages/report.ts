// Reports.
export const en = {
  title: "Reports",
  empty: "No report yet",
  emptyText:
    "Every finished experiment has a report: question, set-up, curves, samples, results with intervals, limits and licences.",
  noFigures: "Nothing was compared in this experiment.",
  to: "to",
  of: (title: string) => `Report: ${title}`,
  breadcrumb: "Where you are",
  language: "Language of the report",
  print: "Print",
  saveHtml: "Save as HTML",
  saveMarkdown: "Save as Markdown",
  saved: "Saved.",
  preview: "Report",
};

export const zh: typeof en = {
  title: "报告",
  empty: "还没有报告",
  emptyText: "每个完成的实验都有一份报告：问题、设置、曲线、样例、带区间的结果、局限和许可证。",
  noFigures: "这个实验没有做前后比较。",
  to: "变为",
  of: (title) => `报告：${title}`,
  breadcrumb: "当前位置",
  language: "报告语言",
  print: "打印",
  saveHtml: "保存为 HTML",
  saveMarkdown: "保存为 Markdown",
  saved: "已保存。",
  preview: "报告",
};
