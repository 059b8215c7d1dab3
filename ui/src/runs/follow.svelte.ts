// Follows one run: its events from the first, then live; a lost connection resumes after the last event number.
import { asProblem, backend } from "../backend";
import type { ItemNote, Phase, Problem, RunEvent, WorkUnit } from "../backend/types";
import type { Computing } from "./device";
import type { Curves } from "./reading";
import { after, noTimes, type PhaseTimes } from "./timing";

const AGAIN_MS = 1000;

export interface Sample {
  step: number;
  prompt: string;
  answer: string;
  score: number | null;
}

export class Followed {
  readonly run: string;
  step = $state(0);
  total = $state(0);
  tokensPerSecond = $state(0);
  secondsLeft = $state(0);
  /** A new object with every message, around lists that grow in place, so that those of a long run are not copied. */
  curves: Curves = $state.raw({});
  samples: Sample[] = $state.raw([]);
  /** What became of items of a build or an evaluation, in their order. */
  items: ItemNote[] = $state.raw([]);
  log: RunEvent[] = $state.raw([]);
  /** How far a phase without steps has come. */
  progress: { phase: Phase; done: number; total: number; unit: WorkUnit; secondsLeft: number | null } | null =
    $state.raw(null);
  /** How long each phase took. */
  times: PhaseTimes = $state.raw(noTimes);
  /** When the last events arrived, by the clock of this machine. */
  arrived = $state(Date.now());
  /** What the last worker computes with, and on how many threads. */
  computing: Computing | null = $state.raw(null);
  threads = $state(0);
  ended = $state(false);
  problem: Problem | null = $state(null);
  #after = 0;
  #steps: number[] = [];
  #stop = new AbortController();

  constructor(run: string) {
    this.run = run;
    void this.#listen();
  }

  /** Number of the last event received. */
  get after(): number {
    return this.#after;
  }

  /** The step of each point of the curves. */
  get steps(): number[] {
    void this.curves;
    return this.#steps;
  }

  close(): void {
    this.#stop.abort();
  }

  async #listen(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await backend.stream(
          "follow_run",
          { run: this.run, after: this.#after },
          (events) => this.#take(events),
          this.#stop.signal,
        );
        this.ended = true;
        return;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.problem = asProblem(error);
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
  }

  #take(events: RunEvent[]): void {
    const fresh = events.filter((event) => event.sequence > this.#after);
    if (fresh.length === 0) return;
    this.problem = null;
    this.#after = fresh.at(-1)!.sequence;
    const curves: Curves = { ...this.curves };
    const samples: Sample[] = [];
    const log: RunEvent[] = [];
    const items: ItemNote[] = [];
    this.times = fresh.reduce(after, this.times);
    this.arrived = Date.now();
    for (const event of fresh) {
      if (event.kind === "step") this.#step(event, curves);
      else if (event.kind === "sample")
        samples.push({ step: event.step, prompt: event.prompt, answer: event.answer, score: event.score ?? null });
      else if (event.kind === "item") items.push(event.item);
      else if (event.kind === "progress")
        this.progress = {
          phase: event.phase,
          done: event.done,
          total: event.total,
          unit: event.unit ?? "answers",
          secondsLeft: event.seconds_left ?? null,
        };
      else {
        // A new phase has no progress yet.
        if (event.kind === "stage" || event.kind === "started") this.progress = null;
        if (event.kind === "started") this.threads = event.threads;
        if (event.kind === "computing") this.computing = event;
        log.push(event);
      }
    }
    if (fresh.some((event) => event.kind === "step")) this.curves = curves;
    if (samples.length > 0) this.samples = [...this.samples, ...samples];
    if (items.length > 0) this.items = [...this.items, ...items];
    if (log.length > 0) this.log = [...this.log, ...log];
  }

  /** Steps that are repeated after a resume replace the earlier ones. */
  #step(event: Extract<RunEvent, { kind: "step" }>, curves: Curves): void {
    const steps = this.#steps;
    let place = steps.length;
    while (place > 0 && steps[place - 1]! >= event.step) place--;
    steps.length = place;
    steps.push(event.step);
    for (const [name, value] of Object.entries({ ...event.metrics, tokens_per_second: event.tokens_per_second })) {
      const values = (curves[name] ??= []);
      while (values.length < place) values.push(null);
      values.length = place;
      values.push(value);
    }
    [this.step, this.total] = [event.step, event.total];
    [this.tokensPerSecond, this.secondsLeft] = [event.tokens_per_second, event.seconds_left];
  }
}
