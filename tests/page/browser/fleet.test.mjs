// "The fleet" of a server whose MLX engine downloads a model from a slow hub.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertAccessible, FIRST_VISIT, KEY, KEYED, on, READY, RECORDINGS, until, withBrowser } from "./page.mjs";
import { NAMES } from "./try.mjs";

const DIGITS = "mlx-community/digits-Qwen3-ASR-8bit";
const MISSING = "mlx-community/missing";
const SELFTEST = "rapl/selftest";

withBrowser();

const fleet = (url) => `${url}/#/fleet`;
const card = (page, model) =>
  page.getByRole("listitem").filter({ has: page.getByRole("heading", { name: model, exact: true }) });
const button = (page, name, model) => page.getByRole("button", { name: `${name} ${model}`, exact: true });

test("a model is downloaded with its progress, unloaded, loaded and removed", () =>
  on(fleet(READY), async (page) => {
    const model = card(page, DIGITS);
    await button(page, "Download", DIGITS).click();
    const bar = page.getByRole("progressbar", { name: `Download of ${DIGITS}` });
    await bar.waitFor();
    await model.getByText(/\d+ % of 1\.2 MB/).waitFor();
    await button(page, "Stop the download", DIGITS).waitFor();
    await assertAccessible(page);
    await model.getByText("ready", { exact: true }).waitFor();
    await model.getByText(/1\.2 MB on the disk · .* in memory/).waitFor();

    await button(page, "Unload", DIGITS).click();
    await model.getByText("not in memory", { exact: true }).waitFor();
    await button(page, "Load", DIGITS).click();
    await model.getByText("ready", { exact: true }).waitFor();

    await button(page, "Remove", DIGITS).click();
    const question = page.getByRole("dialog", { name: `Remove ${DIGITS}?` });
    await question.getByText("deletes 1.2 MB").waitFor();
    await assertAccessible(page);
    await question.getByRole("button", { name: "Keep it" }).click();
    assert.equal(await model.getByText("ready", { exact: true }).count(), 1);
    await button(page, "Remove", DIGITS).click();
    await question.getByRole("button", { name: "Remove", exact: true }).click();
    await model.getByText("not on this machine", { exact: true }).waitFor();
  }));

test("a model that fails is shown with doctor's reason and remedy", () =>
  on(fleet(READY), async (page) => {
    const field = page.getByRole("textbox", { name: "Another model" });
    await field.fill(MISSING);
    await field.press("Enter");
    const region = page.getByRole("region", { name: "What is wrong" });
    const wrong = region.getByRole("listitem").filter({ hasText: MISSING });
    await wrong.getByText("Correct the id in RAPL_MLX_MODELS").waitFor();
    assert.match(await wrong.innerText(), /Warning/);
    await page.getByText("The default model can be used, but something else does not work").waitFor();
    await assertAccessible(page);
  }));

test("a name that the server does not allow is explained beside its field", () =>
  on(
    fleet(READY),
    async (page) => {
      const field = page.getByRole("textbox", { name: "Another model" });
      await field.fill("mlx-community/unlisted");
      await field.press("Enter");
      await page.getByRole("alert").filter({ hasText: "add it to RAPL_MLX_MODELS" }).waitFor();
      assert.equal(await field.evaluate((element) => element === document.activeElement), true);
    },
    { expected: /404/ },
  ));

test("on a first visit it says why the default model cannot be used, and the command that mends it", () =>
  on(fleet(FIRST_VISIT), async (page) => {
    await page.getByText("The default model cannot be used").waitFor();
    const wrong = page.getByRole("region", { name: "What is wrong" });
    await wrong.getByText("./rapl pull iic/SenseVoiceSmall").waitFor();
    assert.equal(await button(page, "Download", "iic/SenseVoiceSmall").count(), 0);
    await card(page, SELFTEST).getByText("ready", { exact: true }).waitFor();
  }));

test("what a server without weights cannot do is not offered, and its banner stays folded for the tab", () =>
  on(fleet(FIRST_VISIT), async (page) => {
    await card(page, "iic/SenseVoiceSmall").waitFor();
    for (const name of ["Load", "Download", "Remove"])
      assert.equal(await button(page, name, "iic/SenseVoiceSmall").count(), 0);
    await page.getByRole("link", { name: "Try it" }).click();
    const advice = page.getByText("understands spoken digits");
    await advice.waitFor();
    await page.getByText(/^iic\/SenseVoiceSmall: /).click();
    await advice.waitFor({ state: "hidden" });
    await page.reload();
    await page.getByText(/^iic\/SenseVoiceSmall: /).waitFor();
    assert.equal(await advice.isVisible(), false);
  }));

test("each service is shown with its state and its version", () =>
  on(fleet(READY), async (page) => {
    const table = page.getByRole("table", { name: "Services" });
    for (const service of ["gateway", "preprocess-service", "sensevoice-service", "mlx-service"]) {
      const row = table.getByRole("row").filter({ has: page.getByRole("rowheader", { name: service }) });
      await row.getByText("running", { exact: true }).waitFor();
      assert.match(await row.innerText(), /\b\d+\.\d+\.\d+\b/);
    }
  }));

