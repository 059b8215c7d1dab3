// Marks the words of a rendered text that another text does not have, without touching its markup.
import { changedWords } from "./diff";

function textNodes(root: Node): Text[] {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const found: Text[] = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) found.push(node as Text);
  return found;
}

/** The words of a rendered text, as they are compared. */
export const plainText = (root: Node): string =>
  textNodes(root)
    .map((node) => node.data)
    .join("\n");

/** Wraps the words under `root` that are not in `other` in <mark>. */
export function markWords(root: Node, other: string): void {
  const nodes = textNodes(root);
  const ranges: [number, number][] = [];
  let at = 0;
  for (const piece of changedWords(other, plainText(root))) {
    if (piece.changed) ranges.push([at, at + piece.text.length]);
    at += piece.text.length;
  }
  let start = 0;
  for (const node of nodes) {
    const end = start + node.data.length;
    // Words never span two nodes: their texts are joined by a line break.
    const inside = ranges.filter(([from, to]) => from >= start && to <= end);
    // From the back, so that the places of earlier words stay valid.
    for (const [from, to] of inside.reverse()) {
      const word = node.splitText(from - start);
      word.splitText(to - from);
      const mark = document.createElement("mark");
      word.replaceWith(mark);
      mark.append(word);
    }
    start = end + 1;
  }
}
