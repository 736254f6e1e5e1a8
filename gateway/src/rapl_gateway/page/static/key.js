// The API key: typed by the user, kept by the browser for this tab only, and sent with each request.

import { h } from "./dom.js";

const KEPT = "rapl.key";
let asking = null; // the answer that several requests may wait for at once
let isDeclined = false; // the user has closed the dialog: nothing but an action of the user opens it again

export const currentKey = () => sessionStorage.getItem(KEPT);

/** Whether the server wants a key and the user has given none. */
export const lacksKey = () => isDeclined && !currentKey();

/** Keeps a key for this tab, or forgets it if there is none, and dispatches "rapl:key". */
export function keepKey(key) {
  isDeclined = !key;
  if (key) sessionStorage.setItem(KEPT, key);
  else sessionStorage.removeItem(KEPT);
  document.dispatchEvent(new Event("rapl:key"));
}

/**
 * Asks for the key, unless it has changed since the request with the key `used` was sent.
 *
 * @param {?string} used
 * @param {boolean} isAction whether the user has just asked for what needs the key.
 * @returns {Promise<boolean>} whether there is a key to try now.
 */
export function askForKey(used = null, isAction = false) {
  if (currentKey() !== used) return Promise.resolve(currentKey() !== null);
  if (isDeclined && !isAction && !asking) return Promise.resolve(false);
  asking ??= shownDialog(used !== null).finally(() => (asking = null));
  return asking;
}

function shownDialog(wasWrong) {
  const field = h("input", { id: "key-field", type: "password", autocomplete: "off", required: true });
  const form = formOf(field, wasWrong, () => dialog.close(""));
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
      keepKey(dialog.returnValue);
      resolve(Boolean(dialog.returnValue));
    });
  });
}

function formOf(field, wasWrong, onCancel) {
  return h(
    "form",
    { method: "dialog" },
    h("h2", { id: "key-title", text: "key.title" }),
    h("p", { id: "key-why", text: wasWrong ? "key.wrong" : "key.why" }),
    h("label", { for: field.id, text: "key.label" }),
    field,
    h("p.hint", { text: "key.where" }),
    h(
      "div.row.end",
      {},
      h("button.quiet", { type: "button", text: "key.cancel", onclick: onCancel }),
      h("button.primary", { type: "submit", text: "key.use" }),
    ),
  );
}
