// What the tests of "Try it" share.

import { readFileSync } from "node:fs";
import path from "node:path";

import { READY, RECORDINGS } from "./page.mjs";

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

/** The server's own answer for a file in a format. */
export async function answers(file, format) {
  const form = new FormData();
  form.set("file", new Blob([readFileSync(file)]), path.basename(file));
  form.set("response_format", format);
  return (await fetch(`${READY}/v1/audio/transcriptions`, { method: "POST", body: form })).text();
}
