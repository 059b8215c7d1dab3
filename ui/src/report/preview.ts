// A report follows the theme of the system; its preview follows the theme of the app.

/** The report with its theme fixed, whatever the system prefers. */
export function themed(html: string, theme: "light" | "dark"): string {
  // A media feature that always holds, and one that never does.
  const holds = (wanted: string): string => (wanted === theme ? "(min-width:0)" : "(max-width:0)");
  return html
    .replace(/\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)/g, (_, wanted: string) => holds(wanted))
    .replace(/color-scheme\s*:\s*light dark/g, `color-scheme:${theme}`);
}
