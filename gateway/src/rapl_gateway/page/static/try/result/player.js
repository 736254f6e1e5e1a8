// Plays a recording beside its transcript.

import { h, icon, label } from "../../dom.js";
import { clock } from "../../i18n.js";
import { PAUSE, PLAY } from "../../icons.js";
import { outlineOf, peaksOf } from "./peaks.js";
import { transcriptOf } from "./transcript.js";
import { drawWaveform } from "./waveform.js";

const FAR_S = 1e7; // seeking past every end makes a browser find the length that a recording of its own does not state

/**
 * Returns the player and the transcript of a file. The browser reads the file from the disk while it plays.
 *
 * @returns {{element: HTMLElement, close: function}} `close` frees what the browser holds of the file.
 */
export function playerOf(file, result) {
  const url = URL.createObjectURL(file);
  const audio = h("audio", { src: url, preload: "metadata" });
  const button = h("button.primary.icon-only.round", {
    type: "button",
    onclick: () => (audio.paused ? audio.play() : audio.pause()),
  });
  const time = h("span.number.small.muted");
  const wave = h("div.waveform");
  const hint = h("p.hint", { text: "player.no_outline", hidden: true });
  const silent = h("p.note", { text: "player.cannot_play", hidden: true });
  const controls = h("div.player-row", {}, button, wave, time);
  const transcript = transcriptOf(result, (row) => playFrom(audio, row.start));
  let drawn = null;
  let isClosed = false;
  const showButton = () => {
    button.replaceChildren(icon(audio.paused ? PLAY : PAUSE));
    label(button, "aria-label", audio.paused ? "player.play" : "player.pause");
  };
  const showTime = () => {
    time.textContent = `${clock(audio.currentTime)} / ${clock(result.durationS)}`;
    const row = transcript.mark(audio.currentTime, !audio.paused);
    drawn?.mark(row?.start ?? 0, row?.end ?? 0);
  };
  for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, showButton);
  for (const event of ["timeupdate", "seeked"]) audio.addEventListener(event, showTime);
  audio.addEventListener("loadedmetadata", () => findLength(audio), { once: true });
  audio.addEventListener("error", () => {
    controls.hidden = hint.hidden = true;
    silent.hidden = false;
  });
  const redraw = () => drawn?.redraw();
  const pauseForOthers = ({ target }) => target !== audio && audio.pause();
  document.addEventListener("rapl:theme", redraw);
  document.addEventListener("play", pauseForOthers, { capture: true }); // these events do not bubble
  showButton();
  showTime();
  peaksOf(file, result.durationS).then((peaks) => {
    if (isClosed) return;
    hint.hidden = peaks !== null || controls.hidden;
    drawn = draw(wave, audio, result, peaks);
  });
  return {
    element: h("div.stack", {}, audio, controls, silent, hint, transcript.element),
    close: () => {
      isClosed = true;
      document.removeEventListener("rapl:theme", redraw);
      document.removeEventListener("play", pauseForOthers, { capture: true });
      audio.pause();
      drawn?.destroy();
      audio.removeAttribute("src");
      URL.revokeObjectURL(url);
    },
  };
}

function draw(element, audio, result, peaks) {
  const durationS = Math.max(result.durationS, 0.1);
  const outline = peaks ?? outlineOf(result.segments, durationS);
  return drawWaveform(element, { audio, peaks: outline, durationS, problems: result.problems });
}

function playFrom(audio, second) {
  audio.currentTime = second;
  audio.play();
}

function findLength(audio) {
  if (Number.isFinite(audio.duration)) return;
  audio.addEventListener("durationchange", () => (audio.currentTime = 0), { once: true });
  audio.currentTime = FAR_S;
}
