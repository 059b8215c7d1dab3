// The browser host: HTTP on loopback with the access token from the address.
import type { Backend, Picked } from "./index";
import { isSilence, SILENCE, untilBack } from "./contact.svelte";
import type { Commands, Problem, Streams } from "./types";

const KEY = "alidade-token";
/** What a proxy answers when the program behind it does not. */
const UNREACHED = [502, 503, 504];
/** Commands that only read: what was not answered is asked again when the program is back. */
const READS = /^(app_info|list_|get_|run_|dataset_|experiment_file|compose_pipeline|check_pipeline)/;

/** The token of this address: the program keeps it, so another tab, and this one after a restart, may use it too. */
const token = (): string => localStorage.getItem(KEY) ?? "";

function takeToken(): void {
  const found = /token=([0-9a-f]+)/.exec(location.hash);
  if (!found?.[1]) return;
  localStorage.setItem(KEY, found[1]);
  // The token must not stay in the address bar or in a bookmark.
  history.replaceState(null, "", location.pathname);
}

async function refusal(response: Response): Promise<Problem> {
  if (response.status === 401) {
    return {
      code: "internal",
      message: { en: "This tab's key is out of date.", zh: "此标签页的密钥已失效。" },
      hints: [
        {
          en: "Open the address that `alidade serve` printed last.",
          zh: "请打开 `alidade serve` 最近一次给出的地址。",
        },
      ],
      field: null,
    };
  }
  try {
    return (await response.json()) as Problem;
  } catch {
    return {
      code: "internal",
      message: {
        en: `The program answered with status ${response.status}.`,
        zh: `程序返回了状态码 ${response.status}。`,
      },
      hints: [],
      field: null,
    };
  }
}

function send(path: string, body: BodyInit, signal?: AbortSignal): Promise<Response> {
  const headers = { Authorization: `Bearer ${token()}`, "Content-Type": "application/json" };
  return fetch(path, { method: "POST", body, signal, headers });
}

const ping = (): Promise<boolean> =>
  send("/api/call/app_info", "{}").then(
    (response) => !UNREACHED.includes(response.status),
    () => false,
  );

async function post(path: string, body: BodyInit, signal?: AbortSignal): Promise<Response> {
  const used = token();
  let response: Response | null = null;
  try {
    response = await send(path, body, signal);
    // Another tab was opened with a newer token meanwhile.
    if (response.status === 401 && token() !== used) response = await send(path, body, signal);
  } catch (error) {
    if (signal?.aborted) throw error;
  }
  if (!response || UNREACHED.includes(response.status)) {
    void untilBack(ping);
    throw SILENCE;
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** What waits for the program to be back; the same question, asked again by a timer, waits only once. */
const waiting = new Map<string, Promise<unknown>>();

async function patiently<T>(question: string, ask: () => Promise<T>): Promise<T> {
  const same = waiting.get(question);
  if (same) return same as Promise<T>;
  try {
    return await ask();
  } catch (error) {
    if (!isSilence(error as Problem)) throw error;
    const later =
      waiting.get(question) ??
      untilBack(ping).then(() => {
        waiting.delete(question);
        return patiently(question, ask);
      });
    waiting.set(question, later);
    return later as Promise<T>;
  }
}

export function browserBackend(): Backend {
  takeToken();
  // The address with a new token, pasted into this tab, changes only the fragment: the page stays.
  window.addEventListener("hashchange", takeToken);

  async function takeFile(file: File): Promise<Picked> {
    const response = await post(`/api/upload?name=${encodeURIComponent(file.name)}`, file);
    const { handle } = (await response.json()) as { handle: string };
    return { handle, name: file.name };
  }

  async function call<Name extends keyof Commands>(name: Name, request: Commands[Name]["request"]) {
    const body = JSON.stringify(request);
    const ask = async () => (await (await post(`/api/call/${name}`, body)).json()) as Commands[Name]["answer"];
    return READS.test(name) ? patiently(`${name} ${body}`, ask) : ask();
  }

  return {
    call,
    picksFolders: false,
    takeFile,
    onDrop: () => () => {},

    async stream<Name extends keyof Streams>(
      name: Name,
      request: Streams[Name]["request"],
      onMessage: (message: Streams[Name]["message"]) => void,
      signal?: AbortSignal,
    ): Promise<void> {
      const response = await post(`/api/stream/${name}`, JSON.stringify(request), signal);
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const part = await reader?.read();
        if (!part || part.done) return;
        const lines = (rest + part.value).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const { message, problem } = JSON.parse(line) as { message?: Streams[Name]["message"]; problem?: Problem };
          if (problem) throw problem;
          if (message !== undefined) onMessage(message);
        }
      }
    },

    pickFile(purpose): Promise<Picked | null> {
      const input = document.createElement("input");
      input.type = "file";
      input.accept = purpose === "experiment" ? ".toml" : ".json,.jsonl,.csv,.tsv,.txt,.parquet";
      return new Promise((resolve, reject) => {
        input.oncancel = () => resolve(null);
        input.onchange = () => {
          const file = input.files?.[0];
          if (file) takeFile(file).then(resolve, reject);
          else resolve(null);
        };
        input.click();
      });
    },

    async pickFolder(purpose): Promise<Picked | null> {
      if (purpose === "read") return null;
      const made = (await (await post("/api/folder", "{}")).json()) as { handle: string; path: string };
      return { handle: made.handle, name: made.path, path: made.path };
    },

    async folderAt(path): Promise<Picked> {
      const { handle } = (await (await post("/api/path", JSON.stringify({ path }))).json()) as { handle: string };
      return { handle, name: path.split(/[\\/]/).findLast(Boolean) ?? path, path };
    },

    mayNotify: () => (typeof Notification === "undefined" ? "no" : MAY[Notification.permission]),
    askToNotify: async () => (typeof Notification === "undefined" ? "no" : MAY[await Notification.requestPermission()]),

    notify(title, text, open): void {
      if (typeof Notification === "undefined" || Notification.permission !== "granted") return;
      // One that is not seen is replaced by the next.
      const shown = new Notification(title, { body: text, icon: "./icon.svg", tag: "alidade" });
      shown.onclick = () => {
        window.focus();
        open();
        shown.close();
      };
    },

    saveReport(_experiment, format, title, text): Promise<boolean> {
      const kind = format === "html" ? "text/html" : "text/markdown";
      download(text, kind, `${plain(title) || "report"}.${format === "html" ? "html" : "md"}`);
      return Promise.resolve(true);
    },

    async saveExperiment(id, title): Promise<boolean> {
      download(await call("experiment_file", { id }), "application/toml", `${plain(title) || "experiment"}.toml`);
      return true;
    },
  };
}

const MAY = { granted: "yes", denied: "no", default: "ask" } as const;

/** A title as a file name. */
const plain = (title: string): string => title.replace(/[^\p{L}\p{N} -]/gu, "").trim();

function download(text: string, kind: string, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
