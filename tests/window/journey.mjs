// Tests the real window under a display: it opens, runs an experiment, streams an answer, and refuses what it must refuse.
// Speaks WebDriver to WebKitWebDriver; needs no package.
import { execSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
const program = resolve(root, process.env.ALIDADE_DESKTOP ?? "target/debug/alidade-desktop");
const home = mkdtempSync(join(tmpdir(), "alidade-window-"));
const resources = process.env.ALIDADE_DESKTOP ? {} : { ALIDADE_RESOURCES: join(root, "resources") };
const environment = {
  ...process.env,
  ALIDADE_HOME: home,
  // What the page keeps for itself, as unfinished choices, belongs to this journey alone.
  XDG_DATA_HOME: join(home, "page"),
  ...resources,
  TAURI_WEBVIEW_AUTOMATION: "true",
  LANG: "C.UTF-8",
};
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

const port = await new Promise((done) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});
const driver = spawn("WebKitWebDriver", [`--port=${port}`, "--host=127.0.0.1"], { env: environment, stdio: "inherit" });
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function send(method, path, body) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const { value } = await response.json();
  if (!response.ok) throw Object.assign(new Error(`${path}: ${value?.message}`), { value });
  return value;
}

async function until(look, what, seconds = 120) {
  const end = Date.now() + 1000 * seconds;
  let last;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}${last ? `: ${last.message}` : ""}`);
    await pause(150);
  }
}

let session;
const find = async (id) =>
  (await send("POST", `${session}/element`, { using: "css selector", value: `[data-testid="${id}"]` }))[ELEMENT];
const seen = (id, seconds) => until(() => find(id), id, seconds);
/** An element that moves while the page is still being laid out cannot be clicked yet. */
const click = (id) =>
  until(async () => {
    await send("POST", `${session}/element/${await find(id)}/click`, {});
    return true;
  }, id);
const text = async (id) => send("GET", `${session}/element/${await seen(id)}/text`);
const script = (code, args = []) => send("POST", `${session}/execute/async`, { script: code, args });
const check = (condition, message) => {
  if (!condition) throw new Error(message);
};

/** Calls the window's `invoke` directly, as a compromised page would. */
const invoke = (command, payload) =>
  script(
    "const [command, payload, done] = arguments; window.__TAURI_INTERNALS__.invoke(command, payload).then((value) => done({ value }), (error) => done({ error }));",
    [command, payload],
  );

/** Processes of ours that listen on a port. */
function listeners() {
  const inodes = new Set();
  for (const table of ["tcp", "tcp6"]) {
    for (const line of readFileSync(`/proc/net/${table}`, "utf8").split("\n").slice(1)) {
      const parts = line.trim().split(/\s+/);
      if (parts[3] === "0A") inodes.add(parts[9]);
    }
  }
  const found = [];
  for (const pid of execSync("pgrep -f alidade-desktop || true").toString().trim().split("\n").filter(Boolean)) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        const target = execSync(`readlink /proc/${pid}/fd/${fd} || true`).toString();
        const inode = /socket:\[(\d+)\]/.exec(target)?.[1];
        if (inode && inodes.has(inode)) found.push(pid);
      }
    } catch {
      // The process ended meanwhile.
    }
  }
  return found;
}

async function journey() {
  await until(() => fetch(`http://127.0.0.1:${port}/status`).then((response) => response.ok), "the driver", 20);
  const capabilities = { alwaysMatch: { "webkitgtk:browserOptions": { binary: program, args: [] } } };
  session = `/session/${(await send("POST", "/session", { capabilities })).sessionId}`;
  await send("POST", `${session}/timeouts`, { script: 60_000 });
  await seen("new-experiment", 30);

  await click("new-experiment");
  await click("goal-kind_and_true");
  await seen("plan-ready");
  await click("language");
  await click("language-zh");
  check((await text("plan-ready")).includes("就绪"), "the plan speaks Chinese");
  await click("language");
  await click("language-en");
  const presets = (await invoke("rpc", { name: "list_presets", request: {}, channel: "__CHANNEL__:0" })).value;
  const preset = presets.find((entry) => entry.id === "kind_and_true");
  preset.stages[0].settings.num_train_epochs = 0.6;
  preset.stages[1].settings.num_train_epochs = 0.3;
  const made = await invoke("rpc", {
    name: "create_experiment",
    request: { title: "window", question: "", stages: preset.stages },
    channel: "__CHANNEL__:0",
  });
  check(made.value, `an experiment is made: ${JSON.stringify(made.error)}`);
  await invoke("rpc", {
    name: "start_experiment",
    request: { id: made.value.experiment.id },
    channel: "__CHANNEL__:0",
  });
  await click("nav-runs");
  await until(
    () =>
      script(
        "const done = arguments[0]; const link = [...document.querySelectorAll('main a')].find((a) => a.textContent.trim() === 'window'); link?.click(); done(Boolean(link));",
      ),
    "the run in the list",
  );
  await seen("run-step");
  await seen("run-finished", 240);
  await click("run-compare");
  check(parseInt(await text("experiment-after")) > parseInt(await text("experiment-before")), "good answers rise");
  await click("open-chat");
  const input = await seen("chat-input");
  await send("POST", `${session}/element/${input}/value`, { text: "What is the sum of two plus three?" });
  await click("chat-send");
  await seen("badge-0");
  check((await text("badge-1")).includes("sft + dpo"), "the badge names the stack");

  for (const command of [
    "greet",
    "plugin:dialog|open",
    "plugin:fs|read_file",
    "plugin:event|emit",
    "plugin:window|close",
  ]) {
    check((await invoke(command, {})).error, `${command} must be refused`);
  }
  const path = await invoke("rpc", {
    name: "import_dataset",
    request: { handle: "/etc/passwd", name: null },
    channel: "__CHANNEL__:0",
  });
  check(path.error?.field === "handle", "a path is no handle");
  check(
    await script("const done = arguments[0]; fetch('https://example.com').then(() => done(false), () => done(true));"),
    "the page cannot call out",
  );
}

