// The one way to a chat with given stacks: an untouched one is used again, so that no empty chats pile up.
import { backend } from "../backend";
import type { ChatView, Stack } from "../backend/types";
import { reusable } from "./panes";

export async function chatWith(stacks: Stack[]): Promise<ChatView> {
  const chats = await backend.call("list_chats", {});
  return reusable(chats, stacks) ?? (await backend.call("create_chat", { stacks }));
}
