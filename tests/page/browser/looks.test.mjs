// The page in the dark, on a phone, in Chinese, with a key, and without a mouse.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  assertAccessible,
  FIRST_VISIT,
  isTooWide,
  KEY,
  KEYED,
  on,
  PHONE,
  READY,
  RECORDINGS,
  withBrowser,
} from "./page.mjs";
import { card, NAMES } from "./try.mjs";

const VIEWS = ["try", "fleet"];

withBrowser();

/** Waits until a view has read the server. */
const arrived = (page, view) =>
  (view === "fleet" ? page.getByRole("table") : page.getByRole("combobox", { disabled: false }).first()).waitFor();

for (const view of VIEWS)
  for (const colorScheme of ["light", "dark"])
    test(`the view ${view} has no serious fault in ${colorScheme} colours, also on a phone`, () =>
      on(
        `${READY}/#/${view}`,
        async (page) => {
          await arrived(page, view);
          await assertAccessible(page);
          assert.equal(await isTooWide(page), false);
          await page.setViewportSize({ width: 1100, height: 800 });
          await assertAccessible(page);
          assert.equal(await isTooWide(page), false);
        },
        { colorScheme, viewport: PHONE },
      ));

test("on a first visit a long path widens the page of a phone nowhere", () =>
  on(
    FIRST_VISIT,
    async (page) => {
      await page.getByText(/weights in/).waitFor();
      assert.equal(await isTooWide(page), false);
    },
    { viewport: { width: 320, height: 640 } },
  ));

test("the colours can be chosen, and the choice is kept", () =>
  on(READY, async (page) => {
    const ground = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    const light = await ground();
    await page.getByRole("button", { name: /^Colours: as the system/ }).click();
    await page.getByRole("button", { name: /^Colours: light/ }).click();
    const dark = await ground();
    await page.reload();
    assert.notEqual(dark, light);
    assert.equal(await ground(), dark);
  }));

test("a browser that wants Chinese gets the whole page in Chinese", () =>
  on(
    READY,
    async (page) => {
      for (const view of VIEWS) {
        await page.goto(`${READY}/#/${view}`);
        await arrived(page, view);
        await assertAccessible(page);
      }
      assert.equal(await page.evaluate("document.documentElement.lang"), "zh-CN");
      await page.getByRole("link", { name: "服务状态" }).waitFor();
      await page.getByRole("heading", { name: "模型" }).waitFor();
      await page.getByRole("button", { name: "English" }).click();
      await page.getByRole("heading", { name: "Models" }).waitFor();
      assert.equal(await page.getByText("模型").count(), 0);
    },
    { locale: "zh-CN" },
  ));

test("a server with keys asks for one, says that a wrong one is wrong, and keeps the right one for the tab", () =>
  on(
    `${KEYED}/#/fleet`,
    async (page, context) => {
      const dialog = page.getByRole("dialog", { name: "This server asks for a key" });
      await dialog.getByRole("textbox", { name: "API key" }).fill("wrong");
      await assertAccessible(page);
      await dialog.getByRole("button", { name: "Use this key" }).click();
      await dialog.getByRole("alert").getByText("does not know this key").waitFor();
      for (const impossible of ["ключ", "   "]) {
        await dialog.getByRole("textbox", { name: "API key" }).fill(impossible);
        await page.keyboard.press("Enter");
        await dialog.getByRole("alert").getByText("This is not a key").waitFor();
      }
      await dialog.getByRole("textbox", { name: "API key" }).fill(KEY);
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Models" }).waitFor();
      await page.reload();
      await page.getByRole("heading", { name: "Models" }).waitFor();
      await page.getByRole("button", { name: "Forget the key" }).click();
      await page.getByRole("button", { name: "Enter the key" }).first().waitFor();
      const other = await context.newPage();
      await other.goto(`${KEYED}/#/fleet`);
      await other.getByRole("dialog", { name: "This server asks for a key" }).waitFor();
    },
    { expected: /401/ },
  ));

test("a dialog for the key that is closed leaves a way back to it", () =>
  on(
    `${KEYED}/#/fleet`,
    async (page) => {
      await page.getByRole("dialog").waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("alert").getByRole("button", { name: "Enter the key" }).click();
      await page.getByRole("dialog").getByRole("textbox").fill(KEY);
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Models" }).waitFor();
    },
    { expected: /401/ },
  ));

test("who has closed the dialog for the key is asked again on Speak", () =>
  on(
    KEYED,
    async (page) => {
      await page.getByRole("dialog").waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: /^Speak/ }).click();
      await page.getByRole("dialog").getByRole("textbox").fill(KEY);
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Listening" }).waitFor();
    },
    { expected: /401/ },
  ));

test("without a key the box of the models says so; with it, every note about the key goes", () =>
  on(
    KEYED,
    async (page) => {
      await page.getByRole("dialog").waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("combobox", { name: "Model" }).getByText("needs a key").waitFor({ state: "attached" });
      await page.locator("input[type=file]").setInputFiles(RECORDINGS.sample);
      await page.getByRole("dialog").waitFor();
      await page.keyboard.press("Escape");
      await card(page, NAMES.sample).getByText("The server needs a key").waitFor();
      await page.getByRole("button", { name: "Enter the key" }).first().click();
      await page.getByRole("dialog").getByRole("textbox").fill(KEY);
      await page.keyboard.press("Enter");
      await page.getByRole("combobox", { name: "Model", disabled: false }).waitFor();
      assert.equal(await page.getByText("The server needs a key").count(), 0);
    },
    { expected: /401/ },
  ));

test("with the keyboard alone a person transcribes a file, takes its subtitles and reaches the fleet", () =>
  on(READY, async (page) => {
    await page.getByRole("combobox", { disabled: false }).first().waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "Skip to the content");
    await tabTo(page, /^Choose files/);
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.keyboard.press("Enter")]);
    await chooser.setFiles(RECORDINGS.sample);
    await card(page, NAMES.sample).getByText("Done", { exact: true }).waitFor();
    await tabTo(page, /^Player/);
    for (const _ of ["Text", "SRT"]) await page.keyboard.press("ArrowRight");
    assert.equal(await page.getByRole("radio", { name: "SRT" }).isChecked(), true);
    await tabTo(page, /^Download/);
    const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
    assert.equal(download.suggestedFilename(), "sample.srt");
    await tabTo(page, /^The fleet/, "Shift+Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Models" }).waitFor();
    await tabTo(page, /^Unload/);
    assert.equal(await page.evaluate("document.activeElement.matches(':focus-visible')"), true);
  }));

/** The text of what has the focus; of a field that of its label. */
const focused = (page) =>
  page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()");

async function tabTo(page, text, key = "Tab") {
  for (let presses = 0; presses < 60; presses++) {
    if (text.test(await focused(page))) return;
    await page.keyboard.press(key);
  }
  assert.fail(`no press of ${key} reached ${text}`);
}

test("it is usable soon, and takes nothing from another server", (context) =>
  on(READY, async (page) => {
    const hosts = new Set();
    page.on("request", (request) => hosts.add(new URL(request.url()).host));
    const began = performance.now();
    await page.reload();
    await page.getByRole("link", { name: "The fleet" }).click();
    await page.getByRole("heading", { name: "Models" }).waitFor();
    context.diagnostic(`usable after ${Math.round(performance.now() - began)} ms`);
    assert.deepEqual([...hosts], [new URL(READY).host]);
  }));
