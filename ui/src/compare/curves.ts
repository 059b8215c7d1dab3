// Curves of several runs on one axis of steps, and which runs and which figures can be compared.
import type { ExperimentSummary, MethodCard, RunView, Words } from "../backend/types";

/** As many charts as one screen shows at once. */
const MOST = 6;

export type Curve = [number, number][];

/** Curves with steps of their own on the union of all steps; where a run has no value there is a gap. */
export function align(curves: Curve[]): { steps: number[]; values: (number | null)[][] } {
  const steps = [...new Set(curves.flatMap((curve) => curve.map(([step]) => step)))].sort((a, b) => a - b);
  const values = curves.map((curve) => {
    const known = new Map(curve);
    return steps.map((step) => known.get(step) ?? null);
  });
  return { steps, values };
}

export interface Group {
  method: string;
  /** The last run of this method in each experiment. */
  runs: (RunView | null)[];
}

/** Methods that at least two of the experiments have trained with; the last stage first, it is what they are about. */
export function groups(list: ExperimentSummary[]): Group[] {
  const trained = list.map(({ runs }) => runs.filter((run) => run.work.kind === "train" && run.method !== null));
  const methods = [...new Set(trained.flatMap((runs) => runs.map((run) => run.method ?? "")))];
  const place = (method: string): number =>
    Math.max(...trained.map((runs) => runs.findLastIndex((run) => run.method === method)));
  return methods
    .map((method) => ({ method, runs: trained.map((runs) => runs.findLast((run) => run.method === method) ?? null) }))
    .filter(({ runs }) => runs.filter(Boolean).length > 1)
    .sort((a, b) => place(b.method) - place(a.method));
}

export interface Figure {
  key: string;
  title: Words;
}

/** Figures that at least two of the runs recorded, as the method's charts name them. */
export function figures(runs: (RunView | null)[], card: MethodCard | undefined): Figure[] {
  const recorded = (key: string): boolean => runs.filter((run) => run && key in run.metrics).length > 1;
  const all = (card?.watch.charts ?? []).flatMap((chart) =>
    chart.lines.map((line) => {
      // A chart with one line is named for it; of several lines each is named beside its chart.
      const { title } = chart;
      const { label, key } = line.metric;
      const both = { en: `${title.en}: ${label.en}`, zh: `${title.zh}：${label.zh}` };
      return { key, title: chart.lines.length === 1 ? title : both };
    }),
  );
  const known = all.filter(
    (figure, index) => recorded(figure.key) && all.findIndex((other) => other.key === figure.key) === index,
  );
  return known.slice(0, MOST);
}

/** Places of curves that are equal to an earlier one, so that they hide each other. */
export function twins(curves: Curve[]): number[][] {
  const found = new Map<string, number[]>();
  for (const [place, curve] of curves.entries()) {
    if (curve.length === 0) continue;
    const text = JSON.stringify(curve);
    found.set(text, [...(found.get(text) ?? []), place]);
  }
  return [...found.values()].filter((places) => places.length > 1);
}
