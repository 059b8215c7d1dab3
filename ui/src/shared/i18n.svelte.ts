// Two languages from typed dictionaries: English is the source of the type, so a missing Chinese entry does not compile.
import type { Words } from "../backend/types";
import { en, zh, type Messages } from "../messages";

export type Language = "en" | "zh";

const KEY = "alidade-language";
const dictionaries: Record<Language, Messages> = { en, zh };

function initial(): Language {
  const kept = localStorage.getItem(KEY);
  if (kept === "en" || kept === "zh") return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

const state = $state<{ language: Language }>({ language: initial() });

export const t = (): Messages => dictionaries[state.language];
export const language = (): Language => state.language;
/** The texts of the UI in the current language. */
export const say = (words: Words): string => words[state.language];

export function setLanguage(language: Language): void {
  state.language = language;
  localStorage.setItem(KEY, language);
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}
