import { expect, test } from "vitest";
import type { Message } from "../backend/types";
import { partsOf, rowMatches } from "./parts";

const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });

test("a conversation shows every turn, and which ones are learned", () => {
  const row = {
    kind: "conversation" as const,
    messages: [user("Hello"), assistant("Hi"), user("Bye"), assistant("See you")],
  };
  expect(partsOf(row).map((part) => [part.kind, part.role, part.text])).toEqual([
    ["prompt", "user", "Hello"],
    ["answer", "assistant", "Hi"],
    ["prompt", "user", "Bye"],
    ["answer", "assistant", "See you"],
  ]);
});

test("pairs and ratings say which answer is wanted", () => {
  const pair = { kind: "pair" as const, prompt: [user("Q")], chosen: [assistant("A")], rejected: [assistant("B")] };
  expect(partsOf(pair).map((part) => part.kind)).toEqual(["prompt", "chosen", "rejected"]);
  const rated = { kind: "plain_rated" as const, prompt: "Q", completion: "A", label: false };
  expect(partsOf(rated).map((part) => part.kind)).toEqual(["prompt", "unwanted"]);
});

test("rows are found by all of the words, in any part", () => {
  const pair = { kind: "plain_pair" as const, prompt: "Which month?", chosen: "July it is", rejected: "June" };
  expect(rowMatches(pair, "july MONTH")).toBe(true);
  expect(rowMatches(pair, "july august")).toBe(false);
  expect(rowMatches(pair, "")).toBe(true);
});
