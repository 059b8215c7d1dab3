// The numbers of threads that are offered: every one on small machines, round steps on large ones.

/** Up to this many, each number is offered. */
const EACH = 16;

/** From all of them down to one. */
export function threadChoices(available: number): number[] {
  const found = new Set([available, 1]);
  for (let count = 1; count < available; count++) {
    if (available <= EACH || count % Math.ceil(available / EACH) === 0) found.add(count);
  }
  return [...found].sort((a, b) => b - a);
}
