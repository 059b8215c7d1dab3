// Marks the words of the second text that are not in the first: longest common subsequence over words.
export interface Piece {
  text: string;
  changed: boolean;
}

const MOST = 400;

/** A word at the start of one sentence and inside another is the same word. */
const plain = (word: string): string => word.toLowerCase();

export function changedWords(before: string, after: string): Piece[] {
  const left = before.split(/(\s+)/).filter(Boolean).map(plain);
  const words = after.split(/(\s+)/).filter(Boolean);
  const right = words.map(plain);
  if (left.length > MOST || right.length > MOST) return [{ text: after, changed: false }];
  const table = Array.from({ length: left.length + 1 }, () => new Array<number>(right.length + 1).fill(0));
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      const row = table[i]!;
      const next = table[i + 1]!;
      row[j] = left[i] === right[j] ? next[j + 1]! + 1 : Math.max(next[j]!, row[j + 1]!);
    }
  }
  const pieces: Piece[] = [];
  let i = 0;
  for (let j = 0; j < right.length; j++) {
    while (i < left.length && left[i] !== right[j] && table[i + 1]![j]! >= table[i]![j + 1]!) i++;
    const same = i < left.length && left[i] === right[j];
    if (same) i++;
    pieces.push({ text: words[j]!, changed: !same && right[j]!.trim() !== "" });
  }
  return pieces;
}
