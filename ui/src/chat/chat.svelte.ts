// State of a chat: stored messages, and the answers that are still being generated.
import { SvelteSet } from "svelte/reactivity";
import { asProblem, backend } from "../backend";
import type {
  ChatDelta,
  ChatMessage,
  ChatView,
  ModelView,
  Precision,
  Problem,
  Sampling,
  Stack,
  StackView,
} from "../backend/types";
import { chatWith } from "./chatWith";
import { suggestedStacks } from "./panes";
import { stackKey } from "./stacks";

/** Letters of the first message that name a chat, as in the program. */
const TITLE = 60;

/** A question that was chosen before its chat existed; the screen of the new chat sends it. */
let waiting: { id: string; text: string } | null = null;

/** Stacks that have answered since this page was opened: their models are in memory, or were a moment ago. */
const warm = new SvelteSet<string>();
const warmKey = (chat: ChatView, stack: Stack): string => `${chat.precision} ${stackKey(stack)}`;

export class ChatState {
  stacks: StackView[] = $state([]);
  models: ModelView[] = $state([]);
  chats: ChatView[] = $state([]);
  chat: ChatView | null = $state(null);
  loaded = $state(false);
  /** Streamed text by pane; empty when no answer is being generated. */
  growing: Record<number, string> = $state({});
  paneProblems: Record<number, Problem> = $state({});
  answering = $state(false);
  problem: Problem | null = $state(null);
  /** The last finished answers, read out once. */
  spoken: ChatMessage[] = $state([]);
  /** The turn that no pane could answer: the next message replaces it. */
  failed: number | null = $state(null);

  async load(id: string | undefined): Promise<void> {
    await this.#attempt(async () => {
      [this.stacks, this.chats, this.models] = await Promise.all([
        backend.call("list_stacks", {}),
        backend.call("list_chats", {}),
        backend.call("list_models", {}),
      ]);
      if (id) this.chat = await backend.call("get_chat", { id });
    });
    this.loaded = true;
    if (id && waiting?.id === id) {
      const { text } = waiting;
      waiting = null;
      void this.send(text);
    }
  }

  /** The stacks of this chat, or those that a new one would have. */
  shown(): Stack[] {
    return this.chat?.stacks ?? suggestedStacks(this.stacks);
  }

  /** Questions that the first pane's model can answer; empty if it brings none. */
  suggestions(): ModelView["suggestions"] {
    const id = this.shown()[0]?.model.id;
    return this.models.find((view) => view.model.id === id)?.suggestions ?? [];
  }

  /** A chat to write in; its screen sends the question, if there is one. */
  async begin(question?: string): Promise<ChatView | null> {
    const made = await this.#attempt(() => chatWith($state.snapshot(suggestedStacks(this.stacks))));
    if (made && question) waiting = { id: made.id, text: question };
    return made;
  }

  /** True while a pane waits for its model to be loaded. */
  loading(pane: number): boolean {
    const stack = this.chat?.stacks[pane];
    return !!this.chat && !!stack && !warm.has(warmKey(this.chat, stack));
  }

  async change(change: {
    title?: string;
    stacks?: Stack[];
    system_prompt?: string;
    sampling?: Sampling;
    precision?: Precision;
  }): Promise<void> {
    const chat = this.chat;
    if (!chat) return;
    const { id, title, stacks, system_prompt, sampling, precision } = $state.snapshot(chat);
    await this.#attempt(async () => {
      this.chat = await backend.call("update_chat", {
        id,
        title,
        stacks,
        system_prompt,
        sampling,
        precision,
        ...change,
      });
    });
  }

  async remove(id: string): Promise<void> {
    await this.#attempt(async () => {
      await backend.call("delete_chat", { id });
      this.chats = this.chats.filter((chat) => chat.id !== id);
      if (this.chat?.id === id) this.chat = null;
    });
  }

  /** Sends a message; false when no pane answered it, so that its text can be changed and sent again. */
  async send(text: string): Promise<boolean> {
    const turn = this.failed ?? (this.chat?.messages.at(-1)?.turn ?? -1) + 1;
    if (this.failed !== null) {
      await this.edit(turn, text);
      // The first message names the chat; the one that was refused should not.
      if (turn === 0) await this.change({ title: [...text].slice(0, TITLE).join("") });
    } else {
      this.#show(turn, text);
      await this.#answer((id, hear) => backend.stream("send_message", { id, text }, hear));
    }
    return this.chat?.messages.some((message) => message.turn === turn && message.pane !== null) ?? false;
  }

  regenerate(turn: number): Promise<void> {
    if (this.chat)
      this.chat.messages = this.chat.messages.filter(
        (message) => message.turn < turn || (message.turn === turn && message.pane === null),
      );
    return this.#answer((id, hear) => backend.stream("regenerate", { id, turn }, hear));
  }

  edit(turn: number, text: string): Promise<void> {
    if (this.chat) this.chat.messages = this.chat.messages.filter((message) => message.turn < turn);
    this.#show(turn, text);
    return this.#answer((id, hear) => backend.stream("edit_message", { id, turn, text }, hear));
  }

  async stop(): Promise<void> {
    if (this.chat) await backend.call("stop_answer", { id: this.chat.id });
  }

  #show(turn: number, text: string): void {
    const message: ChatMessage = {
      turn,
      pane: null,
      message: { role: "user", content: text.trim() },
      badge: null,
      end: null,
      seed: null,
      tokens: null,
      seconds: null,
    };
    this.chat?.messages.push(message);
  }

  async #answer(ask: (id: string, hear: (deltas: ChatDelta[]) => void) => Promise<void>): Promise<void> {
    const id = this.chat?.id;
    if (!id) return;
    [this.answering, this.growing, this.paneProblems, this.failed, this.spoken] = [true, {}, {}, null, []];
    await this.#attempt(() => ask(id, (deltas) => deltas.forEach((delta) => this.#take(delta))));
    const problem = this.problem;
    // The stored messages replace the streamed preview.
    await this.#attempt(async () => {
      const stored = await backend.call("get_chat", { id });
      if (this.chat?.id === id) this.chat = stored;
      this.chats = await backend.call("list_chats", {});
    });
    [this.answering, this.growing] = [false, {}];
    if (problem) this.problem = problem;
    const last = this.chat?.messages.at(-1);
    const refused = problem !== null || Object.keys(this.paneProblems).length > 0;
    if (refused && last?.pane === null) this.failed = last.turn;
  }

  #take(delta: ChatDelta): void {
    if (delta.kind === "done") {
      this.chat?.messages.push(delta.message);
      this.spoken.push(delta.message);
    } else if (delta.kind === "problem") this.paneProblems[delta.pane] = delta.problem;
    else {
      this.growing[delta.pane] = (this.growing[delta.pane] ?? "") + delta.text;
      const stack = this.chat?.stacks[delta.pane];
      if (this.chat && stack) warm.add(warmKey(this.chat, stack));
    }
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      const result = await work();
      this.problem = null;
      return result;
    } catch (error) {
      this.problem = asProblem(error);
      return null;
    }
  }
}
