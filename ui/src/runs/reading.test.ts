import { describe, expect, it } from "vitest";
import { ALARMS, read, readDpo, readReward, readSft } from "./reading";

const line = (from: number, to: number, n = 40): number[] =>
  Array.from({ length: n }, (_, i) => from + ((to - from) * i) / (n - 1));

describe("plain readings", () => {
  it("waits for ten steps", () => {
    expect(readSft({ loss: line(3, 1, 8) })).toBe("begin");
    expect(readDpo({})).toBe("begin");
  });
  it("reads the loss of SFT", () => {
    expect(readSft({ loss: line(3, 1) })).toBe("sftFalling");
    expect(readSft({ loss: line(1, 1) })).toBe("sftFlat");
    expect(readSft({ loss: line(1, 3) })).toBe("sftRising");
  });
  it("reads margins and rewards of DPO", () => {
    const run = (margin: number, chosen: number): string =>
      readDpo({ "rewards/margins": line(0, margin), "rewards/chosen": line(0, chosen) });
    expect(run(3, 1)).toBe("dpoGood");
    expect(run(3, -1)).toBe("dpoChosenFalls");
    expect(run(3, -9)).toBe("dpoFar");
    expect(run(0.01, 0)).toBe("dpoFlat");
    expect(run(-2, 0)).toBe("dpoReversed");
  });
  it("sounds the alarm when a score is exploited", () => {
    const run = (score: number, kl: number, length: number): string =>
      readReward({
        "objective/scores": line(0, score),
        "objective/kl": line(0, kl),
        "completions/mean_length": line(20, length),
        "objective/entropy": line(1, 0.8),
      });
    expect(run(2, 1, 21)).toBe("rlGood");
    // Measured: a policy of short answers that had learned to please the reward model and answered nothing well any more.
    expect(run(2.6, 7.5, 10.4)).toBe("rlHacking");
    expect(run(2, 60, 21)).toBe("rlHacking");
    expect(run(2, 3, 80)).toBe("rlHacking");
    expect(run(0, 60, 20)).toBe("rlFar");
    expect(run(0, 1, 20)).toBe("rlFlat");
    expect(run(-2, 1, 20)).toBe("rlFalling");
    expect(ALARMS).toContain("rlHacking");
  });
  it("reads every method", () => {
    expect(read("kto", { "rewards/margins": line(0, 2), kl: line(0, 1) })).toBe("ktoGood");
    expect(read("orpo", { log_odds_chosen: line(-0.2, 1), "rewards/margins": line(0, 0.01) })).toBe("dpoGood");
    expect(read("cpo", { "rewards/margins": line(-0.5, 1.5), "rewards/chosen": line(-12, -11) })).toBe("dpoGood");
    expect(read("reward_model", { accuracy: line(0.5, 0.8) })).toBe("rewardGood");
    expect(read("grpo", { reward: line(0, 1), entropy: line(2, 0.1) })).toBe("rlCollapse");
  });
});
