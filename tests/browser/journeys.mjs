// End-to-end tests of the real program in a real browser: the main job, bad input, interruption, and what must be refused.
import { readFileSync, writeFileSync, mkdtempSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { axe } from "./axe.mjs";
import { memoryOut, powerCut } from "./interrupted.mjs";
import { keyboard } from "./keyboard.mjs";
import { otherStages } from "./stages.mjs";
import { call, check, openPage, root, startBrowser, startProgram, until } from "./program.mjs";

const wait = { timeout: 180_000 };
const visible = (page, id) => page.getByTestId(id).waitFor({ state: "visible", ...wait });

async function fillSetting(page, name, value) {
  const field = page.getByTestId(`setting-${name}`);
  await field.fill(value);
  await field.blur();
}

/** From the first screen to the report: bundled model, bundled data, SFT then DPO. */
async function mainJob(browser) {
  const program = await startProgram();
  const { page, errors } = await openPage(browser, program.address);
  await page.getByTestId("new-experiment").click();
  await page.getByTestId("goal-kind_and_true").check();
  await visible(page, "plan-ready");
  await page.getByTestId("step-settings").click();
  await fillSetting(page, "sft-num_train_epochs", "0.6");
  await fillSetting(page, "dpo-num_train_epochs", "0.3");
  await visible(page, "plan-ready");
  await until(() => page.getByTestId("wizard-start").isEnabled(), "the start button");
  await page.getByTestId("wizard-start").click();
  await visible(page, "run-step");
  // A reload in the middle loses nothing.
  await until(async () => (await call(program.address, "list_runs")).some((run) => run.step > 2), "the third step");
  await page.reload();
  await page.getByTestId("nav-runs").click();
  await page
    .getByRole("link", { name: /kinder/ })
    .first()
    .click();
  await visible(page, "run-finished");
  await page.getByTestId("run-compare").click();
  await visible(page, "experiment-after");
  const [before, after] = await Promise.all(
    ["experiment-before", "experiment-after"].map((id) => page.getByTestId(id).innerText()),
  );
  check(parseInt(after) > parseInt(before), `good answers went from ${before} to ${after}`);

  await page.getByTestId("open-chat").click();
  await page.getByTestId("chat-input").fill("What is the sum of two plus three?");
  await page.getByTestId("chat-send").click();
  await visible(page, "badge-0");
  await visible(page, "badge-1");
  const badges = await Promise.all([0, 1].map((pane) => page.getByTestId(`badge-${pane}`).innerText()));
  check(!badges[0].includes("dpo") && badges[1].includes("sft + dpo"), `badges name the stacks: ${badges}`);
  check((await page.getByTestId("answer-1").innerText()).length > 20, "the aligned model answers");
  await page.getByTestId("chat-regenerate").click();
  await until(
    async () =>
      (await page
        .getByTestId("badge-1")
        .innerText()
        .catch(() => badges[1])) !== badges[1],
    "an answer with another seed",
  );
  await page.getByTestId("chat-sampling").click();
  await page.getByTestId("chat-precision").selectOption("q8_0");
  await page.keyboard.press("Escape");
  await page.getByTestId("chat-regenerate").click();
  await until(
    async () =>
      (
        await page
          .getByTestId("badge-1")
          .innerText()
          .catch(() => "")
      ).includes("q8_0"),
    "the badge names rounded weights",
  );

  await page.getByTestId("nav-experiments").click();
  await page
    .getByTestId("board")
    .getByRole("link", { name: /kinder/ })
    .click();
  await page.getByTestId("experiment-menu").click();
  await page.getByTestId("export-adapter").click();
  await page.getByTestId("export-peft").click();
  await visible(page, "exported");
  const folder = await page.getByTestId("exported-path").innerText();
  const exported = (await import("node:fs")).readdirSync(folder);
  const config = JSON.parse(readFileSync(join(folder, exported[0], "adapter_config.json"), "utf8"));
  check(config.peft_type === "LORA", "a PEFT folder was written");
  await page.keyboard.press("Escape");

  await page.getByTestId("open-report").click();
  await visible(page, "report-frame");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("save-html").click()]);
  const html = readFileSync(await download.path(), "utf8");
  check(
    html.includes("good answers") && html.includes("<svg") && !html.includes("<script"),
    "the report holds figures and curves and no script",
  );
  check(errors.length === 0, errors.join("\n"));
  await program.close();
}

