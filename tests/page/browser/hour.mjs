// A long recording on the page: `node hour.mjs RECORDING`. Prints what was seen as JSON. Run by tests/page_hour.py.

import { readFileSync } from "node:fs";

import { launch, READY } from "./page.mjs";

const [recording] = process.argv.slice(2);
const LIMIT_MS = 20 * 60_000;
const SAMPLE_MS = 500;

const browser = await launch();
const page = await browser.newPage();
page.setDefaultTimeout(LIMIT_MS);
const session = await browser.newBrowserCDPSession();
// Pss counts a page of memory that processes share once in all, Rss once for each of them.
const most = { page_pss_bytes: 0, page_rss_bytes: 0, all_pss_bytes: 0, all_rss_bytes: 0 };
await page.waitForTimeout(3000); // a new browser is still starting
await sample();
const { all_pss_bytes: empty_browser_pss_bytes, all_rss_bytes: empty_browser_rss_bytes } = most;
const sampling = setInterval(sample, SAMPLE_MS);

await page.goto(READY);
await waitFor("!document.querySelector('#option-model').disabled");
await page.locator("input[type=file]").setInputFiles(recording);
const hints = "[...document.querySelectorAll('.job .hint')].map((hint) => hint.textContent)";
const progress = await waitFor(`${hints}.find((text) => text.endsWith(" left"))`);
await press("Cancel");
await waitFor("document.querySelector('.job .state').textContent === 'Cancelled'");
const hasEnded = await until(async () => (await status()).running_requests === 0);
const began = performance.now();
await press("Try again");
await waitFor("document.querySelector('.job .state').textContent === 'Done'");
const tookS = (performance.now() - began) / 1000;
const segments = await page.evaluate("document.querySelectorAll('.transcript li').length");
await page.waitForTimeout(2000);
const before_playing_pss_bytes = most.all_pss_bytes;
await page.evaluate("[...document.querySelectorAll('.transcript .time')].at(-1).click()");
await page.waitForTimeout(3000);
clearInterval(sampling);
await browser.close();
const seen = { progress, cancelled_on_the_server: hasEnded, took_s: tookS.toFixed(1), segments };
const others = { before_playing_pss_bytes, empty_browser_pss_bytes, empty_browser_rss_bytes };
console.log(JSON.stringify({ ...seen, ...most, ...others }));

/**
 * Waits until an expression is true on the page, and returns its value. Playwright's own search for roles would take
 * some 100 MB there, for so many rows.
 */
async function waitFor(expression) {
  for (;;) {
    const found = await page.evaluate(expression);
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Clicks the button of the card with a text. */
function press(text) {
  return page.evaluate(
    (wanted) => [...document.querySelectorAll(".job button")].find((each) => each.textContent === wanted).click(),
    text,
  );
}

async function status() {
  return (await fetch(`${READY}/v1/status`)).json();
}

async function until(condition) {
  for (let tries = 0; tries < 200; tries++) {
    if (await condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

/** Takes the memory of the processes: of the largest renderer, which is the page's, and of all together. */
async function sample() {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const sizes = processInfo.map(({ type, id }) => ({ type, pss: memory(id, "Pss"), rss: memory(id, "Rss") }));
  for (const kind of ["pss", "rss"]) {
    const of = (found) => found.map((size) => size[kind]);
    const page = Math.max(0, ...of(sizes.filter(({ type }) => type === "renderer")));
    const all = of(sizes).reduce((sum, bytes) => sum + bytes, 0);
    most[`page_${kind}_bytes`] = Math.max(most[`page_${kind}_bytes`], page);
    most[`all_${kind}_bytes`] = Math.max(most[`all_${kind}_bytes`], all);
  }
}

/** The memory of a process in bytes, as its line `name` of /proc says; 0 if it has ended. */
function memory(pid, name) {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return 1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(rollup)[1]);
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES"].includes(error.code)) return 0;
    throw error;
  }
}
