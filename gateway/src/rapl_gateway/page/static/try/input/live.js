// Speaking: the words appear while the user talks, as soon as they are settled.

import { getJson } from "../../api.js";
import { h, icon } from "../../dom.js";
import { clock, setText, t } from "../../i18n.js";
import { MICROPHONE, STOP } from "../../icons.js";
import { modelNow } from "../models.js";
import { failure, reasonOf } from "../first_visit.js";
import { hold, release } from "../unsaved.js";
import { Capture } from "./capture.js";
import { markListening } from "./listening.js";
import { closeMicrophone, Level } from "./microphone.js";
import { Realtime } from "./realtime.js";

export class Live {
  #choices;
  #options = {};
  #on;
  #realtime = new Realtime();
  #capture;
  #level = new Level();
  #title = h("h2.live", { text: "live.connecting" });
  #time = h("span.timer.number", { role: "timer" }, clock(0));
  #words = h("div.words", { "aria-live": "polite", tabIndex: 0, labels: { "aria-label": "live.words" } });
  #problem = h("div", { role: "alert", hidden: true });
  #buttons = h("div.row.stay");
  #timer = null;
  #error = null; // the first one; those that follow it say the same again
  #opening = null; // resolves to the error, or to null when the session is open
  #unmark;

  /**
   * @param {MediaStream} stream
   * @param {function(): Promise<object>} choices gives the `values` of Options.
   * @param {{text: function({text, model, problem}), close: function(boolean)}} on `text` is called at the end with
   *   what was said. If nothing was, `close` is called when the user has read why; true: to speak again.
   */
  constructor(stream, choices, on) {
    this.#choices = choices;
    this.#on = on;
    this.#capture = new Capture(stream, (pcm, peak) => {
      this.#realtime.append(pcm);
      this.#level.show(peak);
    });
    const stop = h(
      "button.primary",
      { type: "button", onclick: () => this.stop() },
      icon(STOP),
      h("span", { text: "live.stop" }),
    );
    this.#buttons.append(stop);
    const head = h("div.spread", {}, this.#title, this.#time);
    this.element = h("div.session", {}, head, this.#level.element, this.#words, this.#problem, this.#buttons);
    this.#unmark = markListening(() => this.stop());
    hold(this);
    this.#follow();
  }

  async start() {
    this.#opening = this.#open();
    const error = await this.#opening;
    if (error) return this.#failed(error);
    if (this.isStopping) return;
    setText(this.#title, "live.listening");
    this.#showWords();
    const began = performance.now();
    this.#timer = setInterval(() => (this.#time.textContent = clock((performance.now() - began) / 1000)), 500);
  }

  async #open() {
    try {
      this.#options = await this.#choices();
      await getJson("v1/models"); // a WebSocket cannot say that a key is missing; this asks for it
      await this.#capture.start();
      await this.#realtime.open(this.#options, this.#capture.rateHz);
      return null;
    } catch (error) {
      return error.title ? error : { message: t("live.refused") };
    }
  }

  /** Ends the audio; the words that are still being worked on come first. */
  async stop() {
    if (this.isStopping) return;
    this.isStopping = true;
    clearInterval(this.#timer);
    this.#unmark();
    setText(this.#title, "live.finishing");
    this.#buttons.hidden = true;
    await this.#opening;
    await this.#capture.stop();
    closeMicrophone(this.#capture.stream);
    this.#level.element.hidden = true;
    const isWhole = await this.#realtime.end();
    if (!isWhole) this.#error ??= { message: t("live.cut") };
    if (this.#error?.code === "model_not_ready") this.#error.model = await modelNow(this.#options.model);
    release(this);
    const text = this.#realtime.text.join("\n");
    const problem = this.#error && reasonOf(this.#error);
    if (text) this.#on.text({ text, model: this.#options.model, problem });
    else this.#showNothing();
  }

  #follow() {
    for (const name of ["text", "speech"]) this.#realtime.addEventListener(name, () => this.#showWords());
    this.#realtime.addEventListener("failed", ({ detail }) => this.#failed(detail));
    for (const track of this.#capture.stream.getTracks())
      track.addEventListener("ended", () => this.#failed({ message: t("live.unplugged") })); // not by `stop` of ours
    this.#realtime.addEventListener("closed", () => !this.isStopping && this.#failed({ message: t("live.closed") }));
  }

  #failed(error) {
    this.#error ??= error;
    return this.stop();
  }

  /** Says why there is no text: an error, or nothing was understood. */
  #showNothing() {
    setText(this.#title, this.#error ? "live.failed" : "live.ended");
    this.#title.classList.remove("live");
    this.#time.hidden = this.#words.hidden = this.#error !== null;
    this.#problem.hidden = this.#error === null;
    if (this.#error) this.#problem.replaceChildren(failure(this.#error));
    else this.#showWords();
    const again = h(
      "button.primary",
      { type: "button", onclick: () => this.#on.close(true) },
      icon(MICROPHONE),
      h("span", { text: "live.again" }),
    );
    const close = h("button.quiet", { type: "button", text: "live.close", onclick: () => this.#on.close(false) });
    this.#buttons.hidden = false;
    this.#buttons.replaceChildren(again, close);
    again.focus();
  }

  #showWords() {
    const turns = [...this.#realtime.turns.values()].filter(({ text }) => text.trim());
    const open = this.#realtime.isSpeech && !this.isStopping ? h("p.hearing", { "aria-hidden": "true" }, "…") : null;
    const hint = turns.length || open ? null : h("p.muted", { text: this.isStopping ? "live.nothing" : "live.hint" });
    if (hint && this.#error) return;
    const lines = turns.map(({ text, isDone }) => h(isDone ? "p" : "p.open", {}, text.trim()));
    this.#words.replaceChildren(...[...lines, open, hint].filter(Boolean));
    this.#words.scrollTop = this.#words.scrollHeight;
  }
}
