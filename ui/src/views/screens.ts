// The route table: a screen is a folder and one line here. Router, menu and keyboard shortcuts use it.
import type { Component } from "svelte";
import ChatPage from "../chat/ChatPage.svelte";
import ComparePage from "../compare/ComparePage.svelte";
import DataPage from "../data/DataPage.svelte";
import ExplainedPage from "../experiments/ExplainedPage.svelte";
import ExperimentList from "../experiments/ExperimentList.svelte";
import ExperimentPage from "../experiments/ExperimentPage.svelte";
import type { Messages } from "../messages";
import ModelsPage from "../models/ModelsPage.svelte";
import ReportList from "../report/ReportList.svelte";
import ReportPage from "../report/ReportPage.svelte";
import RunList from "../runs/RunList.svelte";
import RunPage from "../runs/RunPage.svelte";
import { match, START, type Params, type PathOf } from "../shared/router.svelte";
import SettingsPage from "../settings/SettingsPage.svelte";
import Wizard from "../wizard/Wizard.svelte";

/** How a screen is reached from anywhere. */
interface Entry {
  title: (words: Messages) => string;
  /** Keys that open it, one after the other. */
  keys: string;
  /** Its entry in the menu. */
  icon?: string;
  /** True for what stands at the foot of the menu, apart from the work. */
  foot?: boolean;
}

/** A route: a path, whose parts that begin with a colon are passed to the component by name, and the component. */
function screen<const Pattern extends string>(pattern: Pattern, component: Component<Params<Pattern>>, entry?: Entry) {
  return { pattern, component: component as Component<Record<string, string>>, entry };
}

/** Every screen. The first route that matches a path is shown; the menu keeps this order. */
export const SCREENS = [
  screen("experiments", ExperimentList, { title: (m) => m.common.nav.experiments, keys: "g e", icon: "experiments" }),
  screen("experiments/new", Wizard, { title: (m) => m.common.newExperiment, keys: "n" }),
  screen("experiments/explained", ExplainedPage),
  screen("experiments/:id", ExperimentPage),
  screen("compare/:ids?", ComparePage),
  screen("wizard/from/:from", Wizard),
  screen("wizard/draft/:draft", Wizard),
  screen("wizard/data/:data", Wizard),
  screen("models", ModelsPage, { title: (m) => m.common.nav.models, keys: "g m", icon: "models" }),
  screen("data/:chosen?", DataPage, { title: (m) => m.common.nav.data, keys: "g d", icon: "data" }),
  screen("runs", RunList, { title: (m) => m.common.nav.runs, keys: "g r", icon: "runs" }),
  screen("runs/:experiment", RunPage),
  screen("chat/:id?", ChatPage, { title: (m) => m.common.nav.chat, keys: "g c", icon: "chat" }),
  screen("reports", ReportList, { title: (m) => m.common.nav.reports, keys: "g p", icon: "reports" }),
  screen("reports/:experiment", ReportPage),
  screen("settings", SettingsPage, { title: (m) => m.common.nav.settings, keys: "g s", icon: "settings", foot: true }),
];

export type Path = PathOf<(typeof SCREENS)[number]["pattern"]>;

const placeOf = (path: string): string => path.split("/")[0] ?? path;

/** Screens that shortcuts or the menu open, each with its path. */
export const ENTRIES = SCREENS.flatMap(({ pattern, entry }) =>
  entry ? [{ ...entry, path: pattern.replace(/\/:.*/, "") as Path, place: placeOf(pattern) }] : [],
);

/** The screen at a path, its parameters, and its menu entry. */
export function screenAt(path: string) {
  for (const { pattern, component } of SCREENS) {
    const params = match(pattern, path);
    if (params) return { component, params, place: placeOf(path) };
  }
  return { component: SCREENS[0]!.component, params: {}, place: START };
}
