// "Try it" with files: one, many, dropped, broken, cancelled; the player, the formats and the code of the request.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { assertAccessible, isTooWide, on, PHONE, READY, RECORDINGS, until, withBrowser } from "./page.mjs";
import { answers, asksBeforeLeaving, card, choose, NAMES, WORDS } from "./try.mjs";

const SLOW_BYTES_PER_S = 100_000;

withBrowser();

test("a file becomes a transcript, with the times of its segments", () =>
  on(READY, async (page) => {
    await choose(page, RECORDINGS.sample);
    const transcript = card(page, NAMES.sample).getByRole("list", { name: "Transcript" });
    await transcript.getByText(WORDS).waitFor();
    await transcript.getByRole("button", { name: /^Play from 0:0\d$/ }).waitFor();
    await assertAccessible(page);
  }));

for (const reducedMotion of ["reduce", "no-preference"])
  test(`the text of a chosen file is in view when it is done, with the motion ${reducedMotion}`, () =>
    on(
      READY,
      async (page) => {
        await choose(page, RECORDINGS.several);
        const own = card(page, NAMES.several);
        await own.getByText("Done", { exact: true }).waitFor();
        await until(async () => (await own.boundingBox()).y < 100, "the top of the card is near that of the window");
      },
      { reducedMotion },
    ));

test("the browser asks before a transcript is lost, until it is copied or saved", () =>
  on(READY, async (page) => {
    await choose(page, RECORDINGS.sample);
    const own = card(page, NAMES.sample);
    await own.getByText("Done", { exact: true }).waitFor();
    assert.equal(await asksBeforeLeaving(page), true);
    await own.getByRole("button", { name: "Download .txt" }).click();
    assert.equal(await asksBeforeLeaving(page), false);
  }));

test("a long name without spaces widens the page nowhere", () =>
  on(READY, async (page) => {
    const name = `${"n".repeat(240)}.wav`;
    await page.getByRole("combobox", { disabled: false }).first().waitFor();
    const picker = page.locator("input[type=file]");
    await picker.setInputFiles({ name, mimeType: "audio/wav", buffer: readFileSync(RECORDINGS.sample) });
    const own = card(page, name);
    await own.getByText("Done", { exact: true }).waitFor();
    await own.getByText("This request as code").click();
    for (const viewport of [{ width: 1280, height: 800 }, PHONE]) {
      await page.setViewportSize(viewport);
      assert.equal(await isTooWide(page), false);
    }
  }));

test("a silent recording says so also while its card is collapsed", () =>
  on(READY, async (page) => {
    const silence = readFileSync(RECORDINGS.sample).fill(0, 44);
    await page.getByRole("combobox", { disabled: false }).first().waitFor();
    const file = { name: "silence.wav", mimeType: "audio/wav", buffer: silence };
    await page.locator("input[type=file]").setInputFiles(file);
    await page.getByRole("button", { name: "Collapse" }).click();
    await page.getByText("There is no speech in this recording.").waitFor();
  }));

test("many files are transcribed, each in a card of its own, and can be removed", () =>
  on(READY, async (page) => {
    await choose(page, RECORDINGS.sample, RECORDINGS.several, RECORDINGS.microphone);
    for (const name of [NAMES.sample, NAMES.several, NAMES.microphone])
      await card(page, name).getByText("Done", { exact: true }).waitFor();
    await card(page, NAMES.sample).getByRole("button", { name: "Open" }).click();
    await card(page, NAMES.sample).getByRole("list", { name: "Transcript" }).getByText(WORDS).waitFor();
    await assertAccessible(page);
    await page.getByRole("button", { name: `Remove ${NAMES.sample}` }).click();
    await card(page, NAMES.sample).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Remove the finished ones" }).click();
    assert.equal(await page.getByRole("heading", { name: "Transcripts" }).count(), 0);
  }));

