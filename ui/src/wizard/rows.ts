// The texts of a row of data, each with the part that it plays, and whether it may be harmful.
import type { Example } from "../backend/types";
import { words } from "../shared/format";

export type Role = "prompt" | "answer" | "chosen" | "rejected" | "wanted" | "unwanted" | "text" | "conversation";

export interface Part {
  role: Role;
  text: string;
  flagged: boolean;
}

/** What stands in a row, in reading order. A source that says which answer is harmful is believed; else the whole set is. */
export function partsOf(example: Example, flagged: boolean): Part[] {
  const part = (role: Role, text: string, harmful = flagged): Part => ({ role, text, flagged: harmful });
  switch (example.kind) {
    case "answer":
      return [part("prompt", words(example.prompt)), part("answer", words(example.completion))];
    case "plain_answer":
      return [part("prompt", example.prompt), part("answer", example.completion)];
    case "pair": {
      const [chosen, rejected] = example.harmful ?? [flagged, flagged];
      return [
        // The request is the same for both answers: it is harmful where either of them is.
        part("prompt", words(example.prompt), chosen || rejected),
        part("chosen", words(example.chosen), chosen),
        part("rejected", words(example.rejected), rejected),
      ];
    }
    case "plain_pair":
      return [part("prompt", example.prompt), part("chosen", example.chosen), part("rejected", example.rejected)];
    case "rated":
      return [
        part("prompt", words(example.prompt)),
        part(example.label ? "wanted" : "unwanted", words(example.completion)),
      ];
    case "plain_rated":
      return [part("prompt", example.prompt), part(example.label ? "wanted" : "unwanted", example.completion)];
    case "conversation":
      return [part("conversation", words(example.messages))];
    case "prompt":
      return [part("prompt", words(example.prompt))];
    case "text":
      return [part("text", example.text)];
  }
}
