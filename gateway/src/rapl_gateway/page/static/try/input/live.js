// Speaking: the words appear while the user talks, as soon as they are settled.

import { getJson } from "../../api.js";
import { h, icon } from "../../dom.js";
import { clock, setText, t } from "../../i18n.js";
import { COPY, DOWNLOAD, MICROPHONE, STOP, WARNING } from "../../icons.js";
import { actionOf } from "../action.js";
import { failure } from "../first_visit.js";
import { copy, save } from "../result/formats.js";
import { Capture } from "./capture.js";
import { closeMicrophone, Level } from "./microphone.js";
import { Realtime } from "./realtime.js";

export class Live {
  #options;
  #onClose;
  #realtime = new Realtime();
  #capture;
  #level = new Level();
  #title = h("h2.live", { text: "live.connecting" });
  #time = h("span.timer.number", { role: "timer" }, clock(0));
  #words = h("div.words", { "aria-live": "polite", tabIndex: 0, labels: { "aria-label": "live.words" } });
  #problem = h("div", { role: "alert" });
  #buttons = h("div.row");
  #timer = null;

  /** @param {function(boolean)} onClose called when the user is done with the text; true: to speak again. */
  constructor(stream, options, onClose) {
    this.#options = options;
    this.#onClose = onClose;
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
    this.element = h(
      "div.session",
      {},
      h("div.spread", {}, this.#title, this.#time),
      this.#level.element,
      this.#words,
      this.#problem,
      this.#buttons,
    );
    this.#showWords();
    this.#follow();
  }

  async start() {
    try {
      await getJson("v1/models"); // a WebSocket cannot say that a key is missing; this asks for it
      await this.#capture.start();
      await this.#realtime.open(this.#options, this.#capture.rateHz);
    } catch (error) {
      this.#words.hidden = this.#time.hidden = true;
      this.#problem.replaceChildren(error.title ? failure(error) : h("p", { text: "live.refused" }));
      return this.stop();
    }
    setText(this.#title, "live.listening");
    const began = performance.now();
    this.#timer = setInterval(() => (this.#time.textContent = clock((performance.now() - began) / 1000)), 500);
  }

  /** Ends the audio; the words that are still being worked on come first. */
  async stop() {
    if (this.isStopping) return;
    this.isStopping = true;
    clearInterval(this.#timer);
    setText(this.#title, "live.finishing");
    this.#buttons.hidden = true;
    await this.#capture.stop();
    closeMicrophone(this.#capture.stream);
    this.#level.element.hidden = true;
    await this.#realtime.end();
    setText(this.#title, this.#words.hidden ? "live.failed" : "live.ended");
    this.#title.classList.remove("live");
    this.#showWords();
    this.#offer();
  }

  #follow() {
    this.#realtime.addEventListener("text", () => this.#showWords());
    this.#realtime.addEventListener("speech", () => this.#showWords());
    this.#realtime.addEventListener("failed", ({ detail }) => this.#showProblem(detail));
    this.#realtime.addEventListener("closed", () => {
      if (!this.isStopping) this.#showProblem(t("live.closed"));
      this.stop();
    });
  }

  #offer() {
    const text = () => `${this.#realtime.text.join("\n")}\n`;
    const again = h(
      "button.primary",
      { type: "button", onclick: () => this.#onClose(true) },
      icon(MICROPHONE),
      h("span", { text: "live.again" }),
    );
    const close = h("button.quiet", { type: "button", text: "live.close", onclick: () => this.#onClose(false) });
    const actions = this.#realtime.text.length
      ? [
          actionOf("format.copy", COPY, () => copy(text())),
          actionOf("format.download", DOWNLOAD, () => save("speech.txt", text(), "text/plain")),
        ]
      : [];
    this.#buttons.hidden = false;
    this.#buttons.replaceChildren(again, ...actions, close);
    this.#buttons.querySelector("button").focus();
  }

  #showWords() {
    const turns = [...this.#realtime.turns.values()].filter(({ text }) => text.trim());
    const open = this.#realtime.isSpeech && !this.isStopping ? h("p.hearing", { "aria-hidden": "true" }, "…") : null;
    const hint = turns.length || open ? null : h("p.muted", { text: this.isStopping ? "live.nothing" : "live.hint" });
    const lines = turns.map(({ text, isDone }) => h(isDone ? "p" : "p.open", {}, text.trim()));
    this.#words.replaceChildren(...[...lines, open, hint].filter(Boolean));
    this.#words.scrollTop = this.#words.scrollHeight;
  }

  #showProblem(message) {
    this.#problem.replaceChildren(h("div.note.bad", {}, icon(WARNING), h("p", {}, message)));
  }
}
