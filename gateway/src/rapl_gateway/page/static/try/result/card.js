// A file's card: how far it is, and then what came out of it.

import { h, icon, label, prose, replaceContent } from "../../dom.js";
import { bytes, clock, inWords, languageName, setText } from "../../i18n.js";
import { CLOSE } from "../../icons.js";
import { failure } from "../first_visit.js";
import { showLoad, whyNot } from "../../model.js";
import { release } from "../unsaved.js";
import { detailsOf } from "./details.js";
import { outputOf } from "./output.js";
import { Player } from "./player.js";

const NOTHING_DONE = { waiting: "work.waiting", loading: "work.loading" };

export class Card {
  #player = null;
  #state = h("span.state");
  #facts = h("p.muted.small.number");
  #body = h("div.stack");
  #bar = h("progress", { labels: { "aria-label": "work.progress" } });
  #left = h("p.hint.number");
  #waits = h("p.hint"); // why the work does not go on
  #load = h("div");
  #cancel = h("button", { type: "button", text: "work.cancel", onclick: () => this.job.cancel() });
  #working = h(
    "div.working",
    {},
    this.#bar,
    h("div.spread", {}, h("div", {}, this.#left, this.#waits), h("div.row.end", {}, this.#load, this.#cancel)),
  );
  #fold = h("button.quiet", { type: "button", hidden: true, "aria-expanded": "false", onclick: () => this.#toggle() });

  /**
   * @param {Job} job
   * @param {{opens: boolean, onRemove: function, onAgain: function}} options whether it opens when it is done; what
   *   removes it; what tries again.
   */
  constructor(job, { opens, onRemove, onAgain }) {
    this.job = job;
    this.opens = opens;
    this.onAgain = onAgain;
    const remove = h("button.quiet.icon-only", { type: "button", onclick: onRemove }, icon(CLOSE));
    label(remove, "aria-label", ["jobs.remove", { name: job.file.name }]);
    const heading = h("div.file", {}, h("h3", { title: job.file.name }, job.file.name), this.#facts);
    const head = h("div.card-head", {}, heading, this.#state, this.#fold, remove);
    this.element = h("li.card.stack.job", { tabIndex: -1 }, head, this.#body);
    job.addEventListener("change", () => this.#show());
    job.addEventListener("progress", () => this.#showProgress());
    this.#show();
  }

  get name() {
    return this.job.file.name;
  }

  pause() {
    this.#player?.pause();
  }

  /** Frees what the browser holds of the recording. */
  close() {
    this.#player?.close();
    this.#player = null;
  }

  #show() {
    const { state, error } = this.job;
    const look = { done: "good", failed: "bad", cancelled: "warn" }[state] ?? "";
    this.#state.className = `state ${look}`;
    setText(this.#state, `job.${state}`);
    const model = state === "failed" ? this.job.fields.model : null;
    setText(this.#facts, "job.facts", () => ({
      facts: [bytes(this.job.file.size), model].filter(Boolean).join(" · "),
    }));
    this.#fold.hidden = state !== "done";
    if (state === "done") this.#done();
    else if (state === "failed") this.#body.replaceChildren(...this.#failed(error));
    else if (state === "cancelled") this.#body.replaceChildren(this.#again());
    else replaceContent(this.#body, [this.#working]); // so that Cancel keeps its focus
    this.#showProgress();
  }

  #failed(error) {
    return [failure(error, this.onAgain), ...(this.job.mayTryAgain ? [this.#again()] : [])];
  }

  #again() {
    return h("div.row", {}, h("button", { type: "button", text: "work.again", onclick: this.onAgain }));
  }


  #showProgress() {
    const { part, doneS, durationS, leftS } = this.job.progress;
    const ratio = part ?? (durationS && doneS ? doneS / durationS : null); // null: nobody knows yet how fast it goes
    if (this.job.state === "waiting") this.#bar.value = 0;
    else if (ratio === null) this.#bar.removeAttribute("value");
    else this.#bar.value = Math.min(1, ratio);
    this.#showModel(this.job.model);
    if (part !== undefined) setText(this.#left, "work.sent", { percent: Math.floor(100 * part) });
    else if (!doneS) setText(this.#left, NOTHING_DONE[this.job.state] ?? "work.begun");
    else
      setText(this.#left, leftS === null ? "work.done" : "work.done_left", () => ({
        done: clock(doneS),
        whole: durationS ? clock(durationS) : "?",
        time: inWords(leftS ?? 0),
      }));
  }

  #showModel(model) {
    this.#waits.hidden = !model;
    if (model) replaceContent(this.#waits, [...prose(`${model.id}: ${whyNot(model)}`).childNodes]);
    showLoad(this.#load, model, this.#cancel);
  }

  #done() {
    const { result } = this.job;
    setText(this.#facts, "job.facts", () => ({
      facts: [
        clock(result.durationS),
        ...result.languages.map(languageName),
        result.fallback ?? this.job.fields.model,
      ].join(" · "),
    }));
    this.#unfold(this.opens);
  }

  #toggle() {
    this.#unfold(this.#fold.getAttribute("aria-expanded") !== "true");
  }

  #unfold(isOpen) {
    this.close();
    this.#fold.setAttribute("aria-expanded", String(isOpen));
    setText(this.#fold, isOpen ? "job.close" : "job.open");
    this.#body.replaceChildren(...(isOpen ? this.#opened() : [this.#snippet()]));
  }

  #snippet() {
    const { text } = this.job.result;
    return text.trim() ? h("p.snippet", {}, text) : h("p.snippet", { text: "row.empty" });
  }

  #opened() {
    const { file, fields, result } = this.job;
    this.#player = new Player(file, result);
    const output = outputOf(this.#player.element, file, fields, result, () => release(this.job));
    return [...warningsOf(result), ...output, ...detailsOf(result)];
  }
}

/** Notes on what is missing or in doubt, for the whole file. */
function warningsOf({ coverage, problems, damagedS }) {
  if (!problems.length && (coverage === null || coverage === 1)) return [];
  const percent = coverage === null ? null : Math.floor(coverage * 1000) / 10;
  const lines = [
    coverage !== null && coverage < 1 ? h("p", { text: ["warn.coverage", { percent }] }) : null,
    problems.length ? h("p", { text: ["warn.problems", { n: problems.length }] }) : null,
    damagedS ? h("p", { text: ["warn.damaged", { seconds: damagedS.toFixed(1) }] }) : null,
  ];
  return [h("div.note.warn", {}, h("div", {}, ...lines))];
}
