// A mark in the head of the page while the microphone is open, for the time in which another view is shown.

import { h, icon } from "../../dom.js";
import { STOP } from "../../icons.js";

/** Shows the mark with a button that calls `onStop`. Returns the function that takes it away. */
export function markListening(onStop) {
  const stop = h("button.quiet", { type: "button", onclick: onStop }, icon(STOP), h("span", { text: "live.stop" }));
  const mark = h("div.listening", {}, h("span.live.small", { role: "status", text: "live.listening" }), stop);
  document.querySelector(".top .tools").prepend(mark);
  return () => mark.remove();
}
