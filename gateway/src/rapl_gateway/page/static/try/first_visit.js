// What a first visitor sees while the server's own model is not ready: the download, and the self-test that works now.

import { h, icon, prose, replaceContent, sentence } from "../dom.js";
import { WARNING } from "../icons.js";
import { inWords, t } from "../i18n.js";
import { askForKey, currentKey } from "../key.js";
import { isComing, loadButton, reasonsOf, showLoad, stateOf, stateText } from "../model.js";

const SELF_TEST = "rapl/selftest";
const FOLDED = "rapl.banner"; // kept for the tab

export function firstVisit(models) {
  const title = h("summary");
  const facts = h("div.intro"); // changes during a download
  const load = h("div");
  const advice = h("p"); // stays, with its link
  const fold = h("details", { open: sessionStorage.getItem(FOLDED) === null }, title, facts, load, advice);
  fold.addEventListener("toggle", () => {
    if (fold.open) sessionStorage.removeItem(FOLDED);
    else sessionStorage.setItem(FOLDED, "folded");
  });
  const note = h("div.note.first-visit", {}, icon(WARNING), fold);
  const element = h("div");
  const show = () => {
    const main = models.find(models.defaultId);
    const isReady = !main || main.state === "ready";
    if (isReady) return element.replaceChildren();
    note.classList.toggle("warn", !isComing(main));
    replaceContent(title, [h("strong", {}, t("first.title", { model: main.id, state: stateText(main) }))]);
    replaceContent(facts, factsOf(main));
    showLoad(load, main, title);
    replaceContent(advice, adviceOf(main, models.find(SELF_TEST)));
    replaceContent(element, [note]);
  };
  models.addEventListener("change", show);
  models.addEventListener("failed", (event) => replaceContent(element, [failure(event.detail)]));
  document.addEventListener("rapl:language", show);
  return element;
}

function factsOf(model) {
  if (isComing(model)) return download(model);
  const reasons = reasonsOf(model).map(sentence).join(" ");
  return reasons ? [prose(reasons)] : [];
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

/**
 * Returns a note about an error of the API. One that asks for a key goes when there is a key.
 *
 * @param {ApiError} error `model`: the one that was not ready, if it is known.
 * @param {function()} onLoading called when the user has loaded that model.
 */
export function failure(error, onLoading) {
  const isKey = error.code === "invalid_api_key";
  const model = unloadedModel(error);
  const why = reasonOf(error);
  const note = h(
    "div.note.bad",
    { role: "alert" },
    icon(WARNING),
    h(
      "div",
      {},
      h("strong", {}, error.title ?? t("error.other")),
      why ? prose(sentence(why)) : null,
      isKey ? h("div.row", {}, enterKey()) : null,
      model ? loadButton(model.id, onLoading) : null,
      error.requestId ? requestId(error.requestId) : null,
    ),
  );
  if (isKey) removeWithKey(note);
  return note;
}

/** Returns why a request failed, in words for a person. */
export function reasonOf(error) {
  const model = unloadedModel(error);
  if (model) return t("error.not_in_memory", { model: model.id });
  return error.code === "invalid_api_key" ? t("key.missing") : error.message;
}

const unloadedModel = ({ model }) => (model && stateOf(model) === "unloaded" ? model : null);

function requestId(id) {
  const line = h("p", { text: ["error.request_id", { id }] });
  return h("details.small", {}, h("summary", { text: "error.details" }), line);
}

function removeWithKey(note) {
  const gone = new AbortController();
  const remove = () => {
    if (!currentKey()) return;
    if (note.contains(document.activeElement)) document.getElementById("main").focus({ preventScroll: true });
    note.remove();
    gone.abort();
  };
  document.addEventListener("rapl:key", remove, { signal: gone.signal });
}