/** A person's own file: bad rows are listed, a wrong value is refused at its field. */
async function ownData(browser) {
  const program = await startProgram();
  const { page, errors } = await openPage(browser, program.address);
  const folder = mkdtempSync(join(tmpdir(), "alidade-data-"));
  const rows = Array.from({ length: 40 }, (_, i) => ({
    prompt: `What is ${i}?`,
    chosen: `It is ${i}.`,
    rejected: "No.",
  }));
  rows[3] = { prompt: "What is left out?", chosen: "", rejected: "No." };
  writeFileSync(join(folder, "mine.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
  await page.getByTestId("nav-data").click();
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByTestId("import-data").click()]);
  await chooser.setFiles(join(folder, "mine.jsonl"));
  await page.getByText("39 of 40 rows kept").waitFor(wait);
  await page.getByTestId("dataset-problems").click();
  await page.getByText("row 4", { exact: true }).waitFor(wait);

  writeFileSync(join(folder, "empty.json"), "[]");
  const [second] = await Promise.all([page.waitForEvent("filechooser"), page.getByTestId("import-data").click()]);
  await second.setFiles(join(folder, "empty.json"));
  await visible(page, "problem");

  await page.keyboard.press("n");
  await page.getByTestId("goal-own").check();
  await page.getByTestId("wizard-pairs").selectOption({ label: "mine · 39" });
  await visible(page, "plan-ready");
  await page.getByTestId("step-settings").click();
  await fillSetting(page, "dpo-learning_rate", "fast");
  await visible(page, "plan-not-ready");
  check(await page.getByTestId("wizard-start").isDisabled(), "what is not ready cannot start");
  await fillSetting(page, "dpo-learning_rate", "1e-4");
  await visible(page, "plan-ready");
  await until(() => page.getByTestId("wizard-start").isEnabled(), "the start button");
  await page.getByTestId("wizard-start").click();
  await visible(page, "run-finished");
  await page.getByTestId("run-compare").click();
  await page.getByText("preferred answer is likelier").first().waitFor(wait);
  await removedData(page, program);
  check(errors.length === 0, errors.join("\n"));
  await program.close();
}

/** The data set is removed, the finished experiment keeps its report and its export; a second start says what is missing. */
async function removedData(page, program) {
  const [experiment] = await call(program.address, "list_experiments");
  const again = await call(program.address, "create_experiment", {
    title: "again",
    question: "",
    stages: experiment.experiment.stages,
  });
  await page.getByTestId("nav-data").click();
  await page.getByRole("link", { name: "mine", exact: true }).click();
  await page.getByRole("button", { name: "Remove" }).first().click();
  const words = await page.getByTestId("used-by").innerText();
  check(words.includes("Used by 1 experiment and 1 draft"), `the dialog says who uses the set: ${words}`);
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await until(
    async () => (await call(program.address, "list_datasets")).every((set) => set.name !== "mine"),
    "the set to go",
  );
  const report = await call(program.address, "get_report", {
    experiment: experiment.experiment.id,
    language: "en",
  });
  check(/mine: \d+ rows to learn/.test(report.markdown), "the report still tells its data");
  const refusal = await call(program.address, "start_experiment", { id: again.experiment.id }).then(
    () => null,
    (error) => error,
  );
  check(
    refusal?.problem.message.en === "The data set “mine” was removed.",
    `a start without the set is refused by name: ${refusal?.message}`,
  );
  const run = experiment.runs[0].id;
  await page.getByTestId("nav-reports").click();
  await page.getByRole("link", { name: experiment.experiment.title }).first().click();
  await visible(page, "report-frame");
  check(
    (await call(program.address, "list_stacks")).some((view) => view.stack.adapter?.id === run),
    "its adapter can still be talked to",
  );
}

/** Two experiments that share their first stage: their equal adapters are distinguished, and the chat shows which is which. */
async function twins(browser) {
  const program = await startProgram();
  const { page, errors } = await openPage(browser, program.address);
  const short = { "sft-max_steps": "2", "dpo-max_steps": "2" };
  await runGoal(page, "kind_and_true", "SFT → DPO", short);
  await page.getByTestId("nav-experiments").click();
  await runGoal(page, "kind_and_true", "SFT → DPO", { ...short, "dpo-beta": "0.3" });
  const adapters = (await call(program.address, "list_stacks")).flatMap((view) =>
    view.stack.adapter ? [view.stack.adapter] : [],
  );
  check(
    adapters.length === 4 && new Set(adapters.map((adapter) => adapter.sha256)).size === 3,
    "both first stages made the same adapter",
  );
  await page.getByTestId("run-compare").click();
  await page.getByTestId("open-chat").click();
  await visible(page, "chat-input");
  const lines = await page.getByLabel("Model 2").locator("option").allInnerTexts();
  check(
    new Set(lines).size === lines.length && lines.length >= 5,
    `every stack has a line of its own: ${lines.join(" | ")}`,
  );
  for (const index of [1, 2, 3, 4]) await page.getByLabel("Model 2").selectOption({ index });
  await compareTwins(page);
  check(errors.length === 0, errors.join("\n"));
  await program.close();
}

