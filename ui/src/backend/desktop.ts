// The desktop host: one Tauri command for all API commands, one channel per stream. The only file that imports Tauri.
import { Channel, invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";
import { getCurrentWindow, UserAttentionType } from "@tauri-apps/api/window";
import type { Backend, Picked } from "./index";
import type { Streams } from "./types";

export function desktopBackend(): Backend {
  const rpc = <T>(name: string, request: object, channel: Channel<unknown> = new Channel()): Promise<T> =>
    invoke<T>("rpc", { name, request, channel });

  return {
    picksFolders: true,
    call: (name, request) => rpc(name, request),

    async stream<Name extends keyof Streams>(
      name: Name,
      request: Streams[Name]["request"],
      onMessage: (message: Streams[Name]["message"]) => void,
      signal?: AbortSignal,
    ): Promise<void> {
      const id = crypto.randomUUID();
      const channel = new Channel<unknown>((message) => {
        if (!signal?.aborted) onMessage(message as Streams[Name]["message"]);
      });
      signal?.addEventListener("abort", () => void rpc("host.cancel", { id }));
      await rpc(`stream.${name}`, { id, request }, channel);
    },

    pickFile: (purpose) => rpc<Picked | null>("host.pick_file", { purpose }),
    pickFolder: () => rpc<Picked | null>("host.pick_folder", {}),
    folderAt: () => Promise.reject(new Error("The window has a dialog for folders.")),
    takeFile: () => Promise.reject(new Error("The window takes dropped files itself.")),

    async saveReport(experiment, format, title, _text, language): Promise<boolean> {
      const picked = await rpc<Picked | null>("host.pick_save", {
        name: `${title}.${format === "html" ? "html" : "md"}`,
      });
      if (!picked) return false;
      await rpc("save_report", { experiment, format, language, handle: picked.handle });
      return true;
    },

    async saveExperiment(id, title): Promise<boolean> {
      const picked = await rpc<Picked | null>("host.pick_save", { name: `${title}.toml` });
      if (!picked) return false;
      await rpc("save_experiment_file", { id, handle: picked.handle });
      return true;
    },

    // The page of a window has no notifications of its own; the window asks for attention in the task bar instead.
    notify: () => void getCurrentWindow().requestUserAttention(UserAttentionType.Informational),
    mayNotify: () => "yes",
    askToNotify: () => Promise.resolve("yes"),

    onDrop(listener): () => void {
      const stop = listen<Picked>("dropped", (event) => listener(event.payload));
      return () => void stop.then((off) => off());
    },
  };
}
