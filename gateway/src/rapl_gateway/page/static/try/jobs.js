// The files that were given: two are transcribed at once, the others wait.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { Job } from "./job.js";
import { Card } from "./result/card.js";

const AT_ONCE = 2; // the server has a queue of its own; a browser has six connections for each server

export class Jobs {
  #cards = [];
  #said = h("p.unseen", { role: "status" });
  #list = h("ol.stack");
  #clear = h("button.quiet", { type: "button", text: "jobs.clear", onclick: () => this.#removeEnded() });

  constructor() {
    const title = h("div.spread", {}, h("h2", { text: "jobs.title" }), this.#clear);
    this.element = h("section.stack", { hidden: true }, title, this.#said, this.#list);
  }

  /** Adds files with the options that hold for them. The newest are on top. */
  add(files, options) {
    const isOne = files.length === 1;
    const cards = files.map((file) => this.#cardOf(new Job(file, options), isOne));
    this.#cards.push(...cards);
    this.#list.prepend(...cards.map((card) => card.element));
    this.#show();
    this.#next();
    cards[0].element.scrollIntoView({ block: "nearest" });
  }

  #cardOf(job, opens) {
    const card = new Card(job, { opens, onRemove: () => this.#remove(card) });
    job.addEventListener("change", () => this.#changed(job));
    return card;
  }

  #next() {
    const jobs = this.#cards.map((card) => card.job); // in the order in which they came
    const running = jobs.filter((job) => job.isRunning).length;
    for (const job of jobs.filter((each) => each.state === "waiting").slice(0, Math.max(0, AT_ONCE - running)))
      job.run();
  }

  #changed(job) {
    if (job.isRunning) return;
    if (job.state === "waiting") return this.#next();
    this.#said.textContent = t(`jobs.said_${job.state}`, { name: job.file.name });
    this.#show();
    this.#next();
  }

  #remove(card) {
    card.job.cancel();
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
