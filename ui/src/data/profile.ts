// Lengths of a data set's texts as a few readable numbers and bars.
import type { Histogram } from "../backend/types";

export interface Bar {
  /** Left and right end, in tokens. */
  from: number;
  to: number;
  count: number;
  /** Height from 0 to 1, relative to the tallest. */
  height: number;
}

export function barsOf(histogram: Histogram): Bar[] {
  const most = Math.max(1, ...histogram.counts);
  return histogram.counts.map((count, index) => ({
    from: histogram.low + index * histogram.width,
    to: histogram.low + (index + 1) * histogram.width,
    count,
    height: count / most,
  }));
}

/** Where the median lies between the left and the right end of the bars, from 0 to 1. */
export function medianPlace(histogram: Histogram): number {
  const span = histogram.counts.length * histogram.width;
  return span > 0 ? Math.min(1, Math.max(0, (histogram.median - histogram.low) / span)) : 0;
}

/** A share in whole per cent; a small one is never rounded away to 0, a large one never up to 100. */
export function percent(share: number): string {
  if (share > 0 && share < 0.01) return "< 1 %";
  if (share < 1 && share > 0.99) return "> 99 %";
  return `${Math.round(100 * share)} %`;
}
