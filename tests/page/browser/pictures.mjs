// Takes a picture of each state of the page: `node pictures.mjs FOLDER [WORD]`. Run by tests/page_pictures.py.

import path from "node:path";

import { ELSEWHERE, FIRST_VISIT, KEYED, KNOWS_ELSEWHERE, launch, PHONE, READY, RECORDINGS } from "./page.mjs";
import { card, choose, markedTranscript, NAMES } from "./try.mjs";

const [folder, word = ""] = process.argv.slice(2);
const DESKTOP = { width: 1100, height: 800 };
const SIZES = { desktop: DESKTOP, phone: PHONE };
const DIGITS = "mlx-community/digits-Qwen3-ASR-8bit";
const SLOW_BYTES_PER_S = 60_000;

const done = (page, name) => card(page, name).getByText("Done", { exact: true }).waitFor();
const press = (page, name) => page.getByRole("button", { name }).click();
const seen = (page, text) => page.getByText(text).first().waitFor();

// State -> [where it begins, what brings it about, options of the browser's context].
const STATES = {
  "first-visit": [FIRST_VISIT, (page) => seen(page, "iic/SenseVoiceSmall")],
  ready: [READY, (page) => page.getByRole("combobox", { disabled: false }).first().waitFor()],
  sending: [READY, sending],
  transcript: [READY, transcript],
  files: [READY, files],
  removed: [READY, removed],
  "waiting-for-model": [READY, waitingForModel],
  marks: [READY, markedTranscript],
  code: [READY, code],
  failed: [
    READY,
    async (page) => {
      await choose(page, RECORDINGS.nothing);
      await seen(page, "Failed");
    },
  ],
  speaking: [
    READY,
    async (page) => {
      await press(page, /^Speak/);
      await seen(page, /7 2 9/);
    },
  ],
  recording: [
    READY,
    async (page) => {
      await press(page, /^Record/);
      await seen(page, "0:03");
    },
  ],
  "no-microphone": [
    ELSEWHERE,
    async (page) => {
      await press(page, /^Speak/);
      await seen(page, "./rapl cert");
    },
  ],
  key: [`${KEYED}/#/fleet`, (page) => page.getByRole("dialog").waitFor()],
  fleet: [`${READY}/#/fleet`, (page) => page.getByRole("table").waitFor()],
  "fleet-problems": [`${FIRST_VISIT}/#/fleet`, problems],
  "fleet-download": [`${READY}/#/fleet`, download],
  "fleet-remove": [`${READY}/#/fleet`, remove],
  "fleet-offline": [
    `${READY}/#/fleet`,
    async (page) => {
      await page.getByRole("table").waitFor();
      await page.context().setOffline(true);
      await page.getByRole("alert").first().waitFor();
    },
  ],
  chinese: [READY, transcriptInChinese, { locale: "zh-CN" }],
  "chinese-fleet": [`${FIRST_VISIT}/#/fleet`, (page) => page.getByRole("table").waitFor(), { locale: "zh-CN" }],
};

async function sending(page) {
  const network = await page.context().newCDPSession(page);
  await page.getByRole("button", { name: /^Choose files/ }).waitFor();
  await network.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: SLOW_BYTES_PER_S,
  });
  await choose(page, RECORDINGS.several, RECORDINGS.sample, RECORDINGS.microphone);
  await seen(page, /^[1-9]\d* % sent$/);
}

async function transcript(page) {
  await choose(page, RECORDINGS.several);
  await done(page, NAMES.several);
  await page
    .getByRole("button", { name: /^Play from/ })
    .nth(2)
    .click();
  await page.waitForTimeout(1200);
  await page.getByRole("button", { name: "Pause" }).click();
  // In the third row, however slow the machine is.
  await page.evaluate("document.querySelector('audio').currentTime = 4.2");
  await page.locator("li[aria-current]").waitFor();
}

async function files(page) {
  await choose(page, RECORDINGS.several, RECORDINGS.sample, RECORDINGS.nothing, RECORDINGS.microphone);
  for (const name of [NAMES.several, NAMES.sample, NAMES.microphone]) await done(page, name);
  await seen(page, "Failed");
}

async function removed(page) {
  await choose(page, RECORDINGS.sample, RECORDINGS.microphone);
  for (const name of [NAMES.sample, NAMES.microphone]) await done(page, name);
  const remove = page.getByRole("button", { name: `Remove ${NAMES.sample}` });
  await remove.press("Enter"); // so the focus goes to Undo, and the line stays
}

/** Only for some seconds: then the server gives up. */
async function waitingForModel(page) {
  await page.getByRole("combobox", { name: "Model", disabled: false }).waitFor();
  await fetch(`${READY}/v1/models/rapl/selftest/unload`, { method: "POST" });
  await page.locator("input[type=file]").setInputFiles(RECORDINGS.several);
  await seen(page, "Waiting for the model");
}

async function code(page) {
  await choose(page, RECORDINGS.sample);
  await done(page, NAMES.sample);
  await page.getByRole("radio", { name: "SRT" }).check({ force: true });
  await page.getByText("This request as code").click();
  await page.getByText(/^The server took/).click();
}

async function transcriptInChinese(page) {
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), press(page, /^选择文件/)]);
  await chooser.setFiles(RECORDINGS.several);
  await seen(page, "已完成");
}

async function problems(page) {
  const field = page.getByRole("textbox");
  await field.fill("mlx-community/missing");
  await field.press("Enter");
  await seen(page, "Correct the id");
}

async function download(page) {
  const stop = page.getByRole("button", { name: `Remove ${DIGITS}`, exact: true });
  await page.getByRole("table").waitFor();
  if (await stop.isVisible()) {
    await stop.click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove", exact: true }).click();
  }
  await press(page, `Download ${DIGITS}`);
  await seen(page, /[1-9]\d* % of 1\.2 MB/);
}

async function remove(page) {
  await page.getByRole("table").waitFor();
  const load = page.getByRole("button", { name: `Download ${DIGITS}`, exact: true });
  if (await load.isVisible()) await load.click();
  await press(page, `Remove ${DIGITS}`);
  await page.getByRole("dialog").waitFor();
}

const browser = await launch(KNOWS_ELSEWHERE);
for (const [state, [url, bring, options]] of Object.entries(STATES)) {
  if (!state.includes(word)) continue;
  await load(); // a state before may have unloaded it
  const context = await browser.newContext({ viewport: DESKTOP, locale: "en-GB", deviceScaleFactor: 2, ...options });
  const page = await context.newPage();
  try {
    await page.goto(url);
    await bring(page, context);
    for (const [size, viewport] of Object.entries(SIZES)) await shots(page, `${state}-${size}`, viewport);
  } catch (error) {
    console.error(`${state}: ${error.message}`);
    process.exitCode = 1; // after the pictures of the other states
  }
  await context.close();
}
await browser.close();

async function load() {
  const model = `${READY}/v1/models/rapl/selftest`;
  await fetch(`${model}/load`, { method: "POST" });
  const state = async () => (await (await fetch(model)).json()).state;
  while ((await state()) !== "ready") await new Promise((resolve) => setTimeout(resolve, 200));
}

/** Takes the whole page in both colours. */
async function shots(page, name, viewport) {
  await page.mouse.move(0, 0);
  await page.setViewportSize(viewport);
  const height = await page.evaluate("document.documentElement.scrollHeight");
  await page.setViewportSize({ ...viewport, height }); // what is outside the window is not drawn
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.waitForTimeout(150);
    await page.screenshot({ path: path.join(folder, `${name}-${colorScheme}.png`) });
  }
}
