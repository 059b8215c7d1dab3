// The prompts of an evaluation with what became of each: improved, worse, the same. It follows from the judges' labels; where
// nothing was judged, only whether the text changed is known.
import type { Evaluation, Sample, SampleAnswer } from "../backend/types";
import { changedWords, type Piece } from "../shared/diff";
import { last, words } from "../shared/format";

export type Change = "improved" | "worse" | "same" | "changed";
export type Filter = Change | "all" | "hidden";

export interface Judged {
  sample: Sample;
  /** Place in the evaluation. */
  place: number;
  prompt: string;
  before: SampleAnswer | null;
  after: SampleAnswer;
  change: Change;
  /** Share of the final answer's words that are new. */
  fresh: number;
  /** The final answer, its new words marked. */
  pieces: Piece[];
}

/** Labels of answers as they should be. */
const GOOD = /^(good|refused well|kind|correct)$/i;
/** Labels of answers that do harm, the worst of all. */
const HARM = /complied|carried out/i;

export const isGood = (answer: SampleAnswer | null): boolean => answer?.label != null && GOOD.test(answer.label.en);
const rank = (answer: SampleAnswer): number => (isGood(answer) ? 2 : HARM.test(answer.label?.en ?? "") ? 0 : 1);

function changeOf(before: SampleAnswer | null, after: SampleAnswer): Change {
  if (!before) return "same";
  if (before.label && after.label) {
    const [was, is] = [rank(before), rank(after)];
    return is > was ? "improved" : is < was ? "worse" : "same";
  }
  return before.text === after.text ? "same" : "changed";
}

export function judge(evaluation: Evaluation): Judged[] {
  const single = evaluation.stacks.length < 2;
  return evaluation.samples.flatMap((sample, place) => {
    const after = sample.answers[last(evaluation)];
    if (!after) return [];
    const before = single ? null : (sample.answers[evaluation.baseline] ?? null);
    const pieces = before ? changedWords(before.text, after.text) : [{ text: after.text, changed: false }];
    const said = pieces.filter((piece) => piece.text.trim() !== "");
    const fresh = said.length === 0 ? 0 : said.filter((piece) => piece.changed).length / said.length;
    return [
      { sample, place, prompt: words(sample.prompt), before, after, change: changeOf(before, after), fresh, pieces },
    ];
  });
}

const matches = (entry: Judged, filter: Filter): boolean =>
  filter === "all" || (filter === "hidden" ? entry.sample.flagged : entry.change === filter);

/** The filters that have anything to show, each with its count. */
export function filtersOf(list: Judged[]): { filter: Filter; count: number }[] {
  const names: Filter[] = ["all", "improved", "worse", "changed", "same", "hidden"];
  return names
    .map((filter) => ({ filter, count: list.filter((entry) => matches(entry, filter)).length }))
    .filter(({ filter, count }) => filter === "all" || count > 0);
}

/** Prompts under a filter that hold every word searched for. Hidden texts are searched only once they are shown. */
export function select(list: Judged[], filter: Filter, search: string, shown: boolean): Judged[] {
  const wanted = search.toLowerCase().split(/\s+/).filter(Boolean);
  return list.filter((entry) => {
    if (!matches(entry, filter)) return false;
    const secret = entry.sample.flagged && !shown;
    const texts = secret ? [] : [entry.prompt, entry.before?.text, entry.after.text];
    const text = [
      ...texts,
      entry.before?.label?.en,
      entry.before?.label?.zh,
      entry.after.label?.en,
      entry.after.label?.zh,
    ]
      .join(" ")
      .toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

const ORDER: Record<Change, number> = { improved: 0, worse: 1, changed: 2, same: 3 };

/** What changed most stands first. */
export const byChange = (list: Judged[]): Judged[] =>
  [...list].sort((a, b) => ORDER[a.change] - ORDER[b.change] || b.fresh - a.fresh || a.place - b.place);
