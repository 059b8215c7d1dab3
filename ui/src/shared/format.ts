// Formatting of numbers. Every value keeps its unit, its n and its interval.
import type { Estimate, Evaluation, Measure, Message, Words } from "../backend/types";
import { language, t } from "./i18n.svelte";

const locale = (): string => (language() === "zh" ? "zh-CN" : "en");

export const whole = (value: number): string => new Intl.NumberFormat(locale()).format(Math.round(value));

export function compact(value: number): string {
  return new Intl.NumberFormat(locale(), { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

export function bytes(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} GB`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(value >= 1e7 ? 0 : 1)} MB`;
  return `${Math.max(1, Math.round(value / 1e3))} kB`;
}

export function duration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  if (total < 60) return `${total} s`;
  const minutes = Math.floor(total / 60);
  if (minutes < 60) return `${minutes} min ${total % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A number with three significant digits: 0.0421, 1.83, 152. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && size < 1e-3) return value.toExponential(1);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
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

/** The bare value of a measure: "88 %", "1.42 nats". */
export function value(measure: Measure, estimate: Estimate | null): string {
  if (!estimate) return "–";
  if (measure.unit === "rate") return `${Math.round(100 * estimate.value)} %`;
  return `${figure(estimate.value)} ${localised(measure.words.unit) || measure.unit}`.trim();
}

/** "83–92, n = 200", and how many were unreadable. */
export function interval(measure: Measure, estimate: Estimate | null): string {
  if (!estimate) return "";
  const end = (x: number): string => (measure.unit === "rate" ? String(Math.round(100 * x)) : figure(x));
  const unread = estimate.unreadable > 0 ? `, ${t().common.unreadable(estimate.unreadable)}` : "";
  return `${end(estimate.low)}–${end(estimate.high)}, n = ${estimate.n}${unread}`;
}

export type Direction = "better" | "worse" | "unclear" | "neutral";

/** Assessment of a change by its interval. */
export function direction(measure: Measure, change: Estimate | null): Direction {
  if (!change || (change.low <= 0 && change.high >= 0)) return "unclear";
  if (measure.better === "neither") return "neutral";
  return change.value > 0 === (measure.better === "higher") ? "better" : "worse";
}

export function change(measure: Measure, c: Estimate | null): string {
  if (!c) return "–";
  const signed = (x: number): string =>
    (x > 0 ? "+" : x < 0 ? "−" : "") + (measure.unit === "rate" ? Math.abs(Math.round(100 * x)) : figure(Math.abs(x)));
  return `${signed(c.value)} (${signed(c.low)} … ${signed(c.high)})`;
}

export const day = (ms: number): string =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(ms));

/** A conversation as text; a single turn needs no speaker. */
export function words(messages: Message[]): string {
  if (messages.length === 1) return messages[0]?.content ?? "";
  return messages.map((message) => `${message.role}: ${message.content}`).join("\n");
}