test("what was removed comes back with Undo, by the keyboard too, and the browser asks again before it is lost", () =>
  on(READY, async (page) => {
    await choose(page, RECORDINGS.sample);
    const own = card(page, NAMES.sample);
    await own.getByText("Done", { exact: true }).waitFor();
    await own.getByRole("button", { name: `Remove ${NAMES.sample}` }).press("Enter");
    await own.waitFor({ state: "hidden" });
    await page.getByRole("status").getByText(`Removed: ${NAMES.sample}`).waitFor();
    await assertAccessible(page);
    assert.equal(await asksBeforeLeaving(page), false);
    await page.keyboard.press("Enter");
    await own.getByRole("list", { name: "Transcript" }).getByText(WORDS).waitFor();
    assert.equal(await own.evaluate((element) => element === document.activeElement), true);
    assert.equal(await asksBeforeLeaving(page), true);
  }));

test("every finished one that was removed comes back with Undo", () =>
  on(READY, async (page) => {
    await choose(page, RECORDINGS.sample, RECORDINGS.microphone);
    for (const name of [NAMES.sample, NAMES.microphone])
      await card(page, name).getByText("Done", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Remove the finished ones" }).click();
    await page.getByText("Removed: 2").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    for (const name of [NAMES.sample, NAMES.microphone]) await card(page, name).getByText("Done").waitFor();
  }));

test("work that was stopped by its removal begins again with Undo", () =>
  on(READY, async (page) => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await page.route("**/v1/audio/transcriptions", async (route) => {
      await held;
      await route.continue().catch(() => {}); // the first one was cancelled
    });
    await choose(page, RECORDINGS.sample);
    await page.getByRole("button", { name: `Remove ${NAMES.sample}` }).click();
    release();
    await page.getByRole("button", { name: "Undo" }).click();
    await card(page, NAMES.sample).getByText("Done", { exact: true }).waitFor();
  }));

test("a file that is dropped anywhere on the page, also on The fleet, is transcribed", () =>
  on(`${READY}/#/fleet`, async (page) => {
    await page.getByRole("table").waitFor();
    const content = readFileSync(RECORDINGS.sample).toString("base64");
    await page.evaluate(
      async ([name, base64]) => {
        const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], name, { type: "audio/wav" }));
        for (const type of ["dragenter", "dragover", "drop"])
          document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
      },
      [NAMES.sample, content],
    );
    await card(page, NAMES.sample).getByText(WORDS).first().waitFor();
  }));

test("the player plays from a segment that is clicked, and marks the one that is spoken", () =>
  on(READY, async (page) => {
    await choose(page, RECORDINGS.several);
    const rows = card(page, NAMES.several).getByRole("list", { name: "Transcript" }).getByRole("listitem");
    await until(async () => (await rows.count()) > 5, "segments");
    await rows.nth(3).getByRole("button").click();
    const slider = card(page, NAMES.several).getByRole("slider", { name: "Position in the recording" });
    await until(async () => Number(await slider.getAttribute("aria-valuenow")) > 3, "the position moves");
    const spoken = async () =>
      (await Promise.all((await rows.all()).map((row) => row.getAttribute("aria-current")))).indexOf("true");
    await until(async () => (await spoken()) >= 3, "the segment that is spoken is marked");
    await card(page, NAMES.several).getByRole("button", { name: "Pause" }).click();
    await slider.press("Home");
    await until(async () => (await slider.getAttribute("aria-valuenow")) === "0", "Home goes to the start");
  }));

test("each format is the server's own, and is copied and saved", () =>
  on(READY, async (page, context) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await choose(page, RECORDINGS.sample);
    const own = card(page, NAMES.sample);
    await own.getByText("Done", { exact: true }).waitFor();
    for (const [name, extension, format] of [
      ["Text", "txt", "text"],
      ["SRT", "srt", "srt"],
      ["VTT", "vtt", "vtt"],
    ]) {
      await own.getByRole("radio", { name }).check({ force: true });
      const expected = await answers(RECORDINGS.sample, format);
      assert.equal(await own.getByLabel("The file's content").textContent(), expected);
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        own.getByRole("button", { name: `Download .${extension}`, exact: true }).click(),
      ]);
      assert.equal(download.suggestedFilename(), `sample.${extension}`);
      assert.equal(readFileSync(await download.path(), "utf8"), expected);
      await own.getByRole("button", { name: "Copy" }).first().click();
      assert.equal(await page.evaluate("navigator.clipboard.readText()"), expected);
    }
    await own.getByRole("radio", { name: "JSON" }).check({ force: true });
    const json = JSON.parse(await own.getByLabel("The file's content").textContent());
    assert.equal(json.segments.map(({ text }) => text).join(" "), WORDS);
  }));

