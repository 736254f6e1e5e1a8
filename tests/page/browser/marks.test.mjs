// What a transcript can say besides its words. The models of these tests report none of it, so the server's answer is
// written here.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertAccessible, on, PHONE, READY, RECORDINGS, withBrowser } from "./page.mjs";
import { card, choose, NAMES } from "./try.mjs";

const SEGMENT = { id: 0, start: 0, end: 1, text: "Hello.", language: "en", emotion: "neutral", events: [] };
const ANSWER = {
  text: "Hello. Good morning. Yes.", duration: 5, language: "english", coverage: 0.9, damaged_s: 0.5,
  problems: [
    { start: 1, end: 2, reason: "the engine is not sure of its text" },
    { start: 3, end: 4, reason: "speech without text" },
    { start: 4.5, end: 5, reason: "the file breaks off before its end" },
  ],
  segments: [
    { ...SEGMENT, speaker: "A", emotion: "happy", events: ["laughter"] },
    { ...SEGMENT, id: 1, start: 1, end: 2, text: "Good morning.", speaker: "B" },
    { ...SEGMENT, id: 2, start: 2, end: 3, text: "Yes.", speaker: "A" },
  ],
};

withBrowser();

async function answered(page) {
  await page.route("**/v1/audio/transcriptions", (route) => route.fulfill({ json: ANSWER }));
  await choose(page, RECORDINGS.sample);
  const transcript = card(page, NAMES.sample).getByRole("list", { name: "Transcript" });
  await transcript.waitFor();
  return transcript;
}

const colour = (locator) => locator.evaluate((element) => getComputedStyle(element).color);

test("each speaker has a name and a colour", () =>
  on(READY, async (page) => {
    const transcript = await answered(page);
    const [first, second, third] = await transcript.getByText(/^Speaker [AB]$/).all();
    assert.deepEqual([await first.textContent(), await second.textContent()], ["Speaker A", "Speaker B"]);
    assert.notEqual(await colour(first), await colour(second));
    assert.equal(await colour(first), await colour(third));
    await assertAccessible(page);
  }));

test("emotion, events, doubtful, missing and damaged places are marked", () =>
  on(READY, async (page) => {
    const transcript = await answered(page);
    for (const mark of ["happy", "laughter", "In doubt: the model is not sure of its text"])
      await transcript.getByText(mark).waitFor();
    await transcript.getByText("Text may be missing until 0:04: speech without text").waitFor();
    await transcript.getByText("Damaged until 0:05: the file breaks off before its end").waitFor();
    await page.getByText("90 % of the speech that was detected has text.").waitFor();
  }, { colorScheme: "dark", viewport: PHONE }));
