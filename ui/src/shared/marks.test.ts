import { expect, test } from "vitest";
import { markWords, plainText } from "./marks";

const body = (html: string): HTMLElement => {
  const made = document.createElement("div");
  made.innerHTML = html;
  return made;
};

test("words that differ are marked inside their markup", () => {
  const left = body("<p>The <strong>old</strong> goat sleeps.</p>");
  const right = body("<p>The <strong>young</strong> goat sleeps well.</p>");
  const words = plainText(left);
  markWords(right, words);
  expect([...right.querySelectorAll("mark")].map((mark) => mark.textContent)).toEqual(["young", "sleeps", "well."]);
  expect(right.querySelector("strong mark")).not.toBeNull();
  expect(right.textContent).toBe("The young goat sleeps well.");
});

test("equal texts stay as they are", () => {
  const text = body("<p>Gladly! Two and three is five.</p>");
  const before = text.innerHTML;
  markWords(text, plainText(text));
  expect(text.innerHTML).toBe(before);
});
