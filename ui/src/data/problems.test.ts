import { expect, test, vi } from "vitest";
import type { RowIssue } from "../backend/types";
import { countOf, moreIssues, ofReason } from "./problems";

const words = (text: string) => ({ en: text, zh: text });
const issue = (row: number, reason: string): RowIssue => ({
  row,
  reason: words(reason),
  found: words(""),
  fix: words(""),
});
const all = Array.from({ length: 1200 }, (_, index) => issue(index + 1, index === 900 ? "rare" : "common"));
const fetch = vi.fn((offset: number, limit: number) => Promise.resolve(all.slice(offset, offset + limit)));

test("pages are fetched until enough of the reason are there", async () => {
  const some = await moreIssues([], 1200, null, 100, fetch);
  expect(some.length).toBe(500);
  const more = await moreIssues(some, 1200, "rare", 1, fetch);
  expect(ofReason(more, "rare").map((entry) => entry.row)).toEqual([901]);
  expect(fetch).toHaveBeenCalledTimes(2);
  expect((await moreIssues(more, 1200, "rare", 100, fetch)).length).toBe(1200);
});

test("a file that tells less than it promised ends the search", async () => {
  expect((await moreIssues([], 9, null, 9, () => Promise.resolve([]))).length).toBe(0);
});

test("counts come from the summary", () => {
  const dropped = [{ reason: words("rare"), rows: 1 }];
  expect(countOf(dropped, 1200, null)).toBe(1200);
  expect(countOf(dropped, 1200, "rare")).toBe(1);
  expect(countOf(dropped, 1200, "other")).toBe(0);
});