/** Two experiments of one title side by side are named by what differs. */
async function compareTwins(page) {
  await page.getByTestId("nav-experiments").click();
  for (const place of [0, 1]) await page.getByTestId("pick-experiment").nth(place).check();
  await page.getByTestId("compare-experiments").click();
  await visible(page, "compare-prompts");
  await page.getByTestId("overlay-differences").getByText("beta", { exact: true }).waitFor(wait);
  const names = await page.getByTestId("compare-chosen").getByRole("link").allInnerTexts();
  check(names.includes("beta 0.3") && names.includes("beta 0.5"), `named by what differs: ${names.join(" | ")}`);
}

/** Picks a goal, shows all settings, fills some, starts, and waits for the end. */
async function runGoal(page, goal, chain, settings, choices = {}) {
  await page.getByTestId("new-experiment").click();
  await page.getByTestId(`goal-${goal}`).check();
  await visible(page, "plan-ready");
  const shown = (await page.getByTestId("wizard-chain").locator("b").allInnerTexts()).join(" → ");
  check(shown === chain, `the goal ${goal} leads to ${shown}`);
  // Answered steps are folded to one line.
  if (Object.keys(choices).length > 0) await page.getByTestId("step-method").click();
  for (const [name, value] of Object.entries(choices)) await page.getByTestId(name).selectOption(value);
  await page.getByTestId("step-settings").click();
  await page.getByRole("button", { name: "All settings" }).click();
  for (const [name, value] of Object.entries(settings)) await fillSetting(page, name, value);
  await visible(page, "plan-ready");
  await until(() => page.getByTestId("wizard-start").isEnabled(), "the start button");
  await page.getByTestId("wizard-start").click();
  await visible(page, "run-finished");
}

/** A reward model learns from the pairs, PPO learns from it under a limit on harm; its answers come with scores. */
async function rewardToPpo(browser) {
  const program = await startProgram();
  const { page, errors } = await openPage(browser, program.address);
  await runGoal(
    page,
    "reward",
    "SFT → Reward model → PPO",
    {
      "sft-num_train_epochs": "0.4",
      "reward_model-num_train_epochs": "0.4",
      "ppo-max_steps": "3",
      "ppo-per_device_train_batch_size": "16",
    },
    { "wizard-limit": "oracle" },
  );
  await page.getByText("score of the answers").first().waitFor(wait);
  const runs = await call(program.address, "list_runs");
  const [ppo, reward] = ["ppo", "reward_model"].map((method) => runs.find((run) => run.method === method));
  const accuracy = reward.evaluations[0].measures
    .find((measure) => measure.key === "preference_accuracy")
    .values.at(-1);
  check(accuracy.n >= 50 && accuracy.value > 0.5, `the reward model ranks held-out pairs: ${JSON.stringify(accuracy)}`);
  check(
    Math.abs(ppo.metrics["val/first_ratio"] - 1) < 1e-5 && ppo.metrics["policy/first_clipfrac"] === 0,
    "the first look at fresh answers moves nothing",
  );
  check(
    ppo.work.adapter === "stage:1" && ppo.work.reward === "stage:2",
    "PPO continues from SFT and is scored by the reward model",
  );
  const { "objective/costs": cost, "objective/lagrange": price } = ppo.metrics;
  check(ppo.work.cost === "oracle" && cost >= 0 && cost <= 1 && price >= 1, `harm has a price: ${cost}, ${price}`);
  const counted = ({ chosen, rejected }) => [chosen, rejected].map((counts) => counts.reduce((a, b) => a + b, 0));
  check(
    counted(reward.evaluations[0].scores).every((count) => count === accuracy.n),
    "every held-out answer is in the histogram",
  );
  await page.getByRole("tab", { name: /Reward model/ }).click();
  await page.getByTestId("tab-scores").click();
  await visible(page, "score-spread");
  await page.getByRole("tab", { name: /PPO/ }).click();
  await page.getByTestId("tab-samples").click();
  await page.locator(".sample .score").first().waitFor(wait);
  await page.getByTestId("tab-tokens").click();
  await page.getByTestId("show-tokens").click();
  await page.getByTestId("token-view").locator(".tokens").first().waitFor(wait);
  await page.getByTestId("run-compare").click();
  await visible(page, "experiment-after");
  await page.getByTestId("nav-runs").click();
  for (const stage of [0, 2]) await page.getByTestId(`pick-${stage}`).first().check();
  check((await page.getByTestId("compare-runs").count()) === 0, "two stages of one experiment are no comparison");
  const stacks = await call(program.address, "list_stacks");
  check(
    stacks.every((view) => !view.label.includes("reward_model")),
    "a reward model is not offered for talking",
  );
  check(errors.length === 0, errors.join("\n"));
  await program.close();
}

