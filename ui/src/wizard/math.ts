// Formulas are written as short texts with the marks of TeX that are needed here (\frac{a}{b}, x_i, x^2, braces) and become a
// tree of plain elements: no library, no markup from a string.
export type Node =
  | { kind: "text"; text: string; italic: boolean }
  | { kind: "fraction"; top: Node[]; bottom: Node[] }
  | { kind: "script"; low: Node[]; high: Node[] };

const FRACTION = "\\frac";
/** Letters alone are variables; words such as log or min are not. */
const TOKEN = /\\frac|[_^{}]|[A-Za-z]+|[\u0370-\u03ff*]|\s+|[^\s_^{}A-Za-z\u0370-\u03ff*\\]+/g;

function parse(tokens: string[]): Node[] {
  const nodes: Node[] = [];
  while (tokens.length > 0 && tokens[0] !== "}") {
    const token = tokens.shift()!;
    if (token === FRACTION) nodes.push({ kind: "fraction", top: group(tokens), bottom: group(tokens) });
    else if (token === "_" || token === "^") {
      // Both scripts of one letter stand above each other.
      const last = nodes.at(-1);
      const script = last?.kind === "script" ? last : { kind: "script" as const, low: [], high: [] };
      script[token === "_" ? "low" : "high"] = group(tokens);
      if (script !== last) nodes.push(script);
    } else if (token === "{") {
      nodes.push(...parse(tokens));
      tokens.shift();
    } else nodes.push(plain(token));
  }
  return nodes;
}

const plain = (token: string): Node => ({ kind: "text", text: token, italic: /^[A-Za-z\u03b1-\u03c9]$/.test(token) });

/** What a mark applies to: a group in braces, or one token. */
function group(tokens: string[]): Node[] {
  const first = tokens.shift();
  if (first !== "{") return first === undefined ? [] : [plain(first)];
  const nodes = parse(tokens);
  tokens.shift();
  return nodes;
}

export const formula = (text: string): Node[] => parse(text.match(TOKEN) ?? []);

/** The formula in one line, to be read out. */
export function spoken(nodes: Node[]): string {
  return nodes
    .map((node) => {
      if (node.kind === "text") return node.text;
      if (node.kind === "fraction") return `(${spoken(node.top)}) / (${spoken(node.bottom)})`;
      return [spoken(node.low), spoken(node.high)].filter(Boolean).join(" ");
    })
    .join("");
}
