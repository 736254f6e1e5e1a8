// What a first visitor sees while the server's own model is not ready: the download, and the self-test that works now.

import { h, icon, prose, replaceContent, sentence } from "../dom.js";
import { WARNING } from "../icons.js";
import { inWords, t } from "../i18n.js";
import { askForKey } from "../key.js";
import { stateOf } from "./options.js";

const SELF_TEST = "rapl/selftest";

export function firstVisit(models) {
  const facts = h("div.intro"); // changes during a download
  const advice = h("p"); // stays, with its link
  const note = h("div.note.first-visit", {}, icon(WARNING), h("div", {}, facts, advice));
  const element = h("div");
  const show = () => {
    const main = models.find(models.defaultId);
    const isReady = !main || main.state === "ready";
    if (isReady) return element.replaceChildren();
    const isBeingMade = ["downloading", "loading"].includes(main.state);
    note.classList.toggle("warn", !isBeingMade);
    replaceContent(facts, factsOf(main, isBeingMade));
    replaceContent(advice, adviceOf(main, models.find(SELF_TEST)));
    replaceContent(element, [note]);
  };
  models.addEventListener("change", show);
  models.addEventListener("failed", (event) => replaceContent(element, [failure(event.detail)]));
  document.addEventListener("rapl:language", show);
  return element;
}

function factsOf(model, isBeingMade) {
  const title = h("strong", {}, t("first.title", { model: model.id, state: stateOf(model) }));
  if (isBeingMade) return [title, ...download(model)];
  return [title, prose([model.reason, model.remedy].filter(Boolean).map(sentence).join(" "))];
}

function adviceOf(model, selfTest) {
  const canTry = selfTest?.state === "ready" && model.id !== SELF_TEST;
  const link = h("a", { href: "#/fleet", text: "first.fleet" });
  return canTry ? [document.createTextNode(`${t("first.selftest", { model: SELF_TEST })} `), link] : [link];
}

function download(model) {
  const { done_bytes: done, total_bytes: total, bytes_per_s: rate } = model.progress ?? {};
  if (!total) return [];
  const bar = h("progress", { max: total, value: done, labels: { "aria-label": "first.download" } });
  return [bar, rate ? h("p.hint", {}, t("work.left", { time: inWords((total - done) / rate) })) : null];
}

const enterKey = () => h("button", { type: "button", text: "key.enter", onclick: () => askForKey(null, true) });

/** Returns a note about an error of the API. */
export function failure(error) {
  return h(
    "div.note.bad",
    { role: "alert" },
    icon(WARNING),
    h(
      "div",
      {},
      h("strong", {}, error.title ?? t("error.other")),
      error.message ? prose(error.code === "invalid_api_key" ? t("key.missing") : error.message) : null,
      error.code === "invalid_api_key" ? h("div.row", {}, enterKey()) : null,
      error.requestId ? h("p.hint", {}, t("error.request_id", { id: error.requestId })) : null,
    ),
  );
}
