// A realtime session: audio goes out, words come back. docs/realtime.md describes the events.

import { address, ApiError } from "../../api.js";
import { currentKey } from "../../key.js";

const ENDING_MS = 25_000; // the server gives the last turns 20 s for their texts
const BYTES_AT_ONCE = 8192; // the most that String.fromCharCode takes safely as arguments

/**
 * Dispatches "text" for new words, "speech" when speech starts or stops, "failed" (its detail is an ApiError) and
 * "closed".
 */
export class Realtime extends EventTarget {
  turns = new Map(); // item id -> {text, isDone}, in the order in which they began
  isSpeech = false;
  #socket;
  #early = []; // audio from before the session was open; null after that
  #onEnded = null;

  /** Connects, and declares what will be sent. Throws a sentence's error if the server refuses. */
  async open({ model, language, keywords }, rateHz) {
    const url = address("v1/realtime?intent=transcription").replace(/^http/, "ws");
    const key = currentKey();
    this.#socket = new WebSocket(url, ["realtime", ...(key ? [`openai-insecure-api-key.${key}`] : [])]);
    this.#socket.onmessage = ({ data }) => this.#received(JSON.parse(data));
    await new Promise((resolve, reject) => {
      this.#socket.onopen = resolve;
      this.#socket.onclose = () => reject(new Error("refused")); // also after an error, which says nothing more
    });
    this.#socket.onclose = () => this.#closed();
    const transcription = { model, ...(language && { language }), ...(keywords.length && { keywords }) };
    const input = {
      format: { type: "audio/pcm", rate: rateHz },
      transcription,
      turn_detection: { type: "server_vad" },
    };
    this.#send({ type: "session.update", session: { type: "transcription", audio: { input } } });
    const early = this.#early;
    this.#early = null;
    early.forEach((pcm) => this.append(pcm));
  }

  append(pcm) {
    if (this.#early) this.#early.push(pcm);
    else this.#send({ type: "input_audio_buffer.append", audio: base64(pcm) });
  }

  /** Ends the audio, waits for the texts of its turns, and closes the session. Returns whether all texts came. */
  async end() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    const ended = new Promise((resolve) => (this.#onEnded = resolve));
    this.#send({ type: "input_audio_buffer.commit" });
    const late = new Promise((resolve) => setTimeout(resolve, ENDING_MS, false));
    const isWhole = await Promise.race([ended, late]);
    this.#socket.close();
    return isWhole;
  }

  get text() {
    return [...this.turns.values()].map(({ text }) => text.trim()).filter(Boolean);
  }

  #send(event) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(event));
  }

  #received(event) {
    const handler = HANDLERS[event.type];
    if (handler) handler(this, event);
    const isEnding = this.#onEnded && event.type.endsWith("committed") ? (this.isCommitted = true) : this.isCommitted;
    if (this.#onEnded && isEnding && [...this.turns.values()].every((turn) => turn.isDone)) this.#onEnded(true);
  }

  #closed() {
    this.#onEnded?.(false);
    this.dispatchEvent(new Event("closed"));
  }

  turn(id) {
    if (!this.turns.has(id)) this.turns.set(id, { text: "", isDone: false });
    return this.turns.get(id);
  }
}

const TRANSCRIPTION = "conversation.item.input_audio_transcription";
const HANDLERS = {
  [`${TRANSCRIPTION}.delta`]: (session, { item_id: id, delta }) => {
    session.turn(id).text += delta;
    session.dispatchEvent(new Event("text"));
  },
  [`${TRANSCRIPTION}.completed`]: (session, { item_id: id, transcript }) => {
    Object.assign(session.turn(id), { text: transcript, isDone: true });
    session.dispatchEvent(new Event("text"));
  },
  [`${TRANSCRIPTION}.failed`]: (session, { item_id: id, error }) => {
    session.turn(id).isDone = true;
    session.dispatchEvent(new CustomEvent("failed", { detail: asError(error) }));
  },
  "input_audio_buffer.committed": (session, { item_id: id }) => session.turn(id),
  "input_audio_buffer.speech_started": (session) => tellSpeech(session, true),
  "input_audio_buffer.speech_stopped": (session) => tellSpeech(session, false),
  error: (session, { error }) => session.dispatchEvent(new CustomEvent("failed", { detail: asError(error) })),
};

const asError = (error) => new ApiError(0, error);

function tellSpeech(session, isSpeech) {
  session.isSpeech = isSpeech;
  session.dispatchEvent(new Event("speech"));
}

function base64(pcm) {
  const bytes = new Uint8Array(pcm);
  let text = "";
  for (let at = 0; at < bytes.length; at += BYTES_AT_ONCE)
    text += String.fromCharCode(...bytes.subarray(at, at + BYTES_AT_ONCE));
  return btoa(text);
}
