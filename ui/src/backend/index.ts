// The interface to the program: commands, streams, picked files. It has two hosts, the desktop window and the browser.
import type { Commands, Problem, Streams } from "./types";
import { browserBackend } from "./browser";
import { desktopBackend } from "./desktop";

export interface Picked {
  handle: string;
  name: string;
  /** Path of an export, when the host may show it. */
  path?: string;
}

/** Whether notifications of the system may be shown: browsers want to be asked first. */
export type MayNotify = "yes" | "no" | "ask";

export type Call = <Name extends keyof Commands>(
  name: Name,
  request: Commands[Name]["request"],
) => Promise<Commands[Name]["answer"]>;

export type Listen = <Name extends keyof Streams>(
  name: Name,
  request: Streams[Name]["request"],
  onMessage: (message: Streams[Name]["message"]) => void,
  signal?: AbortSignal,
) => Promise<void>;

export interface Backend {
  /** Calls a command of crates/api; its argument and result types follow from its name. */
  call: Call;
  /** Receives messages until the stream ends or `signal` aborts. */
  stream: Listen;
  /** Lets the user pick a file; null when none was chosen. */
  pickFile(purpose: "data" | "experiment"): Promise<Picked | null>;
  /** Lets the user pick a folder to read from (a model) or to write into (an export). */
  pickFolder(purpose: "read" | "write"): Promise<Picked | null>;
  /**
   * A folder of the program's machine, named by its path; for hosts without a dialog for folders, where `picksFolders` is
   * false.
   */
  folderAt(path: string): Promise<Picked>;
  /** Passes a dropped file to the program. */
  takeFile(file: File): Promise<Picked>;
  /** Saves a report in the language in which it is shown; resolves to false when the user cancelled. */
  saveReport(
    experiment: string,
    format: "html" | "markdown",
    title: string,
    text: string,
    language: "en" | "zh",
  ): Promise<boolean>;
  /** Saves an experiment as a file; resolves to false when the user cancelled. */
  saveExperiment(id: string, title: string): Promise<boolean>;
  /** Files dropped on the window, where the host sees them before the page does. */
  onDrop(listener: (picked: Picked) => void): () => void;
  /** Tells the person outside the page that something ended; `open` is called when they follow it. */
  notify(title: string, text: string, open: () => void): void;
  /** Whether it may. */
  mayNotify(): MayNotify;
  /** Asks the person for it; only as the answer to a click. */
  askToNotify(): Promise<MayNotify>;
  /** True when model folders can be picked. */
  readonly picksFolders: boolean;
}

export const isDesktop = "__TAURI_INTERNALS__" in window;
export const backend: Backend = isDesktop ? desktopBackend() : browserBackend();

export function asProblem(error: unknown): Problem {
  if (typeof error === "object" && error !== null && "code" in error && "message" in error) return error as Problem;
  const message = error instanceof Error ? error.message : String(error);
  return { code: "internal", message: { en: message, zh: message }, hints: [], field: null };
}
