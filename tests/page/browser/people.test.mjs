// A recording of two people, told apart by speaker-service with its published weights. Run by tests/real/test_page.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { on, READY, RECORDINGS, withBrowser } from "./page.mjs";
import { card, choose, NAMES } from "./try.mjs";

const SLOW_MS = 300_000; // as for the other tests with published weights: a CPU may be busy

withBrowser();

test("two people are told apart, in the transcript and in the subtitles", () =>
  on(READY, async (page) => {
    await page.getByRole("combobox", { name: "Model", disabled: false }).selectOption(process.env.MODEL);
    await page.getByRole("checkbox", { name: "Tell them apart" }).check();
    await choose(page, RECORDINGS.sample);
    const own = card(page, NAMES.sample);
    await own.getByText("Done", { exact: true }).waitFor({ timeout: SLOW_MS });
    if (process.env.PICTURE) await page.screenshot({ path: process.env.PICTURE, fullPage: true });
    const names = own.getByRole("list", { name: "Transcript" }).getByText(/^Speaker \w$/);
    assert.deepEqual(changes(await names.allTextContents()), ["Speaker A", "Speaker B"]);
    await own.getByRole("radio", { name: "SRT" }).check({ force: true });
    const lines = (await own.getByLabel("The file's content").textContent()).split("\n");
    assert.deepEqual(changes(lines.filter((line) => /^\w: /.test(line)).map((line) => line[0])), ["A", "B"]);
  }));

/** The list without what equals the one before. */
const changes = (list) => list.filter((each, index) => each !== list[index - 1]);
