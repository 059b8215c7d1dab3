// The current path, matched against the route table (views/screens.ts). It is the fragment of the address (`#/runs/7f`), so Back,
// reload, bookmarks and a second tab work.
import type { Path } from "../views/screens";

/** The parameter names of a pattern: required ones and optional ones. */
type Always<Pattern extends string> = Pattern extends `${string}/:${string}?`
  ? never
  : Pattern extends `${string}/:${infer Name}`
    ? Name
    : never;
type Perhaps<Pattern extends string> = Pattern extends `${string}/:${infer Name}?` ? Name : never;

/** The parameters of a pattern: `runs/:experiment` has a required one, `data/:chosen?` an optional one. */
export type Params<Pattern extends string> = [Always<Pattern> | Perhaps<Pattern>] extends [never]
  ? Record<string, never>
  : { [name in Always<Pattern>]: string } & { [name in Perhaps<Pattern>]?: string };

/** The paths that match a pattern. */
export type PathOf<Pattern extends string> = Pattern extends `${infer Head}/:${string}?`
  ? Head | `${Head}/${string}`
  : Pattern extends `${infer Head}/:${string}`
    ? `${Head}/${string}`
    : Pattern;

export const START = "experiments";

/** The path of an address; START where it names none, or is no address of ours. */
export function pathAt(hash: string): string {
  try {
    return (hash.startsWith("#/") && decodeURI(hash.slice(2))) || START;
  } catch {
    return START;
  }
}
const shown = (): string => pathAt(location.hash);
const state = $state<{ path: string }>({ path: shown() });

export const path = (): string => state.path;

/** The address of a path, for links. */
export const href = (target: Path): string => `#/${encodeURI(target)}`;

export function go(next: Path): void {
  if (next === state.path) return;
  history.pushState(null, "", href(next));
  state.path = next;
}

const follow = (): void => {
  state.path = shown();
};
window.addEventListener("popstate", follow);
window.addEventListener("hashchange", follow);

/** The parameters of the path under a pattern; nothing when they do not match. */
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
