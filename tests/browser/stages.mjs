// A journey through stages that do not train.
import { call, check, openPage, startProgram, until } from "./program.mjs";

const wait = { timeout: 180_000 };

/** A stage that builds rows and one that evaluates: shown as they come, covered until they are wanted, and led to. */
export async function otherStages(browser) {
  const program = await startProgram();
  const { page, errors } = await openPage(browser, program.address);
  const model = "model:starter";
  const stages = [
    {
      kind: "build",
      builder: "sample",
      model,
      dataset: "dataset:alder-bay-questions",
      limit: 12,
      settings: { max_new_tokens: 24 },
    },
    { kind: "evaluate", model, stacks: [], judges: ["refusal"], limit: 12 },
  ];
  await call(program.address, "create_experiment", { title: "Built", question: "", stages });
  await page.getByTestId("nav-experiments").click();
  await page.getByTestId("board").getByRole("link", { name: "Built" }).click();
  await page.getByRole("button", { name: "Start run" }).click();
  await page.getByTestId("run-finished").waitFor(wait);
  await page.getByTestId("measures").waitFor(wait);
  await page.getByRole("tab").first().click();
  const items = page.getByTestId("run-items").getByRole("listitem");
  await until(async () => (await items.count()) === 12, "twelve rows");
  check(!(await items.first().innerText()).includes("?"), "rows are covered at first");
  await page.getByTestId("show-items").click();
  check((await items.first().innerText()).includes("?"), "and uncovered together");
  await page.getByTestId("run-made-dataset").getByRole("button").click();
  await page.getByText("Built: one answer to each prompt").first().waitFor(wait);
  check(errors.length === 0, errors.join("\n"));
  await program.close();
}
