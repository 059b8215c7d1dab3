// Times the three-minute job as a person experiences it: from "New experiment" to the finished comparison, and from the start of
// the program to the first painted screen. Prints one JSON line.
import { openPage, startBrowser, startProgram, until } from "./program.mjs";

const browser = await startBrowser();
const began = performance.now();
const program = await startProgram();
const ready = performance.now();
const { page } = await openPage(browser, program.address);
await page.getByTestId("new-experiment").waitFor();
const painted = performance.now();
await page.getByTestId("new-experiment").click();
await page.getByTestId("goal-kind_and_true").check();
await page.getByTestId("plan-ready").waitFor({ timeout: 60_000 });
const planned = performance.now();
const estimate = await page.locator("aside .time").innerText();
await until(() => page.getByTestId("wizard-start").isEnabled(), "the start button");
await page.getByTestId("wizard-start").click();
await page.getByTestId("run-finished").waitFor({ timeout: 600_000 });
await page.getByTestId("run-compare").click();
await page.getByTestId("experiment-after").waitFor();
const compared = performance.now();
const seconds = (from, to) => Number(((to - from) / 1000).toFixed(2));
console.log(
  JSON.stringify({
    program_ready_s: seconds(began, ready),
    first_screen_s: seconds(ready, painted),
    plan_ready_s: seconds(painted, planned),
    new_experiment_to_comparison_s: seconds(painted, compared),
    estimate,
    before: await page.getByTestId("experiment-before").innerText(),
    after: await page.getByTestId("experiment-after").innerText(),
  }),
);
await browser.close();
await program.close();