test("an engine that was never there and is not needed is no problem", () =>
  on(
    fleet(KEYED),
    async (page) => {
      await page.getByRole("dialog").getByRole("textbox").fill(KEY);
      await page.keyboard.press("Enter");
      await page.getByText("Nothing: the default model can be used").waitFor();
      const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "mlx-service" }) });
      await row.getByText("not running, not needed").waitFor();
      await row.getByText("./rapl mlx").waitFor();
      assert.equal(await page.getByRole("textbox", { name: "Another model" }).count(), 0);
      assert.equal(await page.getByRole("heading", { name: /^mlx-community/ }).count(), 0);
    },
    { expected: /401/ },
  ));

test("what does not change keeps its focus and is not written again", () =>
  on(fleet(READY), async (page) => {
    const unload = button(page, "Unload", SELFTEST);
    await unload.focus();
    await page.evaluate(() => {
      window.writes = 0;
      const section = document.querySelector("#view-fleet [aria-labelledby='fleet-models']");
      new MutationObserver((changes) => (window.writes += changes.length)).observe(section, {
        subtree: true,
        childList: true,
        characterData: true,
        attributes: true,
      });
    });
    let reads = 0;
    page.on("response", (response) => (reads += response.url().endsWith("/v1/models")));
    await until(() => reads >= 3, "three more reads of the models");
    assert.equal(await page.evaluate("writes"), 0);
    assert.equal(await unload.evaluate((element) => element === document.activeElement), true);
  }));

test("while the server does not answer it says so, and goes on when it answers again", () =>
  on(
    fleet(READY),
    async (page) => {
      await card(page, SELFTEST).waitFor();
      await page.context().setOffline(true);
      await page.getByRole("alert").filter({ hasText: "RAPL does not answer" }).waitFor();
      await page.context().setOffline(false);
      await page.getByRole("alert").filter({ hasText: "RAPL does not answer" }).waitFor({ state: "hidden" });
    },
    { expected: /ERR_INTERNET_DISCONNECTED/ },
  ));

test("a model that leaves the memory stays chosen, says why it cannot be used, and is loaded right there", () =>
  on(READY, async (page) => {
    const model = page.getByRole("combobox", { name: "Model", disabled: false });
    await model.waitFor();
    assert.equal(await model.inputValue(), SELFTEST);
    await page.getByRole("link", { name: "The fleet" }).click();
    await button(page, "Unload", SELFTEST).click();
    await card(page, SELFTEST).getByText("not in memory", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Try it" }).click();
    await page.getByRole("button", { name: /^Choose files.*not in memory/, disabled: true }).waitFor();
    assert.equal(await model.inputValue(), SELFTEST);
    assert.equal(await page.getByText(/POST/).count(), 0);
    await assertAccessible(page);
    await button(page, "Load", SELFTEST).last().click();
    await page.getByRole("button", { name: /^Choose files/, disabled: false }).waitFor();
  }));

test("a file whose model left the memory says at once what it waits for, is cancelled, and goes on with Load", () =>
  on(
    READY,
    async (page) => {
      await page.getByRole("combobox", { name: "Model", disabled: false }).waitFor();
      await fetch(`${READY}/v1/models/${SELFTEST}/unload`, { method: "POST" });
      await page.route("**/v1/audio/transcriptions", () => {}, { times: 1 }); // as a server that waits for the model
      await page.locator("input[type=file]").setInputFiles(RECORDINGS.sample);
      const own = card(page, NAMES.sample);
      await own.getByText(`${SELFTEST}: Not in memory.`).waitFor();
      await own.getByRole("button", { name: "Cancel" }).click();
      await own.getByText("Cancelled", { exact: true }).waitFor();
      await own.getByRole("button", { name: "Try again" }).click();
      await own.getByText("Waiting for the model").or(own.getByText("The model is not ready")).waitFor();
      await own.getByRole("button", { name: `Load ${SELFTEST}` }).click();
      await own.getByText("Done", { exact: true }).waitFor();
    },
    { expected: /503/ },
  ));

test("while requests run, a person is asked before a model is unloaded", () =>
  on(fleet(READY), async (page) => {
    await card(page, SELFTEST).waitFor();
    await page.route("**/v1/status", async (route) => {
      const status = await (await route.fetch()).json();
      await route.fulfill({ json: { ...status, running_requests: 2 } });
    });
    await button(page, "Unload", SELFTEST).click();
    const question = page.getByRole("dialog", { name: `Unload ${SELFTEST}?` });
    await question.getByText("Requests running on this server now: 2.").waitFor();
    await question.getByRole("button", { name: "Keep it" }).click();
    assert.equal(await card(page, SELFTEST).getByText("ready", { exact: true }).count(), 1);
    await page.unrouteAll({ behavior: "wait" }); // the page asks for the status again and again: one answer may be under way
  }));
