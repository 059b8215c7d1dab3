// Stacks are identified by their parts, never by their label: two experiments may train the same adapter.
import type { Stack, StackView } from "../backend/types";
import { say } from "../shared/i18n.svelte";

/** Key of a stack, made of its parts. */
export function stackKey(stack: Stack): string {
  const part = (of: { model: { id: string }; adapter: { id: string } | null }) => [of.model.id, of.adapter?.id ?? ""];
  const rewriters = [...stack.prompt_rewriters, ...stack.response_rewriters];
  return JSON.stringify([part(stack), rewriters.map((rewriter) => [rewriter.kind, ...part(rewriter)])]);
}

/** One menu entry per stack; equal entries are numbered, newest first. */
export function stackLines(views: StackView[]): { key: string; line: string; stack: Stack }[] {
  const line = (view: StackView) => `${view.label} — ${say(view.origin)}`;
  const count = new Map<string, number>();
  for (const view of views) count.set(line(view), (count.get(line(view)) ?? 0) + 1);
  const seen = new Map<string, number>();
  return views.map((view) => {
    const text = line(view);
    const place = (seen.get(text) ?? 0) + 1;
    seen.set(text, place);
    return {
      key: stackKey(view.stack),
      line: (count.get(text) ?? 0) > 1 ? `${text} (${place})` : text,
      stack: view.stack,
    };
  });
}
