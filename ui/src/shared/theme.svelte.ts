// Light or dark: the system's setting until the user chooses one.
const KEY = "alidade-theme";
type Theme = "light" | "dark";

const prefersDark = (): boolean => window.matchMedia("(prefers-color-scheme: dark)").matches;
const kept = localStorage.getItem(KEY);
const state = $state<{ theme: Theme }>({
  theme: kept === "dark" || kept === "light" ? kept : prefersDark() ? "dark" : "light",
});

export const theme = (): Theme => state.theme;

export function applyTheme(next: Theme = state.theme): void {
  state.theme = next;
  document.documentElement.dataset.theme = next;
}

export function toggleTheme(): void {
  applyTheme(state.theme === "dark" ? "light" : "dark");
  localStorage.setItem(KEY, state.theme);
}
