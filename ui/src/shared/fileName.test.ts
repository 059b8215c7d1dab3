import { expect, test } from "vitest";
import { fileName } from "./fileName";

test("a title becomes a short plain name", () => {
  expect(fileName("Does DPO make it kinder?", "report")).toBe("Does DPO make it kinder");
  expect(fileName("../../etc: \u202Eevil", "report")).toBe("etc evil");
  expect(fileName("???", "report")).toBe("report");
  const long = fileName("a rather long title ".repeat(20), "report");
  expect(long.length).toBeLessThanOrEqual(80);
  expect(long.endsWith("title")).toBe(true);
  expect([...fileName("对".repeat(200), "report")].length).toBe(80);
});
