// How a line chart is drawn with uPlot: axes that count whole steps, a thin line of what was recorded under a smoothed one, the
// usual range as two hairlines, and the last recorded value at the end of each line.
import uPlot from "uplot";
import { pointValue, tickLabels, WHOLE } from "./ticks";

/** What a line stands for decides its colour: slate is the base model alone. */
export type Tone = "accent" | "base" | "third" | "fourth" | "fifth" | "ink" | "rejected";

export interface ChartLine {
  name: string;
  values: (number | null)[];
  tone: Tone;
  dashed?: boolean;
  /** False for what has no noise to smooth away: schedules, counts. */
  smooth?: boolean;
}

export const INK: Record<Tone, string> = {
  accent: "--accent",
  base: "--base",
  third: "--third",
  fourth: "--fourth",
  fifth: "--fifth",
  ink: "--ink",
  rejected: "--fourth",
};

export interface Band {
  low: number;
  high: number;
  name: string;
}

export interface Look {
  width: number;
  height: number;
  lines: ChartLine[];
  /** Which lines have a smoothed one on top. */
  smoothed: boolean[];
  band: Band | undefined;
  /** For small multiples: no name of the axis, no values at the ends. */
  compact: boolean;
  /** Name of the horizontal axis. */
  axis: string;
  /** Charts with the same key share their crosshair. */
  sync: string | undefined;
  onhover: (index: number | null, left: number) => void;
}

const FONT = "11px system-ui, 'Noto Sans', 'Noto Sans SC', sans-serif";
const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Room on the right for values at the ends of the lines. */
const END_ROOM = 50;

const flat = (value: number): [number, number] => {
  const room = Math.abs(value) * 0.1 || 1;
  return [value - room, value + room];
};

/** How far above 1 the axis of a share goes, so that a line at 1 is seen whole. */
const OVER_ONE = 1.03;

/**
 * A range for what is there: values that are all equal get room on both sides instead of a made-up scale, and a share is not
 * drawn as if it could be more than all.
 */
const yRange = (_: uPlot, low: number | null, high: number | null): [number | null, number | null] => {
  if (low === null || high === null) return [0, 1];
  const [from, to] = low === high ? flat(low) : uPlot.rangeNum(low, high, 0.08, true);
  const share = low >= 0 && high <= 1;
  return share ? [Math.max(0, from ?? low), Math.min(OVER_ONE, to ?? high)] : [from, to];
};

const xRange = (_: uPlot, low: number | null, high: number | null): [number | null, number | null] => {
  if (low === null || high === null) return [0, 1];
  return low === high ? [low - 1, high + 1] : [low, high];
};

function series({ lines, smoothed }: Look): uPlot.Series[] {
  // One or two points make no line.
  const points = { show: (u: uPlot) => (u.data[0]?.length ?? 0) < 3, size: 5 };
  return lines.flatMap((line, index) => {
    const stroke = colour(INK[line.tone]);
    const dash = line.dashed ? [6, 4] : undefined;
    const thin = smoothed[index];
    return [
      // What was recorded is never dashed where it is thin: a thin dashed line can hardly be seen.
      {
        label: line.name,
        stroke,
        width: thin ? 1 : 1.75,
        alpha: thin ? 0.3 : 1,
        dash: thin ? undefined : dash,
        points,
      },
      { label: line.name, stroke, width: 2, dash, points: { show: false } },
    ];
  });
}

function axes({ compact, axis }: Look): uPlot.Axis[] {
  const [secondary, hairline] = [colour("--secondary"), colour("--hairline")];
  const common: uPlot.Axis = { stroke: secondary, font: FONT, ticks: { show: false } };
  const width = (_: uPlot, labels: string[] | null): number =>
    12 + 6.5 * Math.max(2, ...(labels ?? []).map((label) => label.length));
  return [
    {
      ...common,
      grid: { show: false },
      incrs: WHOLE,
      space: 44,
      size: 22,
      gap: 3,
      values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? String(tick) : "")),
      ...(compact ? {} : { label: axis, labelSize: 16, labelGap: 0, labelFont: FONT }),
    },
    {
      ...common,
      grid: { stroke: hairline, width: 1 },
      space: compact ? 28 : 34,
      size: width,
      gap: 6,
      values: (_, ticks) => tickLabels(ticks),
    },
  ];
}

