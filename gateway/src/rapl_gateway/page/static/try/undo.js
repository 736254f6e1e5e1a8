// What the user has just removed, and the way to have it back: a line at the bottom of the window for some seconds.

import { h } from "../dom.js";
import { setText } from "../i18n.js";

const SHOWN_MS = 12_000;
const LOOK_AGAIN_MS = 1000;

/** Takes things that were removed. What is removed while the line is shown comes back together. */
export class Undo {
  #text = h("span", { id: "undo-text" });
  #button = h("button", { type: "button", text: "undo.back", "aria-describedby": "undo-text" });
  #line = h("div.undo", { hidden: true }, this.#text, this.#button);
  element = h("div", { role: "status" }, this.#line);
  #removed = []; // {name, back, forget}
  #timer = 0;

  constructor() {
    this.#button.addEventListener("click", () => this.#end(({ back }) => back()));
  }

  /**
   * Offers to undo a removal. The focus goes there if it would be lost.
   *
   * @param {string} name of what was removed, for the user.
   * @param {function(): ?Element} back brings it back, and returns what then gets the focus of the line.
   * @param {function()} forget called when it cannot be brought back any more.
   */
  offer(name, back, forget = () => {}) {
    const needsFocus = !document.activeElement?.checkVisibility() || document.activeElement === document.body;
    this.#removed.push({ name, back, forget });
    setText(this.#text, this.#removed.length === 1 ? "undo.one" : "undo.many", { name, n: this.#removed.length });
    this.#line.hidden = false;
    if (needsFocus) this.#button.focus({ preventScroll: true });
    this.#wait(SHOWN_MS);
  }

  #wait(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#line.matches(":hover, :has(:focus-visible)")) return this.#wait(LOOK_AGAIN_MS); // it is in use
      this.#end(({ forget }) => forget());
    }, ms);
  }

  #end(act) {
    clearTimeout(this.#timer);
    const removed = this.#removed;
    this.#removed = [];
    const hadFocus = this.#line.contains(document.activeElement);
    this.#line.hidden = true;
    const [first] = removed.map(act);
    if (hadFocus) (first ?? document.getElementById("main")).focus({ preventScroll: true });
  }
}
