// Tells the person that long work has ended while they looked elsewhere: a note on the page, a mark in the title while the
// page is hidden, and a notification of the system if they want it.
import { backend } from "../backend";
import { announce } from "../shared/announce.svelte";
import { duration } from "../shared/format";
import { t } from "../shared/i18n.svelte";
import { go, path } from "../shared/router.svelte";
import type { Ended } from "./jobs";
import type { Path } from "./screens";

const KEY = "alidade-notify";

/** Notes that have not been read yet, newest first. */
let notes: Ended[] = $state.raw([]);
/** True once work ended while nobody looked at the page. */
let marked = $state(false);
let wanted = $state(localStorage.getItem(KEY) !== "off");

export const news = (): Ended[] => notes;
/** What the title of the page begins with. */
export const titleMark = (): string => (!marked || !notes[0] ? "" : bad(notes[0]) ? "✕ " : "✓ ");
/** Whether the person wants to be told. */
export const notifies = (): boolean => wanted;

export function setNotifies(on: boolean): void {
  wanted = on;
  localStorage.setItem(KEY, on ? "on" : "off");
}

export const bad = ({ state }: Ended): boolean => state === "failed" || state === "interrupted";

/** Where to look at what ended: its results, or what went wrong. */
export const placeOf = (ended: Ended): Path => `${bad(ended) ? "runs" : "experiments"}/${ended.experiment}`;

const away = (): boolean => document.hidden || !document.hasFocus();
const watched = ({ experiment }: Ended): boolean =>
  [`runs/${experiment}`, `experiments/${experiment}`].includes(path());

/** Takes what has ended. Nothing is said of what the person is looking at. */
export function tell(ended: Ended): void {
  if (!wanted || (watched(ended) && !away())) return;
  notes = [ended, ...notes.filter((note) => note.experiment !== ended.experiment)].slice(0, 3);
  const words = t().settings.ended(bad(ended), duration(ended.seconds));
  announce(`${ended.title}: ${words}`, bad(ended));
  if (!away()) return;
  marked = true;
  backend.notify(ended.title, words, () => follow(ended));
}

export function dismiss(ended: Ended): void {
  notes = notes.filter((note) => note.experiment !== ended.experiment);
}

export function follow(ended: Ended): void {
  dismiss(ended);
  go(placeOf(ended));
}

/** The person is back: the title needs no mark, and what they look at needs no note. */
export function seen(): void {
  if (away()) return;
  marked = false;
  if (notes.some(watched)) notes = notes.filter((note) => !watched(note));
}
