// A recording that the browser makes. It is transcribed as a file when it ends.

import { h, icon } from "../../dom.js";
import { clock, t } from "../../i18n.js";
import { STOP } from "../../icons.js";
import { hold, release } from "../unsaved.js";
import { markListening } from "./listening.js";
import { closeMicrophone, Level } from "./microphone.js";

const PIECE_MS = 1000;

export class Recording {
  #stream;
  #onEnd;
  #recorder;
  #pieces = [];
  #isKept = true;
  #unmark;
  #level = new Level();
  #time = h("span.timer.number", { role: "timer" }, clock(0));

  /** @param {function(File, boolean)} onEnd called with the recording, and whether the user wants its text. */
  constructor(stream, onEnd) {
    this.#stream = stream;
    this.#onEnd = onEnd;
    const stop = h(
      "button.primary",
      { type: "button", onclick: () => this.#end(true) },
      icon(STOP),
      h("span", { text: "record.stop" }),
    );
    const discard = h("button.quiet", { type: "button", text: "record.discard", onclick: () => this.#end(false) });
    this.element = h(
      "div.session",
      {},
      h("div.spread", {}, h("h2.live", { text: "record.title" }), this.#time),
      this.#level.element,
      h("div.row.stay", {}, stop, discard),
    );
  }

  start() {
    hold(this);
    this.#unmark = markListening(() => this.#end(true));
    this.#recorder = new MediaRecorder(this.#stream);
    this.#recorder.ondataavailable = ({ data }) => this.#pieces.push(data);
    this.#recorder.onstop = () => this.#ended();
    this.#recorder.start(PIECE_MS);
    this.#watch();
  }

  #watch() {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    const samples = new Float32Array(analyser.fftSize);
    context.createMediaStreamSource(this.#stream).connect(analyser);
    const began = performance.now();
    const timer = setInterval(() => {
      if (this.#recorder.state === "inactive") {
        clearInterval(timer);
        return context.close();
      }
      analyser.getFloatTimeDomainData(samples);
      this.#level.show(samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0));
      this.#time.textContent = clock((performance.now() - began) / 1000);
    }, 100);
  }

  #end(isKept) {
    this.#isKept = isKept;
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
  }

  #ended() {
    closeMicrophone(this.#stream);
    this.#unmark();
    release(this);
    const type = this.#recorder.mimeType || "audio/webm";
    const extension = type.includes("mp4") ? "m4a" : type.includes("ogg") ? "ogg" : "webm";
    const now = new Date().toLocaleTimeString([], {
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hour12: false,
    });
    const name = `${t("record.name")} ${now.replaceAll(":", "-")}.${extension}`;
    this.#onEnd(new File(this.#pieces, name, { type }), this.#isKept);
  }
}
