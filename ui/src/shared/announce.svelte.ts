// What a screen reader should say although the focus is elsewhere: a plan is ready, a run ended, a field was copied. One
// region for all screens (in views/LiveRegion.svelte), since a region that appears together with its text is often not read.
const state = $state({ polite: "", urgent: "" });
let timer: ReturnType<typeof setTimeout> | undefined;

/** The texts of the two regions. */
export const announced = (): { polite: string; urgent: string } => state;

/** Has a text read out: after what is being read now, or at once if it is urgent. */
export function announce(text: string, urgent = false): void {
  // A region that keeps its text is not read again, so it is emptied first.
  [state.polite, state.urgent] = ["", ""];
  clearTimeout(timer);
  timer = setTimeout(() => (state[urgent ? "urgent" : "polite"] = text), 100);
}
