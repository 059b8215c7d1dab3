// Where the person is: a path that a line of the route table (views/screens.ts) answers to. It is kept in the browser's
// history, so Back works and a reload stays; it is not shown as an address.
import type { Path } from "../views/screens";

/** The names in a pattern: those that a path always has, and those that it may have. */
type Always<Pattern extends string> = Pattern extends `${string}/:${string}?`
  ? never
  : Pattern extends `${string}/:${infer Name}`
    ? Name
    : never;
type Perhaps<Pattern extends string> = Pattern extends `${string}/:${infer Name}?` ? Name : never;

/** What a pattern takes out of a path: `runs/:experiment` the experiment, `data/:chosen?` perhaps a choice. */
export type Params<Pattern extends string> = [Always<Pattern> | Perhaps<Pattern>] extends [never]
  ? Record<string, never>
  : { [name in Always<Pattern>]: string } & { [name in Perhaps<Pattern>]?: string };

/** The paths that fit a pattern. */
export type PathOf<Pattern extends string> = Pattern extends `${infer Head}/:${string}?`
  ? Head | `${Head}/${string}`
  : Pattern extends `${infer Head}/:${string}`
    ? `${Head}/${string}`
    : Pattern;

export const START = "experiments";

const kept = (state: unknown): string => (state as { path?: string } | null)?.path ?? START;
const state = $state<{ path: string }>({ path: kept(history.state) });

export const path = (): string => state.path;

export function go(next: Path): void {
  history.pushState({ path: next }, "");
  state.path = next;
}

window.addEventListener("popstate", (event) => {
  state.path = kept(event.state);
});

/** What the pattern takes out of the path; nothing when they do not fit. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  if (given.length > wanted.length) return null;
  const params: Record<string, string> = {};
  for (const [place, part] of wanted.entries()) {
    const found = given[place];
    const name = /^:(\w+)(\??)$/.exec(part);
    if (name?.[1] && found) params[name[1]] = found;
    else if (name ? name[2] !== "?" : part !== found) return null;
  }
  return params;
}
