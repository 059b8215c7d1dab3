// Every screen and dialog in both themes, read by axe-core: no violation of its rules is left.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { call, check, openPage, root, startProgram, until } from "./program.mjs";

const wait = { timeout: 180_000 };
const source = readFileSync(join(root, "ui/node_modules/axe-core/axe.min.js"), "utf8");
/** The patterns of the route table, so that a new screen is not forgotten here. */
const patterns = [
  ...readFileSync(join(root, "ui/src/views/screens.ts"), "utf8").matchAll(/^ {2}screen\(\s*"([^"]+)"/gm),
].map((found) => found[1]);

/** A finished experiment of two short stages, a draft, and a chat with an answer of two models. */
async function fill(address) {
  const { stages } = (await call(address, "list_presets")).find((preset) => preset.id === "kind_and_true");
  for (const stage of stages) stage.settings.max_steps = 12;
  const make = (title) => call(address, "create_experiment", { title, question: "Why?", stages, choices: null });
  const { experiment } = await make("Read by axe");
  const draft = (await make("A draft")).experiment;
  await call(address, "start_experiment", { id: experiment.id });
  const state = async () => (await call(address, "get_experiment", { id: experiment.id })).state;
  await until(async () => (await state()) === "finished", "the experiment", 300);
  const stacks = (await call(address, "list_stacks")).map((view) => view.stack);
  const chat = await call(address, "create_chat", { stacks: [stacks[0], stacks.at(-1)] });
  const [base, token] = address.split("/#token=");
  const answer = await fetch(`${base}/api/stream/send_message`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ id: chat.id, text: "What is the sum of two plus three?" }),
  });
  await answer.text();
  return { experiment: experiment.id, draft: draft.id, chat: chat.id };
}

/** Where to look, under the pattern of the screen, and what to do there before it is read. */
function views({ experiment, draft, chat }) {
  const goal = async (page) => {
    await page.getByTestId("goal-kind_and_true").check();
    await page.getByTestId("plan-ready").waitFor(wait);
  };
  const menu = (page) => page.getByTestId("experiment-menu").click();
  const dialog = (entry) => async (page) => {
    await menu(page);
    await page.getByTestId(entry).click();
    await page.getByRole("dialog").waitFor(wait);
  };
  return [
    ["experiments", "experiments"],
    ["experiments/new", "experiments/new"],
    ["experiments/new", "experiments/new", goal],
    ["experiments/:id", `experiments/${experiment}`],
    ["experiments/:id", `experiments/${experiment}`, menu],
    ["experiments/:id", `experiments/${experiment}`, dialog("export-adapter")],
    ["experiments/:id", `experiments/${experiment}`, dialog("menu-rename")],
    ["experiments/:id", `experiments/${experiment}`, dialog("menu-delete")],
    ["experiments/:id", `experiments/${draft}`],
    ["experiments/explained", "experiments/explained"],
    ["wizard/from/:from", `wizard/from/${experiment}`],
    ["wizard/draft/:draft", `wizard/draft/${draft}`],
    ["wizard/data/:data", "wizard/data/alder-bay-pairs"],
    ["compare/:ids?", `compare/${experiment},${draft}`],
    ["models", "models"],
    ["data/:chosen?", "data"],
    ["data/:chosen?", "data/alder-bay-pairs"],
    ["runs", "runs"],
    ["runs/:experiment", `runs/${experiment}`],
    ["chat/:id?", "chat"],
    ["chat/:id?", `chat/${chat}`],
    ["reports", "reports"],
    ["reports/:experiment", `reports/${experiment}`],
    ["settings", "settings"],
    ["settings", "settings", (page) => page.keyboard.press("?")],
    ["settings", "settings", (page) => page.keyboard.press("Control+k")],
    ["settings", "settings", (page) => page.getByTestId("theme").click()],
  ];
}

/** The violations on the page as it is, each in one line; details are opened first. */
async function violations(page) {
  await page.evaluate(source);
  return page.evaluate(async () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
    await new Promise((done) => setTimeout(done, 300));
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.target.join(" ")} ${node.any[0]?.message ?? ""} ${node.html.slice(0, 160)}`),
    );
  });
}

export async function axe(browser) {
  const program = await startProgram();
  const made = await fill(program.address);
  const all = views(made);
  const [base] = program.address.split("/#");
  check(patterns.length > 8, `the route table is read: ${patterns}`);
  for (const pattern of patterns)
    check(
      all.some(([seen]) => seen === pattern),
      `no address for ${pattern}`,
    );
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    const { page, errors } = await openPage(browser, program.address, { colorScheme });
    for (const [, path, act] of all) {
      // A new page each time: what was open on the last one is closed.
      await page.goto("about:blank");
      await page.goto(`${base}/#/${path}`);
      await page.waitForFunction(() => (document.querySelector("main")?.innerText.length ?? 0) > 20, null, wait);
      await page.waitForFunction(() => !document.querySelector("main").innerText.includes("One moment"), null, wait);
      if (act) await act(page);
      const here = `${colorScheme} ${path}${act ? " +" : ""}`;
      found.push(...(await violations(page)).map((line) => `${here}: ${line}`));
    }
    check(errors.length === 0, errors.join("\n"));
  }
  // The report is in a frame without scripts, where axe cannot read; so it is read as the file that is saved.
  const { html } = await call(program.address, "get_report", { experiment: made.experiment, language: "en" });
  const { page } = await openPage(browser, "about:blank");
  await page.setContent(html);
  found.push(...(await violations(page)).map((line) => `report: ${line}`));
  check(found.length === 0, `axe found ${found.length}:\n  ${found.join("\n  ")}`);
  await program.close();
}
