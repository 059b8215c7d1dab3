// A run is cut off: the program is killed, or the system ends the worker because memory ran out.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { memoryGroup, processNaming } from "./memory.mjs";
import { call, check, openPage, startProgram, until } from "./program.mjs";

const wait = { timeout: 180_000 };

/** The program is killed in the middle of a run: the worker continues, and the next start copies all of its events. */
export async function powerCut(browser) {
  const first = await startProgram();
  const [preset] = await call(first.address, "list_presets");
  const stages = [preset.stages[0]];
  stages[0].settings.num_train_epochs = 3;
  const made = await call(first.address, "create_experiment", { title: "cut", question: "", stages });
  await call(first.address, "start_experiment", { id: made.experiment.id });
  const run = await until(
    async () => (await call(first.address, "list_runs")).find((entry) => entry.step >= 3),
    "the third step",
  );
  await first.kill();
  const second = await startProgram(first.home);
  const seen = (await call(second.address, "get_run", { run: run.id })).state;
  check(["running", "finished"].includes(seen), `after the cut the run is ${seen}`);
  await call(second.address, "pause_run", { run: run.id });
  const paused = await until(async () => {
    const view = await call(second.address, "get_run", { run: run.id });
    return ["paused", "finished"].includes(view.state) ? view : null;
  }, "the pause");
  const { page, errors } = await openPage(browser, second.address);
  if (paused.state === "paused") {
    await page.getByTestId("nav-runs").click();
    await page.getByRole("link", { name: "cut", exact: true }).click();
    await page.getByTestId("run-resume").click();
  }
  await until(async () => (await call(second.address, "get_run", { run: run.id })).state === "finished", "the end");
  const log = readFileSync(join(first.home, "runs", run.id, "log.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).step);
  check(
    log.every((step, index) => step === index + 1),
    "every step is in the log once",
  );
  check(errors.length === 0, errors.join("\n"));
  await second.close();
}

/** A worker that the system kills because memory ran out is reported as such, and its run is resumed later. */
export async function memoryOut(browser) {
  const group = memoryGroup(8 << 20);
  if (group === null) {
    console.log("memoryOut left out: no group of processes with a limit can be made here");
    return;
  }
  const program = await startProgram();
  const [preset] = await call(program.address, "list_presets");
  const stages = [preset.stages[0]];
  stages[0].settings.num_train_epochs = 0.1;
  const made = await call(program.address, "create_experiment", { title: "narrow", question: "", stages });
  await call(program.address, "start_experiment", { id: made.experiment.id });
  const run = await until(
    async () => (await call(program.address, "list_runs")).find((entry) => entry.state !== "queued"),
    "the start",
  );
  group.take(await until(() => processNaming(run.id), "the worker"));
  await until(
    async () => (await call(program.address, "get_run", { run: run.id })).state === "interrupted",
    "the end of the worker",
  );
  group.remove();
  const { page, errors } = await openPage(browser, program.address);
  await page.getByTestId("nav-runs").click();
  await page.getByRole("link", { name: "narrow" }).click();
  await page.getByText("because memory ran out").waitFor(wait);
  await page.getByTestId("run-resume").click();
  await until(async () => (await call(program.address, "get_run", { run: run.id })).state === "finished", "the end");
  check(errors.length === 0, errors.join("\n"));
  await program.close();
}
