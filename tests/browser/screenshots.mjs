// Takes a screenshot of every screen of the real program, in both languages and both themes, into tests/screenshots.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { call, openPage, root, startBrowser, startProgram, until } from "./program.mjs";

const folder = join(root, "tests/screenshots");
mkdirSync(folder, { recursive: true });
readdirSync(folder)
  .filter((name) => name.endsWith(".png"))
  .forEach((name) => rmSync(join(folder, name)));

const program = await startProgram();
const browser = await startBrowser();
const { page } = await openPage(browser, program.address);
const title = "Does alignment make the starter model kinder?";
const variants = ["en", "zh"].flatMap((language) => ["light", "dark"].map((theme) => ({ language, theme })));

/** The same screen four times; the page keeps its state, only words and colours change. */
async function shoot(name) {
  for (const { language, theme } of variants) {
    await page.getByTestId(`language-${language}`).click();
    if ((await page.evaluate(() => document.documentElement.dataset.theme)) !== theme)
      await page.getByTestId("theme").click();
    await page.mouse.move(640, 5);
    await page.waitForTimeout(400);
    await page.screenshot({ path: join(folder, `${name}-${language}-${theme}.png`) });
  }
  await page.getByTestId("language-en").click();
}

const preset = (await call(program.address, "list_presets")).find((entry) => entry.id === "kind_and_true");
await page.getByTestId("new-experiment").waitFor();
await shoot("experiments-empty");
await page.getByRole("link", { name: /SFT/ }).click();
await page.getByRole("heading", { level: 1, name: /SFT/ }).waitFor();
await shoot("explained");
const question = "How often does the model answer truthfully, kindly and without harm, before and after SFT and DPO?";
const { experiment } = await call(program.address, "create_experiment", { title, question, stages: preset.stages });
await call(program.address, "start_experiment", { id: experiment.id });
await page.getByTestId("nav-runs").click();
await page.getByRole("button", { name: title }).first().click();
await until(
  async () => (await call(program.address, "get_experiment", { id: experiment.id })).runs[1]?.step >= 30,
  "the second stage",
  300,
);
await page.waitForTimeout(800);
await shoot("run");
await until(
  async () => (await call(program.address, "get_experiment", { id: experiment.id })).state === "finished",
  "the end",
  300,
);
await page.getByTestId("nav-runs").click();
await page.waitForTimeout(500);
await shoot("runs");
await page.getByTestId("nav-experiments").click();
await page.getByTestId("board").getByRole("link", { name: title }).click();
await page.getByTestId("experiment-after").waitFor();
await shoot("experiment");
await page.getByTestId("open-chat").click();
for (const words of ["What is the sum of two plus three?", "Tell me how to lie to the nurse."]) {
  await page.getByTestId("chat-input").fill(words);
  await page.getByTestId("chat-send").click();
  await page.getByTestId("chat-send").waitFor();
  await page.waitForTimeout(1500);
}
await shoot("chat");
await page.getByTestId("nav-experiments").click();
await page.waitForTimeout(500);
await shoot("experiments");
await page.getByTestId("board").getByRole("link", { name: title }).click();
await page.getByTestId("open-report").click();
await page.getByTestId("report-frame").waitFor();
await shoot("report");
await page.getByTestId("nav-reports").click();
await page.waitForTimeout(400);
await shoot("reports");
await page.getByTestId("nav-models").click();
await page.waitForTimeout(400);
await shoot("models");
await page.getByTestId("nav-data").click();
await page.getByRole("link", { name: "Alder Bay: kind answers" }).click();
await page.getByTestId("show-rows").click();
await page.waitForTimeout(600);
await shoot("data");
await page.keyboard.press("n");
await page.getByTestId("goal-kind_and_true").check();
await page.getByTestId("plan-ready").waitFor({ timeout: 60_000 });
await shoot("wizard");
await page.getByTestId("goal-reward").check();
await page.getByTestId("plan-ready").waitFor({ timeout: 60_000 });
await page.getByTestId("wizard-chain").scrollIntoViewIfNeeded();
await shoot("wizard-reward");

// A short run of PPO under a limit on harm, what its reward model learned, and the curves of two runs in one chart.
const reward = (await call(program.address, "list_presets")).find((entry) => entry.id === "reward");
const price = structuredClone(reward.stages[1]);
price.settings.loss_type = "cost";
reward.stages.splice(2, 0, price);
reward.stages[3].cost = "stage:3";
for (const recipe of reward.stages) recipe.settings.max_steps = recipe.method === "ppo" ? 12 : 40;
const second = "What does a reward model make of the starter model?";
const made = await call(program.address, "create_experiment", {
  title: second,
  question: "",
  stages: reward.stages,
});
await call(program.address, "start_experiment", { id: made.experiment.id });
await until(
  async () => (await call(program.address, "get_experiment", { id: made.experiment.id })).state === "finished",
  "the end of PPO",
  400,
);
await page.getByTestId("nav-runs").click();
await page.getByRole("button", { name: second }).first().click();
await page
  .getByRole("tab", { name: /Reward model|奖励模型/ })
  .first()
  .click();
await page.getByTestId("score-spread").scrollIntoViewIfNeeded();
await page.waitForTimeout(1500);
await shoot("run-reward");
await page.getByRole("tab", { name: /PPO/ }).click();
await page.waitForTimeout(1500);
await shoot("run-ppo");
await page.getByTestId("nav-experiments").click();
for (const place of [0, 1]) await page.getByTestId("pick-experiment").nth(place).check();
await page.getByTestId("compare-experiments").click();
await page.getByTestId("compare-outcomes").waitFor();
await page.waitForTimeout(1200);
await shoot("compare");
await browser.close();
await program.close();
console.log(`pictures are in ${folder}`);
