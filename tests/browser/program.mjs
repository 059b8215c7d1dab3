// Starts the real program as `alidade serve` on a fresh data folder, and a browser on it.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "../../ui/node_modules/playwright-core/index.mjs";

export const root = resolve(fileURLToPath(import.meta.url), "../../..");
const program = resolve(root, process.env.ALIDADE_PROGRAM ?? "target/debug/alidade");
const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
  existsSync(path),
);
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function startProgram(home = mkdtempSync(join(tmpdir(), "alidade-"))) {
  const child = spawn(program, ["serve"], {
    env: { ...process.env, ALIDADE_HOME: home, ALIDADE_RESOURCES: join(root, "resources") },
  });
  let words = "";
  child.stderr.on("data", (data) => (words += data));
  const address = await new Promise((done, fail) => {
    let text = "";
    child.stdout.on("data", (data) => {
      text += data;
      if (text.includes("\n")) done(text.trim());
    });
    child.on("exit", () => fail(new Error(`the program ended: ${words}`)));
  });
  return {
    address,
    home,
    /** Ends the program as a power cut would; the data folder stays. */
    kill: () =>
      new Promise((done) => {
        child.removeAllListeners("exit");
        child.on("exit", done);
        child.kill("SIGKILL");
      }),
    async close() {
      await this.kill();
      // A worker may still be writing its last lines.
      rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

export const startBrowser = () => chromium.launch({ executablePath: browserPath, args: flags });

/** A page that fails the test on any error that it logs or throws. */
export async function openPage(browser, address, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    locale: "en-US",
    acceptDownloads: true,
    ...options,
  });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    // Refusals of the program are answers (422, 409 …); they are shown on the screen and are not errors of the page.
    if (message.type() === "error" && !message.text().includes("Failed to load resource")) errors.push(message.text());
  });
  await page.goto(address);
  return { page, errors };
}

export async function call(address, name, request = {}) {
  const [base, token] = address.split("/#token=");
  const response = await fetch(`${base}/api/call/${name}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify(request),
  });
  const body = await response.json();
  if (!response.ok)
    throw Object.assign(new Error(body.message?.en ?? String(body.message)), {
      problem: body,
      status: response.status,
    });
  return body;
}

export function check(condition, message) {
  if (!condition) throw new Error(message);
}

/** Waits until `look` returns something true. */
export async function until(look, what, seconds = 120) {
  const end = Date.now() + 1000 * seconds;
  for (;;) {
    const found = await look();
    if (found) return found;
    check(Date.now() < end, `waited ${seconds} s for ${what}`);
    await new Promise((done) => setTimeout(done, 150));
  }
}
