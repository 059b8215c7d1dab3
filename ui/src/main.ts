// Starts the app. Under LANG=C WebKitGTK names the language "C", which Intl refuses; that must be fixed before any import
// that formats numbers.
import "./shared/locale-guard";
import "uplot/dist/uPlot.min.css";
import "./app.css";
import { mount } from "svelte";
import { language, setLanguage } from "./shared/i18n.svelte";
import { applyTheme } from "./shared/theme.svelte";
import App from "./views/App.svelte";

applyTheme();
setLanguage(language());

const target = document.getElementById("app");
if (target) mount(App, { target });
