// The plan of the stages: asked for shortly after the last change, followed while the program measures, given up for a newer one.
import { asProblem, backend } from "../backend";
import type { CheckedPipeline, PlanNews, Problem, Stage, StageEstimate } from "../backend/types";

const CHECK_AFTER_MS = 250;

export class Plan {
  /** The plan of the current stages; none while a newer one is being made. */
  checked: CheckedPipeline | null = $state(null);
  /** The last plan, also while a newer one is being made: its figures are shown as outdated. */
  before: CheckedPipeline | null = $state(null);
  checking = $state(false);
  /** Current work on the plan, as reported by the program. */
  doing: Extract<PlanNews, { kind: "working" }> | null = $state(null);
  /** True when the user cancelled the plan. */
  stopped = $state(false);
  problem: Problem | null = $state(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Aborts the request for the plan and its work. */
  #request = new AbortController();

  /** Requests the plan shortly after the last change. The older request is aborted, so it never replaces a newer plan. */
  ask(stages: Stage[]): void {
    this.giveUp();
    if (stages.length === 0) {
      this.before = null;
      return;
    }
    this.checking = true;
    const request = this.#request;
    this.#timer = setTimeout(() => {
      const hear = (news: PlanNews): void => {
        if (request !== this.#request) return;
        if (news.kind === "working") this.doing = news;
        else [this.checked, this.before, this.checking, this.problem] = [news.checked, news.checked, false, null];
      };
      backend.stream("plan_pipeline", { stages }, hear, request.signal).catch((error: unknown) => {
        if (request === this.#request) this.fail(asProblem(error));
      });
    }, CHECK_AFTER_MS);
  }

  /** Cancels the plan. */
  stop(): void {
    this.giveUp();
    [this.before, this.stopped] = [null, true];
  }

  /** The stages themselves are being resolved: an older plan is no longer that of what will run. */
  wait(): void {
    this.giveUp();
    this.checking = true;
  }

  fail(problem: Problem): void {
    [this.problem, this.checked, this.before, this.checking] = [problem, null, null, false];
  }

  giveUp(): void {
    clearTimeout(this.#timer);
    this.#request.abort();
    this.#request = new AbortController();
    [this.checked, this.checking, this.doing, this.stopped, this.problem] = [null, false, null, false, null];
  }
}

export interface Totals {
  training: number;
  comparing: number;
  memory: number;
  disk: number;
}

/** Sums over the stages; memory is that of the largest, since they run one after the other. */
export function totals(stages: StageEstimate[]): Totals {
  const sum = (of: (stage: StageEstimate) => number): number => stages.reduce((all, stage) => all + of(stage), 0);
  const comparing = sum((stage) => stage.comparing_seconds);
  return {
    comparing,
    training: Math.max(0, sum((stage) => stage.seconds) - comparing),
    memory: Math.max(0, ...stages.map((stage) => stage.memory_bytes)),
    disk: sum((stage) => stage.disk_bytes),
  };
}
