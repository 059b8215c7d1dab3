// Formatting of numbers, and what a change of a number means. Every value keeps its unit, its n and its interval.
import type { Estimate, Evaluation, Measure, Message, Words } from "../backend/types";
import { language, t } from "./i18n.svelte";

const locale = (): string => (language() === "zh" ? "zh-CN" : "en");

export const whole = (value: number): string => new Intl.NumberFormat(locale()).format(Math.round(value));

/** Three significant digits with the language's own large units: "328 万", "1.35 亿"; "3.3M". */
export function compact(value: number): string {
  if (language() === "en") {
    return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value);
  }
  const [unit, name] = value >= 1e8 ? [1e8, " 亿"] : value >= 1e4 ? [1e4, " 万"] : [1, ""];
  return `${Number((value / unit).toPrecision(3))}${name}`;
}

export function bytes(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} GB`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(value >= 1e7 ? 0 : 1)} MB`;
  return `${Math.max(1, Math.round(value / 1e3))} kB`;
}

export function duration(seconds: number): string {
  const [h, min, s] = language() === "zh" ? ["小时", "分", "秒"] : ["h", "min", "s"];
  const total = Math.max(0, Math.round(seconds));
  if (total < 60) return `${total} ${s}`;
  const minutes = Math.floor(total / 60);
  if (minutes < 60) return `${minutes} ${min} ${total % 60} ${s}`;
  return `${Math.floor(minutes / 60)} ${h} ${minutes % 60} ${min}`;
}

/** Time as on a clock, for where there is little room: "0:16", "1:02:05". */
export function clock(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  const two = (part: number): string => String(part).padStart(2, "0");
  const [hours, minutes] = [Math.floor(total / 3600), Math.floor(total / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(total % 60)}` : `${minutes}:${two(total % 60)}`;
}

/** A number with three significant digits: 0.0421, 1.83, 152. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (size !== 0 && size < 1e-3) return sign + size.toExponential(1);
  return sign + size.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** A text in the language of the UI. */
export const localised = (text: Words): string => text[language()];

/** The value of one stack. */
export const valueOf = (measure: Measure | undefined, stack: number): Estimate | null => measure?.values[stack] ?? null;

/** The change from the baseline to one stack. */
export const changeOf = (measure: Measure | undefined, stack: number): Estimate | null =>
  measure?.changes[stack] ?? null;

/** The stack that an evaluation is about: the last. */
export const last = (evaluation: Evaluation): number => evaluation.stacks.length - 1;

export const isRate = (measure: Measure): boolean => measure.unit === "rate";

/** The unit beside a value. A score has none: its scale is the judge's own. */
const unitOf = (measure: Measure): string =>
  measure.unit === "reward" ? "" : localised(measure.words.unit) || measure.unit;

/** A number of a measure without its unit: "88" of a rate, "1.42" of a loss. */
export const bare = (measure: Measure, x: number): string =>
  isRate(measure) ? String(Math.round(100 * x)).replace("-", "−") : figure(x);

/** The value of a measure: "88 %", "1.42 nats". */
export function value(measure: Measure, estimate: Estimate | null): string {
  if (!estimate) return "–";
  return `${bare(measure, estimate.value)} ${isRate(measure) ? "%" : unitOf(measure)}`.trim();
}

/** The ends of an interval: "83–92", and with room for signs where one is negative. */
export function range(measure: Measure, estimate: Estimate): string {
  const [low, high] = [bare(measure, estimate.low), bare(measure, estimate.high)];
  return estimate.low < 0 || estimate.high < 0 ? `${low} … ${high}` : `${low}–${high}`;
}

/** "83–92, n = 200", and how many were unreadable. */
export function interval(measure: Measure, estimate: Estimate | null): string {
  if (!estimate) return "";
  const comma = language() === "zh" ? "，" : ", ";
  const unread = estimate.unreadable > 0 ? `${comma}${t().common.unreadable(estimate.unreadable)}` : "";
  return `${range(measure, estimate)}${comma}n = ${estimate.n}${unread}`;
}

/** Fewer items than this say nothing about a change, whatever their interval. */
export const FEWEST = 20;

/** The smallest change that counts: two points of a rate, a hundredth of a nat; of other units any. */
export const smallest = (measure: Measure): number =>
  isRate(measure) ? 0.02 : measure.unit === "nats" ? 0.01 : Number.MIN_VALUE;

export type Direction = "better" | "worse" | "unclear" | "small" | "few" | "neutral";

/** Assessment of a change by how many items it rests on, its interval, and its size. */
export function direction(measure: Measure, change: Estimate | null): Direction {
  if (!change) return "unclear";
  if (change.n < FEWEST) return "few";
  if (change.low <= 0 && change.high >= 0) return "unclear";
  if (measure.better === "neither") return "neutral";
  if (Math.abs(change.value) < smallest(measure) - 1e-9) return "small";
  return change.value > 0 === (measure.better === "higher") ? "better" : "worse";
}

/** A change with its sign and unit, and its interval: "+52 points (+45 … +59)". */
export function change(measure: Measure, c: Estimate | null): string {
  if (!c) return "–";
  const signed = (x: number): string => {
    const text = bare(measure, Math.abs(x));
    return Number(text) === 0 ? text : (x > 0 ? "+" : "−") + text;
  };
  const unit = isRate(measure) ? t().experiments.points(bare(measure, Math.abs(c.value))) : unitOf(measure);
  const [open, close] = language() === "zh" ? ["（", "）"] : [" (", ")"];
  return `${`${signed(c.value)} ${unit}`.trim()}${open}${signed(c.low)} … ${signed(c.high)}${close}`;
}

export const day = (ms: number): string =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(ms));

/** The time of today, the date of any other day: for where there is little room. */
export function shortDay(ms: number, now = Date.now()): string {
  const date = new Date(ms);
  const today = date.toDateString() === new Date(now).toDateString();
  const year = date.getFullYear() === new Date(now).getFullYear() ? undefined : ("numeric" as const);
  const form: Intl.DateTimeFormatOptions = today
    ? { hour: "numeric", minute: "2-digit" }
    : { day: "numeric", month: "short", year };
  return new Intl.DateTimeFormat(locale(), form).format(date);
}

/** A conversation as text; a single turn needs no speaker. */
export function words(messages: Message[]): string {
  if (messages.length === 1) return messages[0]?.content ?? "";
  return messages.map((message) => `${message.role}: ${message.content}`).join("\n");
}
