// "Try it" with the microphone. Chromium's fake device plays a real recording of "seven two nine" again and again.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { assertAccessible, ELSEWHERE, KNOWS_ELSEWHERE, on, READY, withBrowser } from "./page.mjs";
import { asksBeforeLeaving, card } from "./try.mjs";

const SAID = /7 2 9/;

withBrowser(KNOWS_ELSEWHERE);

/** Starts to speak, and waits for the first words. */
async function speak(page) {
  await page.getByRole("button", { name: /^Speak/ }).click();
  await page.getByLabel("What was said").getByText(SAID).first().waitFor();
}

test("words appear while a person speaks, and are a transcript when the person stops", () =>
  on(READY, async (page) => {
    await page.getByRole("button", { name: /^Speak/ }).click();
    await page.getByRole("heading", { name: "Listening" }).waitFor();
    const words = page.getByLabel("What was said");
    await words.getByText(SAID).first().waitFor();
    await assertAccessible(page);
    await page.getByRole("button", { name: "Stop" }).click();
    const dictation = card(page, "Dictation");
    await dictation.getByText(SAID).waitFor();
    await assertAccessible(page);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      dictation.getByRole("button", { name: "Download .txt" }).click(),
    ]);
    assert.match(readFileSync(await download.path(), "utf8"), SAID);
    await speak(page);
    await dictation.getByText(SAID).waitFor(); // to speak again takes nothing away
  }));

test("what was said is kept when the server ends the session, and the rest is said to be missing", () =>
  on(READY, async (page) => {
    let session;
    await page.routeWebSocket(/realtime/, (socket) => {
      session = socket;
      socket.connectToServer();
    });
    await speak(page);
    await session.close();
    const dictation = card(page, "Dictation");
    await dictation.getByText(SAID).waitFor();
    await dictation.getByText("The server ended the session.").waitFor();
    await dictation.getByText(/The rest is missing/).waitFor();
  }));

test("a session with an error stops and says it once, and not that nothing was understood", () =>
  on(READY, async (page) => {
    await page.routeWebSocket(/realtime/, (socket) => {
      const error = { code: "overloaded", message: "Too many sessions." };
      for (const _ of ["first", "second"]) socket.send(JSON.stringify({ type: "error", error }));
      socket.onMessage(() => socket.close());
    });
    await page.getByRole("button", { name: /^Speak/ }).click();
    await page.getByRole("button", { name: "Speak again" }).waitFor();
    assert.equal(await page.getByText("Too many sessions.").count(), 1);
    assert.equal(await page.getByText("Nothing was understood.").isVisible(), false);
  }));

test("the browser asks before dictated text is lost, until it is copied or saved", () =>
  on(READY, async (page) => {
    await speak(page);
    assert.equal(await asksBeforeLeaving(page), true);
    await page.getByRole("button", { name: "Stop" }).click();
    await card(page, "Dictation").waitFor();
    assert.equal(await asksBeforeLeaving(page), true);
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByText("Copied").first().waitFor();
    assert.equal(await asksBeforeLeaving(page), false);
  }));

test("while the microphone is open The fleet says so and can stop it", () =>
  on(READY, async (page) => {
    await speak(page);
    await page.getByRole("link", { name: "The fleet" }).click();
    const head = page.getByRole("banner");
    await head.getByText("Listening").waitFor();
    await head.getByRole("button", { name: "Stop" }).click();
    await head.getByText("Listening").waitFor({ state: "hidden" });
    await page.getByRole("link", { name: "Try it" }).click();
    await card(page, "Dictation").getByText(SAID).waitFor();
  }));

test("a recording of the browser is transcribed as a file", () =>
  on(READY, async (page) => {
    await page.getByRole("button", { name: /^Record/ }).click();
    await page.getByRole("timer").getByText("0:04").waitFor();
    await assertAccessible(page);
    await page.getByRole("button", { name: "Stop and transcribe" }).click();
    await page.getByRole("list", { name: "Transcript" }).getByText(/[729]/).first().waitFor();
  }));

test("the browser asks before a recording is lost whose transcription failed", () =>
  on(
    READY,
    async (page) => {
      const failure = { status: 503, json: { error: { code: "overloaded", message: "Later." } } };
      await page.route("**/v1/audio/transcriptions", (route) => route.fulfill(failure));
      await page.getByRole("button", { name: /^Record/ }).click();
      await page.getByRole("timer").getByText("0:01").waitFor();
      await page.getByRole("button", { name: "Stop and transcribe" }).click();
      await page.getByText("Failed", { exact: true }).waitFor();
      assert.equal(await asksBeforeLeaving(page), true);
    },
    { expected: /503/ },
  ));

test("a recording that is thrown away is not sent, unless the user takes that back with Undo", () =>
  on(READY, async (page) => {
    await page.getByRole("button", { name: /^Record/ }).click();
    await page.getByRole("timer").getByText("0:01").waitFor();
    await page.getByRole("button", { name: "Throw away" }).click();
    await page.getByRole("button", { name: /^Record/ }).waitFor();
    await page.getByRole("heading", { name: "Transcripts" }).waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "Undo" }).click(); // it was a mistake
    await page.getByRole("heading", { name: "Transcripts" }).waitFor();
  }));

test("what was dictated comes back with Undo", () =>
  on(READY, async (page) => {
    await speak(page);
    await page.getByRole("button", { name: "Stop" }).click();
    const dictation = card(page, "Dictation");
    await dictation.getByRole("button", { name: /^Remove Dictation/ }).click();
    await dictation.waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "Undo" }).click();
    await dictation.getByText(SAID).waitFor();
    assert.equal(await asksBeforeLeaving(page), true);
  }));

test("a page without HTTPS from another machine says why there is no microphone, and how to mend it", () =>
  on(
    ELSEWHERE,
    async (page) => {
      await page.getByRole("button", { name: /^Speak Needs HTTPS/ }).click();
      await page.getByText("The browser gives no microphone to this page").waitFor();
      await page.getByText("./rapl cert").first().waitFor();
      await assertAccessible(page);
    },
    { expected: /Cross-Origin-Opener-Policy/ },
  ));
