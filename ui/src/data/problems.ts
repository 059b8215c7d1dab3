// The rows that were left out, fetched page by page until enough of the chosen reason are there.
import type { ReasonCount, RowIssue } from "../backend/types";

const PAGE = 500;

export type FetchIssues = (offset: number, limit: number) => Promise<RowIssue[]>;

/** The issues of one reason, or all; reasons are told apart by their English text. */
export const ofReason = (issues: RowIssue[], reason: string | null): RowIssue[] =>
  reason === null ? issues : issues.filter((issue) => issue.reason.en === reason);

/** How many there are of one reason, or in all. */
export const countOf = (dropped: ReasonCount[], total: number, reason: string | null): number =>
  reason === null ? total : (dropped.find((entry) => entry.reason.en === reason)?.rows ?? 0);

/** Adds pages to `known` until `wanted` of the reason are among them or none are left. */
export async function moreIssues(
  known: RowIssue[],
  total: number,
  reason: string | null,
  wanted: number,
  fetch: FetchIssues,
): Promise<RowIssue[]> {
  let issues = known;
  while (issues.length < total && ofReason(issues, reason).length < wanted) {
    const found = await fetch(issues.length, PAGE);
    if (found.length === 0) break;
    issues = [...issues, ...found];
  }
  return issues;
}
