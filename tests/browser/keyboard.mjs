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
    ["gs", "Settings"],
    ["ge", "Experiments"],
  ]) {
    for (const key of keys) await page.keyboard.press(key);
    await page.getByRole("heading", { name: title, level: 1 }).waitFor(wait);
  }
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("search this screen").waitFor(wait);
  await page.keyboard.press("Escape");
  // Home has no experiment yet, and so no field to search in.
  await page.keyboard.press("/");
  await page.getByTestId("palette-input").waitFor(wait);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.getByTestId("palette-input").fill("thumbs");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "thumbs" }).first().waitFor(wait);
  check(/#\/data\/alder-bay-thumbs$/.test(page.url()), page.url());
  check((await page.title()).endsWith("Alidade"), await page.title());
  for (const key of "ge") await page.keyboard.press(key);
  // A menu: Enter opens it at what is chosen, an arrow moves, Enter chooses, and the focus is back at its button.
  await page.getByTestId("language").focus();
  for (const key of ["Enter", "ArrowDown", "Enter"]) await page.keyboard.press(key);
  await page.getByRole("heading", { name: "实验", level: 1 }).waitFor(wait);
  check((await page.evaluate(() => document.documentElement.lang)) === "zh-CN", "the page names its language");
  check((await page.evaluate(() => document.activeElement.dataset.testid)) === "language", "the focus is at the menu");
  await anotherTab(program, page);
  check(errors.length === 0, errors.join("\n"));
  await program.close();
}

/** The program remembers its key: a second tab needs none in its address, and a tab waits for a program that is away. */
async function anotherTab(program, page) {
  const [base] = program.address.split("/#");
  const other = await page.context().newPage();
  await other.goto(`${base}/#/settings`);
  await other.getByTestId("settings-home").getByText(program.home).waitFor(wait);
  await other.context().setOffline(true);
  await other.getByTestId("silent").waitFor(wait);
  check((await other.getByTestId("problem").count()) === 0, "no screen says it again");
  await other.context().setOffline(false);
  await other.getByTestId("silent").waitFor({ state: "detached", ...wait });
  await other.close();
}