/** Thumbs up and down, from the goal to the chat. */
async function thumbs(browser) {
  const program = await startProgram();
  const { page, errors } = await openPage(browser, program.address);
  await runGoal(page, "thumbs", "SFT → KTO", { "sft-num_train_epochs": "0.4", "kto-num_train_epochs": "0.15" });
  check(
    ["begin", "margin_grows", "margin_flat"].includes(await page.getByTestId("reading").getAttribute("data-reading")),
    "the curves are read",
  );
  await page.getByTestId("run-compare").click();
  await visible(page, "experiment-after");
  await page.getByTestId("open-chat").click();
  await page.getByTestId("chat-input").fill("What is the sum of two plus three?");
  await page.getByTestId("chat-send").click();
  await visible(page, "badge-1");
  check((await page.getByTestId("badge-1").innerText()).includes("sft + kto"), "the badge names the stack");
  check(errors.length === 0, errors.join("\n"));
  await program.close();
}

/** An experiment saved as a file is opened elsewhere as a draft; one whose data differ says at which stage. */
async function sharedFile(browser) {
  const [program, elsewhere] = [await startProgram(), await startProgram()];
  const [preset] = await call(program.address, "list_presets");
  const { stages } = preset;
  const made = await call(program.address, "create_experiment", { title: "Shared", question: "Why?", stages });
  const { page, errors } = await openPage(browser, program.address);
  await page.getByTestId("board").getByRole("link", { name: "Shared" }).click();
  await page.getByTestId("experiment-menu").click();
  const [saved] = await Promise.all([page.waitForEvent("download"), page.getByTestId("save-file").click()]);
  check(saved.suggestedFilename() === "Shared.toml", saved.suggestedFilename());
  const text = readFileSync(await saved.path(), "utf8");

  const other = await openPage(browser, elsewhere.address);
  const folder = mkdtempSync(join(tmpdir(), "alidade-"));
  const open = async (name, content) => {
    writeFileSync(join(folder, name), content);
    const [chooser] = await Promise.all([
      other.page.waitForEvent("filechooser"),
      other.page.getByTestId("open-file").click(),
    ]);
    await chooser.setFiles(join(folder, name));
  };
  const hash = /"dataset:[^"]*" = "([0-9a-f]{64})"/.exec(text)[1];
  await open("changed.toml", text.replace(hash, "0".repeat(64)));
  await other.page.getByText("differs from the one that the file was made with").waitFor(wait);
  await open("shared.toml", text);
  await other.page.getByRole("heading", { name: "Shared", level: 1 }).waitFor(wait);
  const [opened] = await call(elsewhere.address, "list_experiments");
  check(opened.state === "draft", opened.state);
  check(JSON.stringify(opened.experiment.stages) === JSON.stringify(made.experiment.stages), "the same stages");
  check(errors.length + other.errors.length === 0, [...errors, ...other.errors].join("\n"));
  await program.close();
  await elsewhere.close();
}

/** Requests without the token, or with another Host header, are refused. */
async function strangers(browser) {
  const program = await startProgram();
  const [base] = program.address.split("/#");
  const bare = await fetch(`${base}/api/call/list_runs`, {
    method: "POST",
    body: "{}",
    headers: { "Content-Type": "application/json" },
  });
  check(bare.status === 401, `without a token: ${bare.status}`);
  const status = await new Promise((done) =>
    httpRequest(base, { headers: { Host: "evil.example" } }, (response) => done(response.statusCode)).end(),
  );
  check(status === 403, `under another name: ${status}`);
  const { page } = await openPage(browser, program.address);
  await page.getByTestId("new-experiment").waitFor(wait);
  check(!page.url().includes("token"), "the token does not stay in the address");
  const blocked = await page.evaluate(() =>
    fetch("https://example.com").then(
      () => false,
      () => true,
    ),
  );
  check(blocked, "the page cannot call out");
  await program.close();
}

const journeys = {
  mainJob,
  ownData,
  twins,
  rewardToPpo,
  thumbs,
  sharedFile,
  otherStages,
  powerCut,
  memoryOut,
  strangers,
  keyboard,
  axe,
};
const wanted = process.argv.slice(2);
const browser = await startBrowser();
let failed = 0;
for (const [name, journey] of Object.entries(journeys)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const started = Date.now();
  try {
    await journey(browser);
    console.log(`test browser::${name} ... ok (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`test browser::${name} ... FAILED\n${error.stack}`);
    for (const [index, page] of browser
      .contexts()
      .flatMap((context) => context.pages())
      .entries()) {
      await page.screenshot({ path: join(root, `target/journey-${name}-${index}.png`) }).catch(() => {});
    }
  }
  for (const context of browser.contexts()) await context.close();
}
await browser.close();
process.exit(failed > 0 ? 1 : 0);
