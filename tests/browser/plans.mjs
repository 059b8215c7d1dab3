// Compares the memory that the plan predicts for whole runs, including the comparison, with the peak of their workers, on some twenty
// stages: methods, shapes, number formats and lengths. Linux only; models as `alidade bench make` writes them.
//   node tests/browser/plans.mjs MODELS [NAMES]   MODELS holds the folders tiny, small and smollm2-135m; NAMES picks by pattern
import { existsSync, copyFileSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { call, startProgram } from "./program.mjs";

const [models, names = ""] = process.argv.slice(2);
const HOW_FAR_OFF = 0.15;
const KINDS = {
  sft: "answers",
  dpo: "pairs",
  orpo: "pairs",
  cpo: "pairs",
  reward_model: "pairs",
  kto: "ratings",
  ppo: "prompts",
  grpo: "prompts",
  rloo: "prompts",
  online_dpo: "prompts",
};
const VOCABULARY = { tiny: 4096, small: 16384, "smollm2-135m": 49152 };
const WORDS = "the bay is cold and the town has a harbour where boats lie at night".split(" ");
const oracle = { reward: "oracle" };
const batch = (rows, more = {}) => ({ per_device_train_batch_size: rows, ...more });

/** Model, and stages as method, words of a row, settings, and what else the recipe says. */
const CONFIGURATIONS = [
  ["starter", ["sft", 30, {}]],
  ["starter", ["sft", 30, {}], ["dpo", 40, {}, { adapter: "stage:1" }]],
  ["starter", ["ppo", 12, batch(16), oracle]],
  ["starter", ["grpo", 12, batch(16, { max_completion_length: 64 }), oracle]],
  ["tiny", ["sft", 120, batch(4)]],
  ["tiny", ["dpo", 200, batch(4, { bf16: true })]],
  ["tiny", ["kto", 120, batch(8)]],
  [
    "tiny",
    ["reward_model", 120, {}],
    ["ppo", 60, batch(8, { response_length: 64, value_model: "adapter" }), { reward: "stage:1" }],
  ],
  ["small", ["sft", 300, batch(4)]],
  ["small", ["sft", 300, batch(4, { gradient_checkpointing: true })]],
  ["small", ["sft", 500, batch(8, { bf16: true })]],
  ["small", ["orpo", 200, batch(4)]],
  ["small", ["cpo", 200, batch(4), { dropout: 0.1 }]],
  [
    "small",
    ["reward_model", 120, {}],
    ["grpo", 60, batch(16, { num_generations: 4, max_completion_length: 48 }), { reward: "stage:1" }],
  ],
  ["small", ["reward_model", 120, {}], ["online_dpo", 60, batch(8, { max_new_tokens: 48 }), { reward: "stage:1" }]],
  ["smollm2-135m", ["sft", 100, batch(2)]],
  ["smollm2-135m", ["sft", 300, batch(4, { bf16: true })]],
  ["smollm2-135m", ["dpo", 200, batch(2, { bf16: true })]],
  // Adapters that candle runs.
  ["tiny", ["sft", 120, batch(4), { dora: true }]],
  ["tiny", ["sft", 200, batch(4, { bf16: true }), { dora: true, dropout: 0.1 }]],
  ["tiny", ["dpo", 200, batch(4), { dora: true }]],
  ["tiny", ["sft", 200, batch(4), { prefix: { num_virtual_tokens: 16 } }]],
  ["starter", ["grpo", 12, batch(16, { max_completion_length: 64 }), { ...oracle, dora: true }]],
  ["small", ["sft", 120, batch(4), { dora: true }]],
];

const program = await startProgram();
const [base, token] = program.address.split("/#token=");
const headers = { Authorization: `Bearer ${token}` };
const known = new Map((await call(program.address, "list_models")).map((view) => [view.model.name, view.model.id]));
const sets = new Map();

async function model(shape) {
  if (known.has(shape)) return known.get(shape);
  const made = await (await fetch(`${base}/api/folder`, { method: "POST", headers, body: "{}" })).json();
  for (const name of readdirSync(join(models, shape)).filter(
    (name) => name.endsWith(".json") || name.endsWith(".safetensors"),
  ))
    copyFileSync(join(models, shape, name), join(made.path, name));
  known.set(shape, (await call(program.address, "add_model", { handle: made.handle })).model.id);
  return known.get(shape);
}

/** Sixty rows of about this many words, always the same. */
function rows(shape, kind, words) {
  let state = 1;
  const draw = () => (state = (state * 48271) % 2147483647) / 2147483647;
  const word = () =>
    VOCABULARY[shape]
      ? `t${100 + Math.floor(draw() * (VOCABULARY[shape] - 200))}`
      : WORDS[Math.floor(draw() * WORDS.length)];
  const text = (count) => Array.from({ length: Math.max(2, Math.round(count)) }, word).join(" ");
  const user = (count) => [{ role: "user", content: text(count) }];
  const assistant = (count) => [{ role: "assistant", content: text(count) }];
  return Array.from({ length: 60 }, (_, index) => {
    const count = words * (0.6 + 0.8 * draw());
    if (kind === "answers") return { messages: [...user(count / 2), ...assistant(count / 2)] };
    if (kind === "pairs")
      return { prompt: user(count / 2), chosen: assistant(count / 2), rejected: assistant(count / 2) };
    if (kind === "ratings")
      return { prompt: user(count / 2), completion: assistant(count / 2), label: index % 2 === 0 };
    return { prompt: user(count) };
  });
}

async function dataset(shape, kind, words) {
  const key = `${VOCABULARY[shape] ? shape : ""} ${kind} ${words}`;
  if (!sets.has(key)) {
    const body = rows(shape, kind, words)
      .map((row) => JSON.stringify(row))
      .join("\n");
    const { handle } = await (
      await fetch(`${base}/api/upload?name=rows.jsonl`, { method: "POST", headers, body })
    ).json();
    sets.set(key, (await call(program.address, "import_dataset", { handle, name: key })).id);
  }
  return sets.get(key);
}

async function recipe(shape, [method, words, settings, more = {}]) {
  const { dropout = 0, dora = false, ...rest } = more;
  const lora =
    rest.adapter || rest.prefix
      ? {}
      : { lora: { r: 16, lora_alpha: 32, lora_dropout: dropout, use_dora: dora, target_modules: "all-linear" } };
  return {
    method,
    model: `model:${await model(shape)}`,
    dataset: `dataset:${await dataset(shape, KINDS[method], words)}`,
    seed: 1,
    settings: { max_steps: 2, ...settings },
    ...lora,
    ...rest,
  };
}

/** Peak memory of each run's worker, in megabytes. */
function peaks(runs, found) {
  for (const run of runs.filter((entry) => entry.state === "running")) {
    const events = join(program.home, "runs", run.id, "events.jsonl");
    const pid = existsSync(events) ? /"kind":"started","pid":(\d+)/.exec(readFileSync(events, "utf8"))?.[1] : undefined;
    try {
      const kilobytes = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
      found.set(run.id, Math.max(found.get(run.id) ?? 0, kilobytes * 1.024e-3));
    } catch {
      // It has not started, or has already ended.
    }
  }
}

let missed = 0;
console.log("| stage | expected MB | taken MB | off |\n|---|---|---|---|");
for (const [shape, ...stages] of CONFIGURATIONS) {
  const name = `${shape} ${stages.map(([method, words, settings, more = {}]) => `${method} ${words}${settings.bf16 ? " bf16" : ""}${settings.gradient_checkpointing ? " again" : ""}${more.dora ? " dora" : ""}${more.prefix ? " prefix" : ""}`).join(", ")}`;
  if (!new RegExp(names).test(name)) continue;
  const recipes = [];
  for (const stage of stages) recipes.push(await recipe(shape, stage));
  const checked = await call(program.address, "check_pipeline", { stages: recipes });
  const { experiment } = await call(program.address, "create_experiment", {
    title: name,
    question: "",
    stages: recipes,
  });
  await call(program.address, "start_experiment", { id: experiment.id });
  const found = new Map();
  let runs;
  do {
    await new Promise((done) => setTimeout(done, 30));
    ({ runs } = await call(program.address, "get_experiment", { id: experiment.id }));
    peaks(runs, found);
  } while (runs.some((run) => ["queued", "running"].includes(run.state)));
  for (const [index, run] of runs.entries()) {
    const [expected, taken] = [checked.stages[index].memory_bytes / 1e6, found.get(run.id) ?? NaN];
    const off = expected / taken - 1;
    missed += Math.abs(off) <= HOW_FAR_OFF && run.state === "finished" ? 0 : 1;
    console.log(
      `| ${name}: ${run.method} | ${expected.toFixed(0)} | ${taken.toFixed(0)} | ${(100 * off).toFixed(0)} % |${run.state === "finished" ? "" : ` ${run.state}`}`,
    );
  }
}
await program.close();
if (missed > 0) throw new Error(`${missed} stages are more than ${100 * HOW_FAR_OFF} % off`);
