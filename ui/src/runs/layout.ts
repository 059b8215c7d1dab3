// Which figures and curves of a run come first: four figures and two charts tell how it goes, the rest is for a closer look.
import type { Chart, Line, Metric, RunView, Watch, Words } from "../backend/types";
import type { Tone } from "../shared/plot";
import type { Curves } from "./reading";

export interface PlannedLine {
  metric: Metric;
  tone: Tone;
  dashed: boolean;
  smooth: boolean;
}

export interface PlannedChart {
  /** Key of its first curve; its explanation is found by it. */
  key: string;
  /** None for a margin with the two curves that it is the difference of, and for curves that no method declares. */
  title: Words | null;
  lines: PlannedLine[];
  usual: [number, number] | null;
}

/** What is set and not measured has no noise to smooth away. */
const SET = new Set(["learning_rate", "objective/lagrange", "objective/kl_coef", "epoch"]);
/** Pairs of curves whose difference is the margin in front of them. */
const SPLIT: Record<string, [string, string]> = {
  "rewards/margins": ["rewards/chosen", "rewards/rejected"],
  margin: ["reward_chosen", "reward_rejected"],
};
/** Only runs with a limit on harm have these. */
const OF_LIMIT = new Set(["objective/costs", "objective/lagrange"]);
/** Curves of every method that are worth a look, where its own charts leave them out. */
const EXTRAS = ["learning_rate", "grad_norm", "tokens_per_second"];

const TONES: Record<Line["tone"], Tone> = { accent: "accent", base: "ink", dashed: "rejected" };

const lineOf = ({ metric, tone }: Line): PlannedLine => ({
  metric,
  tone: TONES[tone],
  dashed: tone === "dashed",
  smooth: !SET.has(metric.key),
});

const planOf = (chart: Chart): PlannedChart => ({
  key: chart.lines[0]!.metric.key,
  title: chart.title,
  lines: chart.lines.map(lineOf),
  usual: chart.usual,
});

const holds = (chart: PlannedChart, key: string): boolean => chart.lines.some((line) => line.metric.key === key);

/** A margin and the two curves that it is the difference of, in one chart: the margin in ink, so that chosen keeps its colour. */
function joined(charts: PlannedChart[]): PlannedChart[] {
  const margin = charts.find((chart) => chart.lines.length === 1 && chart.key in SPLIT);
  const parts = margin && charts.find((chart) => chart.key === SPLIT[margin.key]![0] && chart.lines.length === 2);
  if (!margin || !parts) return charts;
  const both: PlannedChart = {
    ...margin,
    title: null,
    lines: [...margin.lines.map((line): PlannedLine => ({ ...line, tone: "ink" })), ...parts.lines],
  };
  return charts.flatMap((chart) => (chart === margin ? [both] : chart === parts ? [] : [chart]));
}

/** True if data can still come, or are there. */
function canShow(chart: PlannedChart, run: Pick<RunView, "work">, curves: Curves, over: boolean): boolean {
  if (OF_LIMIT.has(chart.key) && run.work.kind === "train" && !run.work.cost) return false;
  return !over || chart.lines.some(({ metric }) => curves[metric.key]?.some((value) => value !== null));
}

export const scored = (watch: Watch): boolean => watch.needs.includes("objective/scores");

/** The two charts that come first, and the others. */
export function charts(
  watch: Watch,
  run: Pick<RunView, "work">,
  curves: Curves,
  over: boolean,
): { main: PlannedChart[]; more: PlannedChart[] } {
  const all = joined(watch.charts.map(planOf)).filter((chart) => canShow(chart, run, curves, over));
  const first = all.find((chart) => holds(chart, watch.margin ?? "") && !scored(watch)) ?? all[0];
  const wanted = scored(watch) ? ["objective/kl", "kl"] : ["loss"];
  const second =
    all.find((chart) => chart !== first && wanted.some((key) => holds(chart, key))) ??
    all.find((chart) => chart !== first);
  const main = [first, second].filter((chart) => chart !== undefined);
  const extras = EXTRAS.filter((key) => key in curves && !all.some((chart) => holds(chart, key))).map(extra);
  return { main, more: [...all.filter((chart) => !main.includes(chart)), ...extras] };
}

const extra = (key: string): PlannedChart => ({
  key,
  title: null,
  lines: [{ metric: { key, label: { en: key, zh: key } }, tone: "ink", dashed: false, smooth: !SET.has(key) }],
  usual: null,
});

/** The three figures that come first, beside the pace: those by which the method is judged. */
export function figures(watch: Watch): Metric[] {
  const single = watch.charts.filter((chart) => chart.lines.length === 1).map((chart) => chart.lines[0]!.metric);
  const find = (wanted: (key: string) => boolean): Metric | undefined => single.find(({ key }) => wanted(key));
  const order = scored(watch)
    ? [
        single[0],
        find((key) => /(^|\/)kl$/.test(key)),
        find((key) => key === watch.margin),
        find((key) => /length/.test(key)),
      ]
    : [
        find((key) => key === watch.margin),
        single[0],
        find((key) => /accurac/.test(key)),
        find((key) => key === "loss"),
      ];
  return [...new Set([...order, ...single])].filter((metric) => metric !== undefined).slice(0, 3);
}

/** A name and its unit: "loss (nats)" is "loss", in "nats". */
export function nameAndUnit(words: string): [name: string, unit: string] {
  const found = /^(.*?)\s*[(（]([^()（）]+)[)）]$/.exec(words);
  // A symbol in brackets is no unit.
  return found && !/^[λβ]$/.test(found[2]!) ? [found[1]!, found[2]!] : [words, ""];
}

/** A curve without steps at which all pairs are tied: before the first update nothing is ranked, neither right nor wrong. */
export function shownValues(key: string, curves: Curves): (number | null)[] {
  const values = curves[key] ?? [];
  const margins = curves["rewards/margins"];
  if (key !== "rewards/accuracies" || !margins) return values;
  return values.map((value, index) => (margins[index] === 0 ? null : value));
}
