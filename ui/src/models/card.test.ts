import { expect, test } from "vitest";
import { readCard } from "./card";

const table = "| step | loss (nats per token) |\n|---|---|\n| 244 | 0.577 |\n| 488 | 0.465 |\n| 732 | 0.452 |\n";

test("the loss table becomes a curve, and its heading goes with it", () => {
  const card = readCard(`# starter\n\nTiny.\n\n## Training curve\n\n${table}\n## Licence\n\nMIT`);
  expect(card.curve).toEqual([
    [244, 0.577],
    [488, 0.465],
    [732, 0.452],
  ]);
  expect(card.text).toBe("# starter\n\nTiny.\n\n\n## Licence\n\nMIT");
});

test("other tables and broken ones stay as they are", () => {
  for (const text of [
    "# m\n\n| documents | share |\n|---|---|\n| a | 34 % |\n",
    "| step | loss |\n|---|---|\n| 1 | ? |\n",
    "",
  ])
    expect(readCard(text)).toEqual({ text, curve: [] });
});
