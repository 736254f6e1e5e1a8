// "Try it" with the microphone. Chromium's fake device plays a real recording of "seven two nine" again and again.

import { test } from "node:test";

import { assertAccessible, ELSEWHERE, KNOWS_ELSEWHERE, on, READY, withBrowser } from "./page.mjs";

const SAID = /7 2 9/;

withBrowser(KNOWS_ELSEWHERE);

test("words appear while a person speaks, and stay when the person stops", () =>
  on(READY, async (page) => {
    await page.getByRole("button", { name: /^Speak/ }).click();
    await page.getByRole("heading", { name: "Listening" }).waitFor();
    const words = page.getByLabel("What was said");
    await words.getByText(SAID).first().waitFor();
    await assertAccessible(page);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("heading", { name: "What you said" }).waitFor();
    await words.getByText(SAID).first().waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: /^Speak/ }).waitFor();
  }));

test("a recording of the browser is transcribed as a file", () =>
  on(READY, async (page) => {
    await page.getByRole("button", { name: /^Record/ }).click();
    await page.getByRole("timer").getByText("0:04").waitFor();
    await assertAccessible(page);
    await page.getByRole("button", { name: "Stop and transcribe" }).click();
    await page.getByRole("list", { name: "Transcript" }).getByText(/[729]/).first().waitFor();
  }));

test("a recording that is thrown away is not sent", () =>
  on(READY, async (page) => {
    await page.getByRole("button", { name: /^Record/ }).click();
    await page.getByRole("timer").getByText("0:01").waitFor();
    await page.getByRole("button", { name: "Throw away" }).click();
    await page.getByRole("button", { name: /^Record/ }).waitFor();
    await page.getByRole("heading", { name: "Transcripts" }).waitFor({ state: "hidden" });
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
