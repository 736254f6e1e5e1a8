// The waveform of a recording, with its doubtful and damaged places. wavesurfer.js draws it and follows the player.

import WaveSurfer from "../../vendor/wavesurfer.js";
import { clock, setText } from "../../i18n.js";

export const WAVEFORM_HEIGHT = 88; // wavesurfer.js writes it into its style sheet, whose digest the server's policy has
const STEP_S = 5;
const EDGE_PX = 6;

/**
 * Draws a recording into an element that is a slider for the keyboard: arrows move by 5 s, Home and End to the ends.
 *
 * @returns {{redraw: function, mark: function, destroy: function}} `redraw` takes up the colours of a changed theme;
 *   `mark(start, end)` shows which part is spoken now.
 */
export function drawWaveform(element, { audio, peaks, durationS, problems }) {
  const surfer = WaveSurfer.create({
    container: element,
    media: audio,
    peaks: [peaks],
    duration: durationS,
    height: WAVEFORM_HEIGHT,
    barWidth: 2,
    barGap: 1,
    barRadius: 2,
    cursorWidth: 2,
    dragToSeek: true,
    hideScrollbar: true,
    ...coloursOf(element),
  });
  const current = place("current");
  element.append(
    current,
    ...problems.map((problem) => at(place(problem.isDamage ? "damaged" : "doubtful"), problem, durationS)),
  );
  makeSlider(element, audio, durationS);
  return {
    redraw: () => surfer.setOptions(coloursOf(element)),
    mark: (start, end) => at(current, { start, end }, durationS),
    destroy: () => surfer.destroy(),
  };
}

function place(kind) {
  const element = document.createElement("div");
  element.className = `place ${kind}`;
  return element;
}

/** Damage may lie behind the end: what is missing there is not in the recording, and gets a mark at its edge. */
function at(element, { start, end }, durationS) {
  const [from, to] = [start, end].map((second) => (100 * Math.min(second, durationS)) / durationS);
  element.style.left = `min(${from}%, calc(100% - ${EDGE_PX}px))`;
  element.style.width = `${to - from}%`;
  return element;
}

function coloursOf(element) {
  const style = getComputedStyle(element); // the style sheet gives these properties the colours of the theme
  return { waveColor: style.color, progressColor: style.outlineColor, cursorColor: style.borderBottomColor };
}

function makeSlider(element, audio, durationS) {
  const keys = {
    ArrowLeft: () => audio.currentTime - STEP_S,
    ArrowDown: () => audio.currentTime - STEP_S,
    ArrowRight: () => audio.currentTime + STEP_S,
    ArrowUp: () => audio.currentTime + STEP_S,
    Home: () => 0,
    End: () => durationS,
  };
  element.tabIndex = 0;
  element.setAttribute("role", "slider");
  element.setAttribute("aria-valuemin", "0");
  element.setAttribute("aria-valuemax", String(Math.round(durationS)));
  setText(element, "player.position", {}, "aria-label");
  const show = () => {
    element.setAttribute("aria-valuenow", String(Math.round(audio.currentTime)));
    element.setAttribute("aria-valuetext", clock(audio.currentTime));
  };
  audio.addEventListener("timeupdate", show);
  show();
  element.addEventListener("keydown", (event) => {
    const wanted = keys[event.key]?.();
    if (wanted === undefined) return;
    event.preventDefault();
    audio.currentTime = Math.min(durationS, Math.max(0, wanted));
  });
}
