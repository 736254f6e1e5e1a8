// A long recording on the page: `node hour.mjs RECORDING`. Prints what was seen as JSON. Run by tests/page_hour.py.

import { readFileSync } from "node:fs";
import path from "node:path";

import { launch, READY } from "./page.mjs";
import { card, choose } from "./try.mjs";

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
const own = card(page, path.basename(recording));
await choose(page, recording);
const progress = await own.getByText(/^\d+:\d+(:\d+)? of .* left$/).textContent();
await own.getByRole("button", { name: "Cancel" }).click();
await own.getByText("Cancelled", { exact: true }).waitFor();
const hasEnded = await until(async () => (await status()).running_requests === 0);
const began = performance.now();
await own.getByRole("button", { name: "Try again" }).click();
await own.getByText("Done", { exact: true }).waitFor();
const tookS = (performance.now() - began) / 1000;
await own
  .getByRole("button", { name: /^Play from/ })
  .last()
  .click();
await page.waitForTimeout(3000);
clearInterval(sampling);
const segments = await own.getByRole("list", { name: "Transcript" }).getByRole("listitem").count();
await browser.close();
const seen = { progress, cancelled_on_the_server: hasEnded, took_s: tookS.toFixed(1), segments };
console.log(JSON.stringify({ ...seen, ...most, empty_browser_pss_bytes, empty_browser_rss_bytes }));

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