test("the code of the request names the model and the format that were chosen", () =>
  on(READY, async (page) => {
    await choose(page, RECORDINGS.sample);
    const own = card(page, NAMES.sample);
    await own.getByText("Done", { exact: true }).waitFor();
    await own.getByRole("radio", { name: "SRT" }).check({ force: true });
    await own.getByText("This request as code").click();
    const curl = await own.getByLabel("curl", { exact: true }).textContent();
    assert.match(curl, new RegExp(`^curl ${READY}/v1/audio/transcriptions`));
    for (const part of ["'file=@sample.wav'", "'model=rapl/selftest'", "'response_format=srt'"])
      assert.ok(curl.includes(`-F ${part}`), curl);
    const python = await own.getByLabel(/^Python/).textContent();
    assert.match(python, /model="rapl\/selftest",\n.*response_format="srt"/);
    await own.getByText(/^The server took/).click();
    await own.getByText("The model transcribes").waitFor();
    await assertAccessible(page);
  }));

test("a file that is no recording is a failure that says so", () =>
  on(
    READY,
    async (page) => {
      await choose(page, RECORDINGS.nothing);
      const own = card(page, NAMES.nothing);
      await own.getByText("Failed", { exact: true }).waitFor();
      await own.getByText("This file has no sound that can be read").waitFor();
      assert.equal(await own.getByRole("button", { name: "Try again" }).count(), 0);
      await assertAccessible(page);
    },
    { expected: /400/ },
  ));

test("another try uses the model that is chosen then, and a failure names the one it used", () =>
  on(
    READY,
    async (page) => {
      const sent = [];
      await page.route("**/v1/audio/transcriptions", (route) => {
        sent.push(route.request().postDataBuffer().toString("latin1"));
        return route.fulfill({ status: 503, json: { error: { code: "overloaded", message: "Later." } } });
      });
      const model = page.getByRole("combobox", { name: "Model", disabled: false });
      await model.waitFor();
      await choose(page, RECORDINGS.sample);
      const own = card(page, NAMES.sample);
      await own.getByText("rapl/selftest").waitFor();
      await model.selectOption("iic/SenseVoiceSmall");
      await own.getByRole("button", { name: "Try again" }).click();
      await own.getByText(/kB · iic\/SenseVoiceSmall/).waitFor();
      assert.deepEqual(
        sent.map((form) => /name="model"\s+(\S+)/.exec(form)[1]),
        ["rapl/selftest", "iic/SenseVoiceSmall"],
      );
    },
    { expected: /503/ },
  ));

test("an upload shows how much was sent, can be cancelled, and sent again", () =>
  on(READY, async (page, context) => {
    const network = await context.newCDPSession(page);
    const limited = (bytesPerS) =>
      network.send("Network.emulateNetworkConditions", {
        offline: false,
        latency: 0,
        downloadThroughput: -1,
        uploadThroughput: bytesPerS,
      });
    await page.getByRole("button", { name: /^Choose files/ }).waitFor();
    await limited(SLOW_BYTES_PER_S);
    await choose(page, RECORDINGS.several);
    const own = card(page, NAMES.several);
    await own.getByText(/^[1-9]\d* % sent$/).waitFor();
    await own.getByRole("button", { name: "Cancel" }).click();
    await own.getByText("Cancelled", { exact: true }).waitFor();
    await limited(-1);
    await own.getByRole("button", { name: "Try again" }).click();
    await own.getByText("Done", { exact: true }).waitFor();
  }));
