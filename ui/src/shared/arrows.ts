// Arrow keys in lists: up and down move between the main links of the rows, Home and End to the first and the last. Tab still
// reaches everything; this is the quick way.
const LINK = "a[href], button.link, button:not([disabled])";
const FIELD = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";

interface Options {
  /** What a row is. */
  row?: string;
  /** The main link in a row. */
  link?: string;
}

/** The main link of every row that has one. */
function links(list: HTMLElement, { row = "tbody tr, li", link = LINK }: Options): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>(row)].flatMap((entry) => {
    const found = entry.querySelector<HTMLElement>(link);
    return found ? [found] : [];
  });
}

function aim(key: string, place: number, count: number): number | null {
  if (key === "ArrowDown") return Math.min(count - 1, place + 1);
  if (key === "ArrowUp") return Math.max(0, place - 1);
  if (key === "Home") return 0;
  return key === "End" ? count - 1 : null;
}

/** A Svelte action for the element around the rows: `<table use:arrows>`. */
export function arrows(list: HTMLElement, options: Options = {}): { destroy: () => void } {
  const onkeydown = (event: KeyboardEvent): void => {
    const from = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || from.closest(FIELD)) return;
    const all = links(list, options);
    const row = from.closest(options.row ?? "tbody tr, li");
    // From a checkbox or a second button of a row, the way goes on from that row.
    const place = all.findIndex((link) => link === from || row?.contains(link));
    const next = aim(event.key, place, all.length);
    if (next === null || !all[next]) return;
    event.preventDefault();
    all[next].focus();
  };
  list.addEventListener("keydown", onkeydown);
  return { destroy: () => list.removeEventListener("keydown", onkeydown) };
}
