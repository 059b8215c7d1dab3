// A model card, with its table of training losses taken out so that it can be drawn as a curve.

export interface Card {
  /** The card without the table. */
  text: string;
  /** Steps and losses, in order; empty if the card has no such table. */
  curve: [number, number][];
}

const CELL = /^\s*\|(.+)\|\s*$/;
const cells = (line: string): string[] | null =>
  CELL.exec(line)?.[1]
    ?.split("|")
    .map((cell) => cell.trim()) ?? null;

/** The first row of numbers, and the row behind the last, of a two-column table that begins at `start`. */
function curveAt(lines: string[], start: number): { end: number; points: [number, number][] } | null {
  const head = cells(lines[start] ?? "");
  const rule = cells(lines[start + 1] ?? "");
  if (head?.length !== 2 || !/^step/i.test(head[0]!) || !rule?.every((cell) => /^:?-+:?$/.test(cell))) return null;
  const points: [number, number][] = [];
  let end = start + 2;
  for (; end < lines.length; end++) {
    const row = cells(lines[end]!);
    if (!row) break;
    const [step, loss] = row.map(Number);
    if (row.length !== 2 || !Number.isFinite(step) || !Number.isFinite(loss)) return null;
    points.push([step!, loss!]);
  }
  return points.length > 2 ? { end, points } : null;
}

export function readCard(card: string): Card {
  const lines = card.split("\n");
  for (let start = 0; start < lines.length; start++) {
    const found = curveAt(lines, start);
    if (!found) continue;
    // The heading above the table would stand alone.
    let from = start;
    while (from > 0 && lines[from - 1]!.trim() === "") from--;
    if (/^#+ /.test(lines[from - 1] ?? "")) from--;
    const text = [...lines.slice(0, from), ...lines.slice(found.end)].join("\n").trim();
    return { text, curve: found.points };
  }
  return { text: card, curve: [] };
}