/** Windows of this data folder that are still open. */
const windows = () =>
  execSync("pgrep -f alidade-desktop || true")
    .toString()
    .trim()
    .split("\n")
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").includes(`ALIDADE_HOME=${home}\0`);
      } catch {
        return false;
      }
    });

/** Under automation WebKit itself listens for the driver; so the window is opened once more without it. */
async function opensNoPort() {
  // The driver's window ends after its session does; a second one would hand over to it and close.
  await until(() => windows().length === 0, "the first window's end", 30);
  const { TAURI_WEBVIEW_AUTOMATION: _, ...plain } = environment;
  const window = spawn(program, [], { env: plain, stdio: ["ignore", "inherit", "inherit"] });
  const code = await Promise.race([new Promise((done) => window.on("exit", (...end) => done(end))), pause(3000)]);
  const found = listeners();
  check(code === undefined, `the window stays open, and ended with ${code}`);
  window.kill();
  check(found.length === 0, `the window listens on a port: ${found}`);
}

let failed = false;
const started = Date.now();
try {
  await journey();
  console.log(`test window::main_job ... ok (${((Date.now() - started) / 1000).toFixed(1)} s)`);
} catch (error) {
  failed = true;
  console.log(`test window::main_job ... FAILED\n${error.stack}`);
}
if (session) {
  const picture = await send("GET", `${session}/screenshot`).catch(() => null);
  mkdirSync(join(root, "target"), { recursive: true });
  if (picture) writeFileSync(join(root, "target/window.png"), Buffer.from(picture, "base64"));
  await send("DELETE", session).catch(() => {});
}
driver.kill();
if (!failed) {
  await opensNoPort().then(
    () => console.log("test window::listens_on_no_port ... ok"),
    (error) => {
      failed = true;
      console.log(`test window::listens_on_no_port ... FAILED\n${error.stack}`);
    },
  );
}
rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
process.exit(failed ? 1 : 0);
