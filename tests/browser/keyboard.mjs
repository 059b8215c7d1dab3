// The keyboard alone: screens, dialogs, the command palette, and addresses that a second tab could open.
import { check, openPage, startProgram } from "./program.mjs";

const wait = { timeout: 180_000 };

/** Both languages, and using only the keyboard. */
export async function keyboard(browser) {
  const program = await startProgram();
  const { page, errors } = await openPage(browser, program.address);
  await page.getByTestId("new-experiment").waitFor(wait);
  for (const [keys, title] of [
    ["gm", "Models"],
    ["gd", "Data"],
    ["gr", "Runs"],
    ["ge", "Experiments"],
  ]) {
    for (const key of keys) await page.keyboard.press(key);
    await page.getByRole("heading", { name: title, level: 1 }).waitFor(wait);
  }
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor(wait);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.getByTestId("palette-input").fill("thumbs");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "thumbs" }).first().waitFor(wait);
  check(/#\/data\/alder-bay-thumbs$/.test(page.url()), page.url());
  check((await page.title()).endsWith("Alidade"), await page.title());
  for (const key of "ge") await page.keyboard.press(key);
  await page.getByTestId("language-zh").click();
  await page.getByRole("heading", { name: "实验", level: 1 }).waitFor(wait);
  check((await page.evaluate(() => document.documentElement.lang)) === "zh-CN", "the page names its language");
  check(errors.length === 0, errors.join("\n"));
  await program.close();
}
