// The question before a model's weights are removed.

import { h } from "../dom.js";
import { bytes } from "../i18n.js";

/**
 * Asks whether the weights of a model may be removed.
 *
 * @param {object} model an entry of GET /v1/models.
 * @param {Element} opener gets the focus back.
 * @returns {Promise<boolean>}
 */
export function confirmed(model, opener) {
  const isDownloading = model.state === "downloading";
  const verb = isDownloading ? "stop" : "remove";
  const values = () => ({ model: model.id, size: bytes(model.disk_bytes || (model.progress?.done_bytes ?? 0)) });
  const keep = h("button", { type: "submit", value: "", text: "fleet.keep" });
  const remove = h("button.danger", { type: "submit", value: "remove", text: `fleet.${verb}` });
  const dialog = h(
    "dialog.card",
    { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-why" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "confirm-title", text: [`fleet.title_of.${verb}`, values] }),
      h("p", { id: "confirm-why", text: [`fleet.why.${verb}`, values] }),
      h("div.row.end", {}, keep, remove),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  keep.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      opener.focus();
      resolve(dialog.returnValue === "remove");
    });
  });
}
