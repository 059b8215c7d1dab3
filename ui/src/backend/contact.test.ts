import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SILENCE, isSilence, silent, tryAgain, untilBack } from "./contact.svelte";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a program that does not answer", () => {
  it("is asked again until it does, once for all who wait", async () => {
    const ping = vi.fn().mockResolvedValueOnce(false).mockResolvedValueOnce(false).mockResolvedValue(true);
    const both = Promise.all([untilBack(ping), untilBack(ping)]);
    expect(silent()).toBe(true);
    await vi.advanceTimersByTimeAsync(2500);
    expect([ping.mock.calls.length, silent()]).toEqual([2, true]);
    await vi.advanceTimersByTimeAsync(2000);
    await both;
    expect([ping.mock.calls.length, silent()]).toEqual([3, false]);
  });
  it("is asked at once when the person wishes", async () => {
    const waiting = untilBack(() => Promise.resolve(true));
    tryAgain();
    await waiting;
    expect(silent()).toBe(false);
  });
  it("is known by its problem", () => {
    expect(isSilence(structuredClone(SILENCE))).toBe(true);
    expect(isSilence({ ...SILENCE, message: { en: "Other.", zh: "其他。" } })).toBe(false);
  });
});
