// Opens RAPL's page in a real Chromium, and looks for faults that every test should notice.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before } from "node:test";

import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const LIMIT_MS = 20_000; // the machine of a test run may be busy
const GRAVE = ["serious", "critical"];
export const ELSEWHERE = process.env.READY?.replace("127.0.0.1", "rapl.test"); // the same gateway, as from another machine
export const KNOWS_ELSEWHERE = ["--host-resolver-rules=MAP rapl.test 127.0.0.1"];
const MICROPHONE = [
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
  `--use-file-for-fake-audio-capture=${process.env.RECORDING_MICROPHONE}`,
];

export const { FIRST_VISIT, READY, KEYED, KEY } = process.env;
export const RECORDINGS = Object.fromEntries(
  Object.entries(process.env)
    .filter(([name]) => name.startsWith("RECORDING_"))
    .map(([name, file]) => [name.slice("RECORDING_".length).toLowerCase(), file]),
);
export const PHONE = { width: 390, height: 844 };

let browser;

/** Starts Chromium, with the microphone that plays a recording. */
export function launch(args = []) {
  const all = ["--no-sandbox", "--disable-gpu", ...MICROPHONE, ...args];
  return chromium.launch({ executablePath: process.env.CHROMIUM, args: all });
}

/** Starts one browser for the tests of a file. */
export function withBrowser(args = []) {
  before(async () => (browser = await launch(args)));
  after(() => browser.close());
}

/**
 * Opens a page in a new profile, and runs a test on it. What the page writes to the console as an error, and an
 * exception that nothing handles, fail the test.
 *
 * @param {string} url
 * @param {function(page)} test
 * @param {object} options of Playwright's `newContext`; `expected` is a pattern of errors that the test provokes.
 */
export async function on(url, test, { expected = /^$/, ...options } = {}) {
  const context = await browser.newContext({
    locale: "en-GB",
    viewport: { width: 1100, height: 800 },
    reducedMotion: "reduce", // what still moves cannot be clicked
    ...options,
  });
  context.setDefaultTimeout(LIMIT_MS);
  const faults = [];
  const page = await context.newPage();
  page.on("console", (message) => isFault(message) && faults.push(message.text()));
  page.on("filechooser", () => {}); // from now on: a first listener that comes with a press of a key comes too late
  page.on("pageerror", (error) => faults.push(error.stack));
  try {
    await page.goto(url);
    await test(page, context).catch((error) => {
      throw new Error(`${error.message}\nThe console of the page: ${JSON.stringify(faults)}`, { cause: error });
    });
    assert.deepEqual(
      faults.filter((fault) => !expected.test(fault)),
      [],
    );
  } finally {
    await context.close();
  }
}

/** Whether a line of the console is an error. The progress of a request that has just ended is a 404 and no error. */
function isFault(message) {
  return message.type() === "error" && !message.location().url.includes("/v1/progress/");
}

/** Fails if axe finds a serious fault of accessibility in what the page shows now. */
export async function assertAccessible(page) {
  // Through the debugger, which the page's Content-Security-Policy does not stop.
  if (!(await page.evaluate("typeof axe === 'object'"))) await page.evaluate(AXE);
  const { violations } = await page.evaluate("axe.run()");
  const grave = violations.filter(({ impact }) => GRAVE.includes(impact));
  assert.deepEqual(
    grave.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
    [],
  );
}

/** Waits until a condition holds, and returns its value. */
export async function until(condition, what) {
  for (const end = Date.now() + LIMIT_MS; Date.now() < end;) {
    const found = await condition();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`still waiting: ${what}`);
}

/** Whether the page is wider than its window, so that a person must scroll to the side. */
export const isTooWide = (page) =>
  page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");
