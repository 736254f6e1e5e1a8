// What a first visitor sees while the server's own model is not ready: the download, and the self-test that works now.

import { h, icon, prose, sentence } from "../dom.js";
import { WARNING } from "../icons.js";
import { inWords, t } from "../i18n.js";
import { askForKey } from "../key.js";
import { stateOf } from "./options.js";

const SELF_TEST = "rapl/selftest";

export function firstVisit(models) {
  const element = h("div.stack");
  const fill = () => element.replaceChildren(...notes(models));
  models.addEventListener("change", fill);
  models.addEventListener("failed", (event) => element.replaceChildren(failure(event.detail)));
  document.addEventListener("rapl:language", fill);
  return element;
}

function notes(models) {
  const main = models.find(models.defaultId);
  if (!main || main.state === "ready") return [];
  const isBeingMade = ["downloading", "loading"].includes(main.state);
  const selfTest = models.find(SELF_TEST);
  return [
    h(
      `div.note${isBeingMade ? "" : ".warn"}`,
      { role: "status" },
      isBeingMade ? null : icon(WARNING),
      h(
        "div",
        {},
        h("strong", {}, t("first.title", { model: main.id, state: stateOf(main) })),
        ...(isBeingMade ? download(main) : [prose([main.reason, main.remedy].filter(Boolean).map(sentence).join(" "))]),
        h(
          "p",
          {},
          selfTest?.state === "ready" && main.id !== SELF_TEST ? `${t("first.selftest", { model: SELF_TEST })} ` : null,
          h("a", { href: "#/fleet", text: "first.fleet" }),
        ),
      ),
    ),
  ];
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
      prose(error.code === "invalid_api_key" ? t("key.missing") : error.message),
      error.code === "invalid_api_key" ? h("div.row", {}, enterKey()) : null,
      error.requestId ? h("p.hint", {}, t("error.request_id", { id: error.requestId })) : null,
    ),
  );
}
