import { describe, expect, it } from "vitest";
import type { ExperimentSummary } from "../backend/types";
import { matching, options, sorted, type Filters, type Row } from "./board";
import type { Finding } from "./verdict";

const row = (title: string, created_ms: number, more: Partial<Row["facets"]> = {}, after?: number): Row => ({
  summary: { experiment: { title, question: "", notes: "", created_ms } } as unknown as ExperimentSummary,
  facets: { state: ["finished"], method: ["DPO"], model: ["starter"], tag: [], ...more },
  data: ["kind pairs"],
  apart: "",
  headline:
    after === undefined
      ? null
      : ({ measure: { key: "good", better: "higher" }, after: { value: after } } as unknown as Finding),
});
const none: Filters = { state: [], method: [], model: [], tag: [] };
const titles = (rows: Row[]): string[] => rows.map((entry) => entry.summary.experiment.title);
const rows = [
  row("b", 1, { tag: ["beta"] }, 0.5),
  row("a", 2, { method: ["SFT", "ORPO"], state: ["draft"] }),
  row("c", 3, {}, 0.9),
];

describe("the board", () => {
  it("finds words wherever they stand", () => {
    expect(titles(matching(rows, "orpo", none))).toEqual(["a"]);
    expect(titles(matching(rows, "KIND beta", none))).toEqual(["b"]);
    expect(titles(matching(rows, "", none))).toEqual(["b", "a", "c"]);
  });
  it("filters by one of the values of every facet", () => {
    expect(titles(matching(rows, "", { ...none, method: ["SFT", "DPO"], state: ["finished"] }))).toEqual(["b", "c"]);
    expect(titles(matching(rows, "", { ...none, tag: ["beta"], method: ["ORPO"] }))).toEqual([]);
  });
  it("counts what can be filtered by", () => {
    expect(options(rows, "method")).toEqual([
      { value: "DPO", count: 2 },
      { value: "SFT", count: 1 },
      { value: "ORPO", count: 1 },
    ]);
  });
  it("sorts by each column, in both directions", () => {
    expect(titles(sorted(rows, { column: "created", descending: true }))).toEqual(["c", "a", "b"]);
    expect(titles(sorted(rows, { column: "title", descending: false }))).toEqual(["a", "b", "c"]);
    expect(titles(sorted(rows, { column: "outcome", descending: true }))).toEqual(["c", "b", "a"]);
  });
});
