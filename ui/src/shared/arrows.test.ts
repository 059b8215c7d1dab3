import { afterEach, describe, expect, it } from "vitest";
import { arrows } from "./arrows";

function table(): HTMLElement {
  document.body.innerHTML = `<table><thead><tr><th><button>sort</button></th></tr></thead><tbody>
    <tr><td><input type="checkbox"></td><td><a href="#1">one</a> <button>more</button></td></tr>
    <tr><td>no link</td></tr>
    <tr><td><a href="#2">two</a></td></tr>
    <tr><td><input type="text"></td><td><button class="link">three</button></td></tr>
  </tbody></table>`;
  const found = document.querySelector("table")!;
  arrows(found);
  return found;
}
const press = (key: string): boolean =>
  document.activeElement!.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const here = (): string => document.activeElement?.textContent ?? "";
const focus = (selector: string): void => document.querySelector<HTMLElement>(selector)!.focus();

afterEach(() => (document.body.innerHTML = ""));

describe("arrow keys in a list", () => {
  it("move between the main links and stop at the ends", () => {
    table();
    focus("a");
    const seen = ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "Home", "ArrowUp", "End"].map((key) => {
      press(key);
      return here();
    });
    expect(seen).toEqual(["two", "three", "three", "two", "one", "one", "three"]);
  });
  it("go on from the row that a checkbox or another button is in", () => {
    table();
    focus("input[type=checkbox]");
    press("ArrowDown");
    expect(here()).toBe("two");
    focus("td button");
    press("ArrowDown");
    expect(here()).toBe("two");
  });
  it("begin at the first row when they come from the head", () => {
    table();
    focus("th button");
    press("ArrowDown");
    expect(here()).toBe("one");
  });
  it("leave fields, other keys and shortcuts alone", () => {
    table();
    focus("input[type=text]");
    expect(press("ArrowUp")).toBe(true);
    focus("a");
    expect(press("x")).toBe(true);
    expect(here()).toBe("one");
  });
});
