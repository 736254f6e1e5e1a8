// What was dictated, as a card among the transcripts.

import { h, icon, label, prose, sentence } from "../../dom.js";
import { CLOSE, COPY, DOWNLOAD, WARNING } from "../../icons.js";
import { actionOf } from "../action.js";
import { hold, release } from "../unsaved.js";
import { copy, save } from "./formats.js";

/** A card like that of a file; its work is done already. */
export class DictationCard {
  job = { state: "done", hasEnded: true, isRunning: false, cancel: () => {} }; // done already
  #title = h("h3", { text: "dictation.title" });

  /**
   * @param {{text: string, model: string, problem: ?string}} dictation `problem` says why the rest is missing.
   * @param {function()} onRemove called when the user removes the card.
   */
  constructor({ text, model, problem }, onRemove) {
    const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
    const remove = h("button.quiet.icon-only", { type: "button", onclick: onRemove }, icon(CLOSE));
    label(remove, "aria-label", ["jobs.remove", () => ({ name: `${this.name} ${time}` })]);
    const facts = h("p.muted.small.number", {}, [time, model].filter(Boolean).join(" · "));
    const state = h(`span.state.${problem ? "warn" : "good"}`, { text: problem ? "dictation.broken" : "job.done" });
    const head = h("div.card-head", {}, h("div.file", {}, this.#title, facts), state, remove);
    const words = h("p.dictated", { tabIndex: 0, labels: { "aria-label": "live.words" } }, text);
    const note = problem ? brokenNote(problem) : null;
    this.element = h("li.card.stack.job", { tabIndex: -1 }, head, note, words, this.#actions(text, time));
    hold(this.job);
  }

  get name() {
    return this.#title.textContent;
  }

  pause() {} // there is no sound

  close() {
    release(this.job);
  }

  #actions(text, time) {
    const copied = async () => {
      await copy(`${text}\n`);
      release(this.job);
    };
    const saved = () => {
      save(`${this.name} ${time.replace(":", "-")}.txt`, `${text}\n`, "text/plain");
      release(this.job);
    };
    return h(
      "div.row",
      {},
      actionOf("format.copy", COPY, copied),
      actionOf("format.download", DOWNLOAD, saved, () => ({ extension: "txt" })),
    );
  }
}

function brokenNote(problem) {
  const rest = h("p", { text: "dictation.rest_missing" });
  return h("div.note.warn", {}, icon(WARNING), h("div", {}, prose(sentence(problem)), rest));
}