/** The usual range: a hairline at each end that is in sight; the legend names them. */
function drawBand(u: uPlot, band: Band): void {
  const { ctx, bbox } = u;
  const { min, max } = u.scales["y"] ?? {};
  if (typeof min !== "number" || typeof max !== "number") return;
  const seen = [band.high, band.low].filter((edge) => edge > min && edge < max);
  ctx.save();
  ctx.strokeStyle = colour("--secondary");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([devicePixelRatio, 3 * devicePixelRatio]);
  for (const edge of seen) {
    const y = Math.round(u.valToPos(edge, "y", true));
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

/** Zero is where a margin turns: it is drawn wherever it is in sight. */
function drawZero(u: uPlot): void {
  const { min, max } = u.scales["y"] ?? {};
  if (typeof min !== "number" || typeof max !== "number" || min >= 0 || max <= 0) return;
  const y = Math.round(u.valToPos(0, "y", true));
  u.ctx.save();
  u.ctx.strokeStyle = colour("--secondary");
  u.ctx.globalAlpha = 0.5;
  u.ctx.setLineDash([]);
  u.ctx.lineWidth = devicePixelRatio;
  u.ctx.beginPath();
  u.ctx.moveTo(u.bbox.left, y);
  u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
  u.ctx.stroke();
  u.ctx.restore();
}

/** Moves places apart that lie closer than a gap, in their order. */
export function spreadOut(places: number[], gap: number): number[] {
  const order = places.map((_, index) => index).sort((a, b) => places[a]! - places[b]!);
  const found = [...places];
  for (let round = 0; round < places.length; round++) {
    for (let i = 1; i < order.length; i++) {
      const [upper, lower] = [order[i - 1]!, order[i]!];
      const missing = gap - (found[lower]! - found[upper]!);
      if (missing <= 0) continue;
      found[upper] = found[upper]! - missing / 2;
      found[lower] = found[lower]! + missing / 2;
    }
  }
  return found;
}

/** The last recorded value at the end of each line. */
function drawEnds(u: uPlot, lines: ChartLine[]): void {
  const steps = u.data[0] ?? [];
  const ends = lines.flatMap((line, place) => {
    // Each line has two series: what was recorded, and the smoothed one.
    const values = (u.data[1 + 2 * place] ?? []) as (number | null)[];
    const index = values.findLastIndex((value) => value !== null);
    const value = values[index];
    if (value === null || value === undefined || steps[index] === undefined) return [];
    return [{ line, value, x: u.valToPos(steps[index], "x", true), y: u.valToPos(value, "y", true) }];
  });
  const { ctx } = u;
  ctx.save();
  ctx.font = `600 ${11 * devicePixelRatio}px system-ui, 'Noto Sans', sans-serif`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  const places = spreadOut(
    ends.map(({ y }) => y),
    13 * devicePixelRatio,
  );
  for (const [index, { line, value, x, y }] of ends.entries()) {
    ctx.fillStyle = colour(INK[line.tone]);
    ctx.beginPath();
    ctx.arc(x, y, 2.5 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.fill();
    ctx.fillText(pointValue(value), x + 7 * devicePixelRatio, places[index]!);
  }
  ctx.restore();
}

/** The crosshair stands on a step, not between two. */
function toStep(u: uPlot, left: number, top: number): [number, number] {
  const step = u.data[0][u.posToIdx(left)];
  return left < 0 || step === undefined ? [left, top] : [u.valToPos(step, "x"), top];
}

export function options(look: Look): uPlot.Options {
  const { compact, band, lines, sync } = look;
  return {
    width: look.width,
    height: look.height,
    padding: [8, compact ? 8 : END_ROOM, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      move: toStep,
      drag: { x: false, y: false, setScale: false },
      // The point of what was recorded, not of the smoothed line.
      points: { size: (_, index) => (index % 2 === 1 ? 7 : 0) },
      ...(sync ? { sync: { key: sync, setSeries: false, scales: ["x", null] as [string, null] } } : {}),
    },
    scales: { x: { time: false, range: xRange }, y: { range: yRange } },
    axes: axes(look),
    series: [{}, ...series(look)],
    hooks: {
      setCursor: [(u) => look.onhover(u.cursor.idx ?? null, (u.cursor.left ?? 0) + u.bbox.left / devicePixelRatio)],
      drawClear: [drawZero, (u) => band && u.data[0].length > 0 && drawBand(u, band)],
      draw: compact ? [] : [(u) => drawEnds(u, lines)],
    },
  };
}
