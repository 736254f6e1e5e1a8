// The files that were given: two are transcribed at once, the others wait.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { Job } from "./job.js";
import { Card } from "./result/card.js";
import { DictationCard } from "./result/dictation.js";
import { hold, isHeld, release } from "./unsaved.js";
import { Undo } from "./undo.js";

const AT_ONCE = 2; // the server has a queue of its own; a browser has six connections for each server
const SAID = ["loading", "done", "failed", "cancelled"]; // what a screen reader hears of
const NEAR_PX = 4; // a browser rounds positions

export class Jobs {
  #cards = [];
  #removed = new Set(); // cards that are hidden, and may come back
  #undo = new Undo();
  #inner;
  #said = h("p.unseen", { role: "status" });
  #list = h("ol.stack");
  #clear = h("button.quiet", { type: "button", text: "jobs.clear", onclick: () => this.#removeEnded() });

  #options;

  /** @param {Options} options what the user has chosen for what is sent next. */
  constructor(options) {
    this.#options = options;
    const title = h("div.spread.jobs-head", {}, h("h2", { text: "jobs.title" }), this.#clear);
    this.#inner = h("section.stack", { hidden: true }, title, this.#said, this.#list);
    this.element = h("div.stack", {}, this.#inner, this.#undo.element);
  }

  /** Adds files. The newest are on top. `isOnlyHere`: the page has them, and no disk does. */
  add(files, { isOnlyHere = false } = {}) {
    const isOne = files.length === 1;
    const options = this.#options.values;
    const cards = files.map((file) => this.#cardOf(new Job(file, options, isOnlyHere), isOne));
    this.#place(cards);
    this.#next();
    cards[0].element.scrollIntoView({ block: "nearest" });
    for (const card of cards) card.scrolledAt = scrollY;
  }

  /** Adds what was dictated, as `DictationCard` takes it. */
  addDictation(dictation) {
    const card = new DictationCard(dictation, () => this.#remove(card));
    this.#place([card]);
    this.#said.textContent = t("jobs.said_done", { name: card.name });
    card.element.scrollIntoView({ block: "nearest" });
  }

  /** Offers to take a recording that the user has thrown away all the same. */
  offer(recording) {
    this.#undo.offer(recording.name, () => this.add([recording], { isOnlyHere: true }));
  }

  #place(cards) {
    this.#cards.push(...cards);
    this.#list.prepend(...cards.map((card) => card.element));
    this.#show();
  }

  #cardOf(job, opens) {
    const again = async () => job.again(await this.#options.known());
    const card = new Card(job, { opens, onRemove: () => this.#remove(card), onAgain: again });
    hold(job);
    job.addEventListener("change", () => this.#changed(card));
    job.addEventListener("change", () => this.#scrollTo(card, opens));
    return card;
  }

  #scrollTo(card, opens) {
    if (card.job.state === "loading") scrollToCard(card, "nearest"); // its button that loads the model is new
    if (card.job.state === "done" && opens) scrollToCard(card, "start");
  }

  #next() {
    const jobs = this.#cards.map((card) => card.job); // in the order in which they came
    const running = jobs.filter((job) => job.isRunning).length;
    for (const job of jobs.filter((each) => each.state === "waiting").slice(0, Math.max(0, AT_ONCE - running)))
      job.run();
  }

  #changed(card) {
    const { job } = card;
    if (job.hasSomethingToLose) hold(job);
    else release(job);
    if (SAID.includes(job.state) && !this.#removed.has(card))
      this.#said.textContent = t(`jobs.said_${job.state}`, { name: card.name });
    if (job.isRunning) return;
    if (job.state === "waiting") return this.#next();
    this.#show();
    this.#next();
  }

  /** Hides a card; its work is stopped. The user can bring it back for some seconds, and then its work begins again. */
  #remove(card) {
    const wasHeld = isHeld(card.job);
    const { hasEnded } = card.job;
    this.#removed.add(card);
    card.job.cancel();
    release(card.job);
    card.pause();
    card.element.hidden = true;
    this.#show();
    const back = () => {
      this.#removed.delete(card);
      card.element.hidden = false;
      if (wasHeld) hold(card.job);
      if (!hasEnded) card.job.again();
      this.#show();
      return card.element;
    };
    this.#undo.offer(card.name, back, () => this.#forget(card));
  }

  #forget(card) {
    card.close();
    card.element.remove();
    this.#removed.delete(card);
    this.#cards = this.#cards.filter((each) => each !== card);
  }

  #removeEnded() {
    for (const card of this.#shown.filter((each) => each.job.hasEnded)) this.#remove(card);
  }

  get #shown() {
    return this.#cards.filter((card) => !this.#removed.has(card));
  }

  #show() {
    this.#inner.hidden = !this.#shown.length;
    this.#clear.hidden = this.#shown.filter((card) => card.job.hasEnded).length < 2;
  }
}

/** Brings a card into view, with its `block` there, unless the user has scrolled since the page did so last. */
function scrollToCard(card, block) {
  if (Math.abs(scrollY - card.scrolledAt) > NEAR_PX) return;
  const isCalm = block === "nearest" || matchMedia("(prefers-reduced-motion: reduce)").matches;
  card.element.scrollIntoView({ block, behavior: isCalm ? "instant" : "smooth" });
  if (isCalm) card.scrolledAt = scrollY;
}
