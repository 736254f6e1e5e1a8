// The API key: typed by the user, kept by the browser for this tab only, and sent with each request.

import { h } from "./dom.js";
import { setText } from "./i18n.js";

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

const KEY = /^[\x20-\x7e]+$/; // what a header of a request can carry

function shownDialog(wasWrong) {
  const opener = document.activeElement;
  const problem = h("p.problem-text", { id: "key-problem", role: "alert" });
  const field = h("input", {
    id: "key-field",
    type: "password",
    autocomplete: "off",
    "aria-describedby": problem.id,
  });
  const form = formOf(field, problem, () => dialog.close(""));
  const dialog = h("dialog.card", { "aria-labelledby": "key-title", "aria-describedby": "key-why" }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const key = field.value.trim();
    if (KEY.test(key)) return dialog.close(key);
    setText(problem, "key.impossible");
    field.setAttribute("aria-invalid", "true");
    field.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  if (wasWrong) setText(problem, "key.wrong"); // after it is shown, so that a screen reader reads it
  field.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (opener.isConnected) opener.focus({ preventScroll: true });
      keepKey(dialog.returnValue);
      resolve(Boolean(dialog.returnValue));
    });
  });
}

function formOf(field, problem, onCancel) {
  return h(
    "form",
    { method: "dialog", noValidate: true },
    h("h2", { id: "key-title", text: "key.title" }),
    h("p", { id: "key-why", text: "key.why" }),
    h("label", { for: field.id, text: "key.label" }),
    field,
    problem,
    h("p.hint", { text: "key.where" }),
    h(
      "div.row.end",
      {},
      h("button.quiet", { type: "button", text: "key.cancel", onclick: onCancel }),
      h("button.primary", { type: "submit", text: "key.use" }),
    ),
  );
}
