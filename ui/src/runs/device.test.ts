import { describe, expect, it } from "vitest";
import { arithmeticOf, deviceOf, setName } from "./device";

describe("what a run computes with", () => {
  it("is taken apart", () => {
    expect(arithmeticOf("slices, avx512-bf16, f32")).toEqual({
      engine: "slices",
      set: "avx512-bf16",
      format: "f32",
      held: null,
    });
    expect(arithmeticOf("candle, bf16 held as f32")).toEqual({
      engine: "candle",
      set: null,
      format: "bf16",
      held: "f32",
    });
    expect(arithmeticOf("candle, cuda:0, bf16")).toMatchObject({ set: null, format: "bf16" });
  });
  it("has names of its own", () => {
    expect([setName("avx512-bf16"), setName("sve")]).toEqual(["AVX-512 BF16", "sve"]);
    expect([deviceOf("cpu"), deviceOf("cuda:1")]).toEqual([
      { kind: "cpu", number: "" },
      { kind: "cuda", number: "1" },
    ]);
  });
});
