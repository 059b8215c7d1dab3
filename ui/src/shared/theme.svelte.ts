// Light, dark, or as the system has it. The choice is kept; what is shown follows the system while that is the choice.
const KEY = "alidade-theme";
export type Theme = "light" | "dark";
export type ThemeChoice = Theme | "system";
export const THEME_CHOICES: ThemeChoice[] = ["light", "dark", "system"];

const system = window.matchMedia("(prefers-color-scheme: dark)");
const kept = localStorage.getItem(KEY);
const state = $state<{ choice: ThemeChoice; dark: boolean }>({
  choice: kept === "dark" || kept === "light" ? kept : "system",
  dark: system.matches,
});

/** What is shown. */
export const theme = (): Theme => (state.choice !== "system" ? state.choice : state.dark ? "dark" : "light");
/** What was chosen. */
export const themeChoice = (): ThemeChoice => state.choice;

/** Shows the theme; called before the first screen, so that it does not flash in the other one. */
export function applyTheme(): void {
  document.documentElement.dataset.theme = theme();
}

export function chooseTheme(choice: ThemeChoice): void {
  state.choice = choice;
  localStorage.setItem(KEY, choice);
  applyTheme();
}

system.addEventListener("change", (event) => {
  state.dark = event.matches;
  applyTheme();
});
