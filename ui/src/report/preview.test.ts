import { expect, test } from "vitest";
import { themed } from "./preview";

const html =
  "<style>:root{color-scheme:light dark}@media screen and (prefers-color-scheme:dark){body{color:#fff}}</style>";

test("the preview has the theme of the app", () => {
  expect(themed(html, "dark")).toContain("@media screen and (min-width:0){");
  expect(themed(html, "dark")).toContain("color-scheme:dark}");
  expect(themed(html, "light")).toContain("@media screen and (max-width:0){");
  expect(themed(html, "light")).toContain("color-scheme:light}");
});

test("a report without themes stays as it is", () => {
  expect(themed("<p>prefers light dark</p>", "dark")).toBe("<p>prefers light dark</p>");
});
