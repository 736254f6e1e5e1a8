// The files that were given: two are transcribed at once, the others wait.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { Job } from "./job.js";
import { Card } from "./result/card.js";
import { DictationCard } from "./result/dictation.js";
import { hold, release } from "./unsaved.js";

const AT_ONCE = 2; // the server has a queue of its own; a browser has six connections for each server
const NEAR_PX = 4; // a browser rounds positions

export class Jobs {
  #cards = [];
  #said = h("p.unseen", { role: "status" });
  #list = h("ol.stack");
  #clear = h("button.quiet", { type: "button", text: "jobs.clear", onclick: () => this.#removeEnded() });

  #options;

  /** @param {Options} options what the user has chosen for what is sent next. */
  constructor(options) {
    this.#options = options;
    const title = h("div.spread", {}, h("h2", { text: "jobs.title" }), this.#clear);
    this.element = h("section.stack", { hidden: true }, title, this.#said, this.#list);
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

  #place(cards) {
    this.#cards.push(...cards);
    this.#list.prepend(...cards.map((card) => card.element));
    this.#show();
  }

  #cardOf(job, opens) {
    const again = () => job.again(this.#options.values);
    const card = new Card(job, { opens, onRemove: () => this.#remove(card), onAgain: again });
    hold(job);
    job.addEventListener("change", () => this.#changed(job));
    job.addEventListener("change", () => job.state === "done" && opens && scrollToCard(card));
    return card;
  }

  #next() {
    const jobs = this.#cards.map((card) => card.job); // in the order in which they came
    const running = jobs.filter((job) => job.isRunning).length;
    for (const job of jobs.filter((each) => each.state === "waiting").slice(0, Math.max(0, AT_ONCE - running)))
      job.run();
  }

  #changed(job) {
    if (job.hasSomethingToLose) hold(job);
    else release(job);
    if (job.isRunning) return;
    if (job.state === "waiting") return this.#next();
    this.#said.textContent = t(`jobs.said_${job.state}`, { name: job.file.name });
    this.#show();
    this.#next();
  }

  #remove(card) {
    card.job.cancel();
    release(card.job);
    card.close();
    card.element.remove();
    this.#cards = this.#cards.filter((each) => each !== card);
    this.#show();
  }

  #removeEnded() {
    for (const card of this.#cards.filter((each) => each.job.hasEnded)) this.#remove(card);
  }

  #show() {
    this.element.hidden = !this.#cards.length;
    this.#clear.hidden = this.#cards.filter((card) => card.job.hasEnded).length < 2;
  }
}

/** Brings the top of a card near the top of the window, unless the user has scrolled since it was added. */
function scrollToCard({ element, scrolledAt }) {
  if (Math.abs(scrollY - scrolledAt) > NEAR_PX) return;
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block: "start", behavior: isCalm ? "instant" : "smooth" });
}
