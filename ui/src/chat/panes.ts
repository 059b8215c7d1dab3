// What the panes of a chat are called, how they are coloured, and which stack a new one begins with.
import type { ChatMessage, ChatView, Problem, Stack, StackView } from "../backend/types";
import { stackKey } from "./stacks";

/** Slate for the base, teal for the aligned model, then the further colours. */
export type PaneTone = "base" | "accent" | "third" | "fourth" | "fifth";
const FURTHER: PaneTone[] = ["third", "fourth", "fifth"];

/** The name of a stack for people: "starter + adapter". */
export const stackName = (stack: Stack): string =>
  stack.adapter ? `${stack.model.name} + ${stack.adapter.name}` : stack.model.name;

/** The hash that tells equal names apart: of the adapter, or of the untouched model. */
export const stackHash = (stack: Stack): string => (stack.adapter ?? stack.model).sha256.slice(0, 8);

/** A colour per pane; the same stack has the same colour. */
export function tonesOf(stacks: Stack[]): PaneTone[] {
  const known = new Map<string, PaneTone>();
  let next = 0;
  return stacks.map((stack) => {
    const key = stackKey(stack);
    const wanted: PaneTone = stack.adapter ? "accent" : "base";
    const tone = known.get(key) ?? ([...known.values()].includes(wanted) ? FURTHER[next++ % FURTHER.length]! : wanted);
    known.set(key, tone);
    return tone;
  });
}

/** The stack of a pane that is added: one that is not shown yet, of a model that is shown if possible. */
export function freshStack(views: StackView[], shown: Stack[]): Stack | undefined {
  const keys = new Set(shown.map(stackKey));
  const models = new Set(shown.map((stack) => stack.model.id));
  const left = views.map((view) => view.stack).filter((stack) => !keys.has(stackKey(stack)));
  return left.find((stack) => models.has(stack.model.id)) ?? left[0] ?? shown.at(-1);
}

/** The base and the newest aligned model of the same base; else the base alone. */
export function suggestedStacks(views: StackView[]): Stack[] {
  const aligned = views.find((view) => view.stack.adapter);
  const base = views.find(
    (view) => !view.stack.adapter && (!aligned || view.stack.model.id === aligned.stack.model.id),
  );
  return [base, aligned].flatMap((view) => (view ? [view.stack] : []));
}

const sameStacks = (left: Stack[], right: Stack[]): boolean =>
  left.length === right.length && left.every((stack, index) => stackKey(stack) === stackKey(right[index]!));

/** A chat in which nothing was said; its title comes from the first message. */
export const untouched = (chat: ChatView): boolean => chat.title === "" && chat.messages.length === 0;

/** A chat with these stacks that nobody has used yet. */
export const reusable = (chats: ChatView[], stacks: Stack[]): ChatView | undefined =>
  chats.find((chat) => untouched(chat) && sameStacks(chat.stacks, stacks));

/** Tokens per second of an answer; nothing where the program did not measure it. */
export function speedOf(message: ChatMessage): number | null {
  if (!message.tokens || !message.seconds) return null;
  return message.tokens / message.seconds;
}

/** The problem that every pane has, so that it is shown once. */
export function sharedProblem(problems: Record<number, Problem>, panes: number): Problem | null {
  const found = Object.values(problems);
  const [first] = found;
  if (!first || panes < 2 || found.length < panes) return null;
  return found.every((problem) => problem.message.en === first.message.en) ? first : null;
}

/** The answer that a pane's words are compared with: the first pane's, and for the first pane the second's. */
export const comparedPane = (pane: number): number => (pane === 0 ? 1 : 0);
