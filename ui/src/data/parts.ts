// A row of any kind as the parts that a person reads: who says what, and which of two answers is preferred.
import type { Example, Message, Role } from "../backend/types";

/** What a part is for the row: context to read, or a text that is learned from. */
export type PartKind = "prompt" | "answer" | "chosen" | "rejected" | "wanted" | "unwanted" | "text";

export interface Part {
  kind: PartKind;
  /** Speaker of the turn; absent for plain text. */
  role: Role | null;
  text: string;
}

const turns = (kind: PartKind, messages: Message[]): Part[] =>
  messages.map((message) => ({ kind, role: message.role, text: message.content }));
const plain = (kind: PartKind, text: string): Part => ({ kind, role: null, text });

export function partsOf(row: Example): Part[] {
  switch (row.kind) {
    case "answer":
      return [...turns("prompt", row.prompt), ...turns("answer", row.completion)];
    case "plain_answer":
      return [plain("prompt", row.prompt), plain("answer", row.completion)];
    case "pair":
      return [...turns("prompt", row.prompt), ...turns("chosen", row.chosen), ...turns("rejected", row.rejected)];
    case "plain_pair":
      return [plain("prompt", row.prompt), plain("chosen", row.chosen), plain("rejected", row.rejected)];
    case "rated":
      return [...turns("prompt", row.prompt), ...turns(row.label ? "wanted" : "unwanted", row.completion)];
    case "plain_rated":
      return [plain("prompt", row.prompt), plain(row.label ? "wanted" : "unwanted", row.completion)];
    case "conversation":
      // Every turn of the assistant is learned.
      return row.messages.map((message) => ({
        kind: message.role === "assistant" ? "answer" : "prompt",
        role: message.role,
        text: message.content,
      }));
    case "prompt":
      return turns("prompt", row.prompt);
    case "text":
      return [plain("text", row.text)];
  }
}

/** True if every word that was typed stands somewhere in the row. */
export function rowMatches(row: Example, wanted: string): boolean {
  const text = partsOf(row)
    .map((part) => part.text)
    .join("\n")
    .toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
