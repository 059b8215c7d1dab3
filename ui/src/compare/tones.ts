// Colours of experiments beside each other. Slate stays the base model's; after four, the colours come back dashed.
import type { MarkTone } from "../shared/interval";

type Tone = Exclude<MarkTone, "base" | "middle">;
const TONES: Tone[] = ["aligned", "third", "fourth", "fifth"];
/** As many as can be told apart. */
export const MOST = 8;

export const toneOf = (place: number): Tone => TONES[place % TONES.length]!;
export const dashedAt = (place: number): boolean => place >= TONES.length;
/** The same colour as charts name it. */
export const chartTone = (place: number) => {
  const tone = toneOf(place);
  return tone === "aligned" ? ("accent" as const) : tone;
};
