// State of a chat: stored messages, and the answers that are still being generated.
import { asProblem, backend } from "../backend";
import type {
  ChatDelta,
  ChatMessage,
  ChatView,
  Precision,
  Problem,
  Sampling,
  Stack,
  StackView,
} from "../backend/types";

export class ChatState {
  stacks: StackView[] = $state([]);
  chats: ChatView[] = $state([]);
  chat: ChatView | null = $state(null);
  /** Streamed text by pane; empty when no answer is being generated. */
  growing: Record<number, string> = $state({});
  paneProblems: Record<number, Problem> = $state({});
  answering = $state(false);
  problem: Problem | null = $state(null);

  async load(id: string | undefined): Promise<void> {
    await this.#attempt(async () => {
      [this.stacks, this.chats] = await Promise.all([backend.call("list_stacks", {}), backend.call("list_chats", {})]);
      if (id) this.chat = await backend.call("get_chat", { id });
    });
  }

  /** The base and the newest aligned model of the same base; else the base twice. */
  suggested(): Stack[] {
    const aligned = this.stacks.find((view) => view.stack.adapter);
    const base = this.stacks.find(
      (view) => !view.stack.adapter && (!aligned || view.stack.model.id === aligned.stack.model.id),
    );
    return [base, aligned ?? base].flatMap((view) => (view ? [view.stack] : []));
  }

  async create(): Promise<ChatView | null> {
    return await this.#attempt(() => backend.call("create_chat", { stacks: $state.snapshot(this.suggested()) }));
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

  send(text: string): Promise<void> {
    const turn = (this.chat?.messages.at(-1)?.turn ?? -1) + 1;
    this.#show(turn, text);
    return this.#answer((id, hear) => backend.stream("send_message", { id, text }, hear));
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
    [this.answering, this.growing, this.paneProblems] = [true, {}, {}];
    await this.#attempt(() => ask(id, (deltas) => deltas.forEach((delta) => this.#take(delta))));
    // The stored messages replace the streamed preview.
    await this.#attempt(async () => {
      const stored = await backend.call("get_chat", { id });
      if (this.chat?.id === id) this.chat = stored;
      this.chats = await backend.call("list_chats", {});
    });
    [this.answering, this.growing] = [false, {}];
  }

  #take(delta: ChatDelta): void {
    if (delta.kind === "text") this.growing[delta.pane] = (this.growing[delta.pane] ?? "") + delta.text;
    else if (delta.kind === "problem") this.paneProblems[delta.pane] = delta.problem;
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
