// What a transcript can say besides its words: speakers, emotion, events, and places that are in doubt or damaged.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertAccessible, FIRST_VISIT, on, PHONE, READY, RECORDINGS, withBrowser } from "./page.mjs";
import { card, choose, markedTranscript, NAMES } from "./try.mjs";

withBrowser();

const colour = (locator) => locator.evaluate((element) => getComputedStyle(element).color);

test("each speaker has a name and a colour", () =>
  on(READY, async (page) => {
    const transcript = await markedTranscript(page);
    const [first, second, third] = await transcript.getByText(/^Speaker [AB]$/).all();
    assert.deepEqual([await first.textContent(), await second.textContent()], ["Speaker A", "Speaker B"]);
    assert.notEqual(await colour(first), await colour(second));
    assert.equal(await colour(first), await colour(third));
    await assertAccessible(page);
  }));

test("speakers that are asked for come from speaker-service, and the subtitles name them", () =>
  on(READY, async (page) => {
    await page.getByRole("checkbox", { name: "Tell them apart" }).check();
    await choose(page, RECORDINGS.several);
    const own = card(page, NAMES.several);
    await own.getByRole("list", { name: "Transcript" }).getByText("Speaker A").first().waitFor();
    await own.getByRole("radio", { name: "SRT" }).check({ force: true });
    await own.getByText(/^A: 1 2 3/m).waitFor();
    await own.getByText("This request as code").click();
    const python = await own.getByLabel(/^Python/).textContent();
    assert.match(python, /response_format="srt",\n\s+extra_body=\{"speaker_labels": "true"\}/);
    await assertAccessible(page);
  }));

test("a server without speaker-service does not offer to tell speakers apart", () =>
  on(FIRST_VISIT, async (page) => {
    await page.getByRole("combobox", { name: "Model", disabled: false }).waitFor();
    assert.equal(await page.getByRole("checkbox", { name: "Tell them apart" }).isVisible(), false);
  }));

test("emotion, events, doubtful, missing and damaged places are marked", () =>
  on(
    READY,
    async (page) => {
      const transcript = await markedTranscript(page);
      for (const mark of ["happy", "laughter", "In doubt: the model is not sure of its text"])
        await transcript.getByText(mark).waitFor();
      await transcript.getByText("Text may be missing until 0:04: speech without text").waitFor();
      await transcript.getByText("Damaged until 0:05: the file breaks off before its end").waitFor();
      await page.getByText("Text was found for 90 % of the speech.").waitFor();
    },
    { colorScheme: "dark", viewport: PHONE },
  ));
