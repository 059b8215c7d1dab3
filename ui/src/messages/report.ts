// Reports.
export const en = {
  title: "Reports",
  empty: "No report yet",
  emptyText:
    "Every finished experiment has a report: question, set-up, curves, samples, results with intervals, limits and licences.",
  saveHtml: "Save as HTML",
  saveMarkdown: "Save as Markdown",
  saved: "Saved.",
  preview: "Report",
};

export const zh: typeof en = {
  title: "报告",
  empty: "还没有报告",
  emptyText: "每个完成的实验都有一份报告：问题、设置、曲线、样例、带区间的结果、局限和许可证。",
  saveHtml: "保存为 HTML",
  saveMarkdown: "保存为 Markdown",
  saved: "已保存。",
  preview: "报告",
};
