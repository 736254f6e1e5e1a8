// The questions before a model's weights are removed, or a model that may be at work leaves the memory.

import { getJson } from "../api.js";
import { h } from "../dom.js";
import { bytes } from "../i18n.js";

/**
 * Asks whether the weights of a model may be removed.
 *
 * @param {object} model an entry of GET /v1/models.
 * @param {Element} opener gets the focus back.
 * @returns {Promise<boolean>}
 */
export function removalConfirmed(model, opener) {
  const verb = model.state === "downloading" ? "stop" : "remove";
  const values = () => ({ model: model.id, size: bytes(model.disk_bytes || (model.progress?.done_bytes ?? 0)) });
  return confirmed(verb, values, opener);
}

/** Asks whether a model may be unloaded, if the server has requests now. Parameters as of `removalConfirmed`. */
export async function unloadConfirmed(model, opener) {
  const { running_requests: n } = await getJson("/v1/status");
  return n === 0 || confirmed("unload", () => ({ model: model.id, n }), opener);
}

function confirmed(verb, values, opener) {
  const keep = h("button", { type: "submit", value: "", text: "fleet.keep" });
  const act = h("button.danger", { type: "submit", value: verb, text: `fleet.${verb}` });
  const dialog = h(
    "dialog.card",
    { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-why" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "confirm-title", text: [`fleet.title_of.${verb}`, values] }),
      h("p", { id: "confirm-why", text: [`fleet.why.${verb}`, values] }),
      h("div.row.end", {}, keep, act),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  keep.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      opener.focus();
      resolve(dialog.returnValue === verb);
    });
  });
}
