// The browser host: HTTP on loopback with the access token from the address.
import type { Backend, Picked } from "./index";
import type { Commands, Problem, Streams } from "./types";

const KEY = "alidade-token";

function token(): string {
  const found = /token=([0-9a-f]+)/.exec(location.hash);
  if (found?.[1]) {
    sessionStorage.setItem(KEY, found[1]);
    // The token must not stay in the address bar or in a bookmark.
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEY) ?? "";
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

export function browserBackend(): Backend {
  const bearer = { Authorization: `Bearer ${token()}` };

  async function post(path: string, body: BodyInit, signal?: AbortSignal): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(path, {
        method: "POST",
        body,
        signal,
        headers: { ...bearer, "Content-Type": "application/json" },
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      const silent: Problem = {
        code: "internal",
        message: { en: "The program does not answer.", zh: "程序没有响应。" },
        hints: [{ en: "Start `alidade serve` again.", zh: "请重新启动 `alidade serve`。" }],
        field: null,
      };
      throw silent;
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }

  async function takeFile(file: File): Promise<Picked> {
    const response = await post(`/api/upload?name=${encodeURIComponent(file.name)}`, file);
    const { handle } = (await response.json()) as { handle: string };
    return { handle, name: file.name };
  }

  async function call<Name extends keyof Commands>(name: Name, request: Commands[Name]["request"]) {
    const response = await post(`/api/call/${name}`, JSON.stringify(request));
    return (await response.json()) as Commands[Name]["answer"];
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

/** A title as a file name. */
const plain = (title: string): string => title.replace(/[^\p{L}\p{N} -]/gu, "").trim();

function download(text: string, kind: string, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
