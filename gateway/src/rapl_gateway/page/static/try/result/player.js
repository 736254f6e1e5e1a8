// Plays a recording beside its transcript.

import { h, icon, label } from "../../dom.js";
import { clock } from "../../i18n.js";
import { PAUSE, PLAY } from "../../icons.js";
import { outlineOf, peaksOf } from "./peaks.js";
import { transcriptOf } from "./transcript.js";
import { drawWaveform } from "./waveform.js";

const FAR_S = 1e7; // seeking past every end makes a browser find the length that a recording of its own does not state
const SHORTEST_S = 0.1; // a waveform needs some length

/** A player and the transcript of a file. The browser reads the file from the disk while it plays. */
export class Player {
  #result;
  #url;
  #audio;
  #button = h("button.primary.icon-only.round", { type: "button", onclick: () => this.#toggle() });
  #time = h("span.number.small.muted");
  #wave = h("div.waveform");
  #hint = h("p.hint", { text: "player.no_outline", hidden: true });
  #silent = h("p.note", { text: "player.cannot_play", hidden: true });
  #controls = h("div.player-row", {}, this.#button, this.#wave, this.#time);
  #transcript;
  #drawn = null;
  #closing = new AbortController();

  constructor(file, result) {
    this.#result = result;
    this.#url = URL.createObjectURL(file);
    this.#audio = h("audio", { src: this.#url, preload: "metadata" });
    this.#transcript = transcriptOf(result, (row) => this.#playFrom(row.start));
    const parts = [this.#audio, this.#controls, this.#silent, this.#hint, this.#transcript.element];
    this.element = h("div.stack", {}, ...parts);
    this.#listen();
    this.#showButton();
    this.#showTime();
    this.#draw(file);
  }

  pause() {
    this.#audio.pause();
  }

  /** Frees what the browser holds of the file. */
  close() {
    this.#closing.abort();
    this.#audio.pause();
    this.#drawn?.destroy();
    this.#audio.removeAttribute("src");
    URL.revokeObjectURL(this.#url);
  }

  #listen() {
    const audio = this.#audio;
    for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, () => this.#showButton());
    for (const event of ["timeupdate", "seeked"]) audio.addEventListener(event, () => this.#showTime());
    audio.addEventListener("loadedmetadata", () => findLength(audio), { once: true });
    audio.addEventListener("error", () => {
      this.#controls.hidden = this.#hint.hidden = true;
      this.#silent.hidden = false;
    });
    const { signal } = this.#closing;
    const pauseForOthers = ({ target }) => target !== audio && audio.pause();
    document.addEventListener("play", pauseForOthers, { capture: true, signal }); // these events do not bubble
    document.addEventListener("rapl:theme", () => this.#drawn?.redraw(), { signal });
  }

  async #draw(file) {
    const { durationS, segments, problems } = this.#result;
    const found = await peaksOf(file, durationS);
    if (this.#closing.signal.aborted) return;
    const lengthS = Math.max(durationS, SHORTEST_S);
    const peaks = found ?? outlineOf(segments, lengthS);
    this.#hint.hidden = found !== null || this.#controls.hidden;
    this.#drawn = drawWaveform(this.#wave, { audio: this.#audio, peaks, durationS: lengthS, problems });
  }

  #toggle() {
    if (this.#audio.paused) this.#audio.play();
    else this.#audio.pause();
  }

  #playFrom(second) {
    this.#audio.currentTime = second;
    this.#audio.play();
  }

  #showButton() {
    const { paused } = this.#audio;
    this.#button.replaceChildren(icon(paused ? PLAY : PAUSE));
    label(this.#button, "aria-label", paused ? "player.play" : "player.pause");
  }

  #showTime() {
    const { currentTime, paused } = this.#audio;
    this.#time.textContent = `${clock(currentTime)} / ${clock(this.#result.durationS)}`;
    const row = this.#transcript.mark(currentTime, !paused);
    this.#drawn?.mark(row?.start ?? 0, row?.end ?? 0);
  }
}

function findLength(audio) {
  if (Number.isFinite(audio.duration)) return;
  audio.addEventListener("durationchange", () => (audio.currentTime = 0), { once: true });
  audio.currentTime = FAR_S;
}
