// A button for something that is done at once.

import { h, icon } from "../dom.js";
import { setText } from "../i18n.js";

const SAID_MS = 2000;

/**
 * Returns a button with the text `key`. When `act` is done, it says so for a moment with the text `{key}_done`.
 *
 * `reset()` of the element ends that moment, and writes the text again with what `values` returns now.
 */
export function actionOf(key, shape, act, values = () => ({})) {
  const text = h("span", { text: [key, values] });
  const said = h("span.unseen", { role: "status" });
  let timer = 0;
  const reset = () => {
    clearTimeout(timer);
    setText(text, key, values);
    said.textContent = "";
  };
  const onclick = async () => {
    await act();
    clearTimeout(timer);
    setText(text, `${key}_done`);
    said.textContent = text.textContent;
    timer = setTimeout(reset, SAID_MS);
  };
  const element = h("span", {}, h("button", { type: "button", onclick }, icon(shape), text), said);
  return Object.assign(element, { reset });
}
