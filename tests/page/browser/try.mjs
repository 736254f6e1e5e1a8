// What the tests of "Try it" share.

import { readFileSync } from "node:fs";
import path from "node:path";

import { READY, RECORDINGS } from "./page.mjs";

const SEGMENT = { id: 0, start: 0, end: 1, text: "Hello.", language: "en", emotion: "neutral", events: [] };
// The models of the tests report nothing of this, so the server's answer is written here.
const ANSWER = {
  text: "Hello. Good morning. Yes.",
  subtitles: { srt: "", vtt: "WEBVTT\n\n" },
  duration: 5,
  language: "english",
  coverage: 0.9,
  damaged_s: 0.5,
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

/** The sample's transcript by the self-test model. */
export const WORDS = "3 1 4 1 5 9.";
/** The names of the files, as the page shows them. */
export const NAMES = Object.fromEntries(Object.entries(RECORDINGS).map(([name, file]) => [name, path.basename(file)]));

/** Chooses files as a person does. */
export async function choose(page, ...files) {
  const [chooser] = await Promise.all([
    page.waitForEvent("filechooser"),
    page.getByRole("button", { name: /^Choose files/ }).click(),
  ]);
  await chooser.setFiles(files);
}

/** The card of a file. */
export const card = (page, name) =>
  page.getByRole("listitem").filter({ has: page.getByRole("heading", { name, exact: true }) });

/** Whether the browser would ask a person who leaves the page now. */
export const asksBeforeLeaving = (page) =>
  page.evaluate("!dispatchEvent(new Event('beforeunload', { cancelable: true }))");

/** The server's own answer for a file in a format. */
export async function answers(file, format) {
  const form = new FormData();
  form.set("file", new Blob([readFileSync(file)]), path.basename(file));
  form.set("response_format", format);
  return (await fetch(`${READY}/v1/audio/transcriptions`, { method: "POST", body: form })).text();
}

/** Gives the sample a transcript with speakers, emotion, events and problems; returns its list. */
export async function markedTranscript(page) {
  await page.route("**/v1/audio/transcriptions", (route) => route.fulfill({ json: ANSWER }));
  await choose(page, RECORDINGS.sample);
  const transcript = card(page, NAMES.sample).getByRole("list", { name: "Transcript" });
  await transcript.waitFor();
  return transcript;
}
