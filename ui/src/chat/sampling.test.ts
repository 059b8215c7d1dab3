import { expect, test } from "vitest";
import { readField } from "./sampling";

test("fields take what the program takes, and nothing else", () => {
  expect(readField("temperature", "0.7")).toBe(0.7);
  expect(readField("temperature", "0,7")).toBe(0.7);
  expect(readField("temperature", "0")).toBe(0);
  for (const wrong of ["abc", "", " ", "-0.1", "5.1", "0x10", "1e0", "NaN", "Infinity", "1 2"])
    expect(readField("temperature", wrong)).toBeNull();
  expect(readField("top_p", "1")).toBe(1);
  expect(readField("top_p", "0")).toBeNull();
  expect(readField("seed", "-1")).toBeNull();
  expect(readField("seed", "4294967295")).toBe(4294967295);
  expect(readField("seed", "4294967296")).toBeNull();
  expect(readField("seed", "1.5")).toBeNull();
  expect(readField("max_new_tokens", "0")).toBeNull();
  expect(readField("max_new_tokens", "64")).toBe(64);
});
