// The API key: typed by the user, kept by the browser for this tab only, and sent with each request.

import { h } from "./dom.js";

const KEPT = "rapl.key";
let asking = null; // the answer that several requests may wait for at once

export const currentKey = () => sessionStorage.getItem(KEPT);

export function forgetKey() {
  sessionStorage.removeItem(KEPT);
  document.dispatchEvent(new Event("rapl:key"));
}

/**
 * Asks for the key, unless it has changed since the request with the key `used` was sent.
 *
 * @returns {Promise<boolean>} whether there is a key to try now.
 */
export function askForKey(used = null) {
  if (currentKey() !== used) return Promise.resolve(true);
  asking ??= shownDialog(used !== null).finally(() => (asking = null));
  return asking;
}

function shownDialog(wasWrong) {
  const field = h("input", { id: "key-field", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
  const form = h("form", { method: "dialog" },
    h("h2", { id: "key-title", text: "key.title" }),
    h("p", { id: "key-why", text: wasWrong ? "key.wrong" : "key.why" }),
    h("label", { for: "key-field", text: "key.label" }),
    field,
    h("p.hint", { text: "key.where" }),
    h("div.row.end", {},
      h("button.quiet", { type: "button", text: "key.cancel", onclick: () => dialog.close("") }),
      h("button.primary", { type: "submit", text: "key.use" })));
  const dialog = h("dialog.card", { "aria-labelledby": "key-title", "aria-describedby": "key-why" }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close(field.value.trim());
  });
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.returnValue) sessionStorage.setItem(KEPT, dialog.returnValue);
      document.dispatchEvent(new Event("rapl:key"));
      resolve(Boolean(dialog.returnValue));
    });
  });
}
