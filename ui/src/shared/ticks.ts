// Labels of an axis: distinct, with as few digits as tell the ticks apart, and true to their values.
import { figure, whole } from "./format";

const MINUS = "−";
/** Small values turn to powers of ten early; larger ones that lie close together take the decimals they need. */
const DECIMALS = { small: 4, large: 8 };
const SMALL = 0.01;

const signed = (value: number, words: string): string =>
  value < 0 && /[1-9]/.test(words) ? MINUS + words.replace("-", "") : words.replace("-", "");

/** A tick in powers of ten: 5e−5, 1.5e−4. */
function power(value: number, digits: number): string {
  if (value === 0) return "0";
  const [mantissa, exponent] = Math.abs(value).toExponential(digits).split("e") as [string, string];
  const short = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  return `${value < 0 ? MINUS : ""}${short}e${exponent.replace("+", "").replace("-", MINUS)}`;
}

/** The labels of ticks that lie equally far apart. */
export function tickLabels(ticks: number[]): string[] {
  if (ticks.length === 0) return [];
  const apart = ticks.length > 1 ? Math.abs(ticks[1]! - ticks[0]!) : Math.abs(ticks[0]!) || 1;
  const exact = (decimals: number): boolean =>
    ticks.every((tick) => Math.abs(tick - Number(tick.toFixed(decimals))) < apart * 1e-3);
  const most = Math.max(...ticks.map(Math.abs)) < SMALL ? DECIMALS.small : DECIMALS.large;
  for (let decimals = 0; decimals <= most; decimals++) {
    if (exact(decimals)) return ticks.map((tick) => signed(tick, tick.toFixed(decimals)));
  }
  for (let digits = 0; digits < 6; digits++) {
    const labels = ticks.map((tick) => power(tick, digits));
    if (new Set(labels).size === labels.length) return labels;
  }
  return ticks.map(String);
}

/** Steps of an axis that counts whole things. */
export const WHOLE = [1, 2, 5]
  .flatMap((first) => [0, 1, 2, 3, 4, 5, 6].map((power) => first * 10 ** power))
  .sort((a, b) => a - b);

/** A bound that somebody chose: as short as it was written. */
export const bound = (value: number): string => signed(value, String(value));

/** A value beside a curve: three significant digits, a true minus sign. */
export function pointValue(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3) return power(value, 1);
  return size >= 1000 ? signed(value, whole(size)) : figure(value);
}
