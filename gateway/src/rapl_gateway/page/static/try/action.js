// A button for something that is done at once.

import { h, icon } from "../dom.js";
import { setText } from "../i18n.js";

const SAID_MS = 2000;

/** Returns a button with the text `key`. When `act` is done, it says so for a moment with the text `{key}_done`. */
export function actionOf(key, shape, act) {
  const text = h("span", { text: key });
  const said = h("span.unseen", { role: "status" });
  const onclick = async () => {
    await act();
    setText(text, `${key}_done`);
    said.textContent = text.textContent;
    setTimeout(() => {
      setText(text, key);
      said.textContent = "";
    }, SAID_MS);
  };
  return h("span", {}, h("button", { type: "button", onclick }, icon(shape), text), said);
}
