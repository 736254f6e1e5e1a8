// The microphone: how to get it, and why there is none.

import { h, icon } from "../../dom.js";
import { WARNING } from "../../icons.js";

/** Whether the browser lets this page ask for a microphone. It does on this machine and over HTTPS. */
export const canListen = () => Boolean(navigator.mediaDevices?.getUserMedia);

/** Returns the microphone's stream, after the user has agreed. The name of its error says why there is none. */
export async function openMicrophone() {
  if (!canListen()) throw new DOMException("this page is not secure", "SecurityError");
  return navigator.mediaDevices.getUserMedia({
    audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false },
  });
}

export function closeMicrophone(stream) {
  for (const track of stream.getTracks()) track.stop();
}

const TLS_COMMANDS = `./rapl cert
RAPL_TLS_CERT=.rapl/tls/server.pem RAPL_TLS_KEY=.rapl/tls/server-key.pem RAPL_TLS_PORT=8443 ./rapl up`;
const REASONS = { SecurityError: "insecure", NotAllowedError: "denied", NotFoundError: "missing" };

/** Returns a note that says why there is no microphone and what to do. */
export function microphoneNote(error, onClose) {
  const reason = REASONS[error.name] ?? "busy";
  const commands = reason === "insecure" ? h("pre", {}, TLS_COMMANDS) : null;
  const last =
    reason === "insecure"
      ? h("p", { text: ["mic.insecure_then", { url: `https://${location.hostname}:8443/` }] })
      : null;
  return h(
    "div.note.warn",
    { role: "alert" },
    icon(WARNING),
    h(
      "div",
      {},
      h("strong", { text: `mic.${reason}` }),
      h("p", { text: `mic.${reason}_remedy` }),
      commands,
      last,
      h("div.row", {}, h("button", { type: "button", text: "mic.close", onclick: onClose })),
    ),
  );
}

/** Shows how loud it is, from values of 0 to 1. */
export class Level {
  element = h("div.level", { "aria-hidden": "true" }, h("div"));

  show(peak) {
    const decibels = 20 * Math.log10(Math.max(peak, 1e-4));
    this.element.firstChild.style.transform = `scaleX(${Math.max(0, Math.min(1, 1 + decibels / 60))})`;
  }
}
