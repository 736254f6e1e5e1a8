// What the JavaScript clients share: the audio, twice as fast as it is spoken, and the turns that came back.
import fs from "node:fs";

const PIECE_MS = 40;
const PIECE_BYTES = PIECE_MS * 48; // of 24 kHz mono s16le
const SPEED = 2;
const LIMIT_MS = 60_000;

export async function* pieces(file) {
  const audio = fs.readFileSync(file);
  for (let at = 0; at < audio.length; at += PIECE_BYTES) {
    yield audio.subarray(at, at + PIECE_BYTES);
    await new Promise((resolve) => setTimeout(resolve, PIECE_MS / SPEED));
  }
}

/** The turns of one session: `take` gets each event of the server, `count` waits for that many turns and returns them. */
export class Turns {
  #committed = []; // item ids; a later turn may have its text first
  #deltas = {};
  #completed = [];
  #failure;
  #wake = () => {};

  take(event) {
    const item = event.item_id;
    if (event.type === "input_audio_buffer.committed") this.#committed.push(item);
    if (event.type.endsWith("transcription.delta")) this.#deltas[item] = (this.#deltas[item] ?? "") + event.delta;
    if (event.type.endsWith("transcription.completed")) {
      this.#completed.push({ item, transcript: event.transcript, deltas: this.#deltas[item] ?? "" });
    }
    if (event.type.endsWith("failed")) this.fail(JSON.stringify(event.error));
    this.#wake();
  }

  fail(reason) {
    this.#failure = reason;
    this.#wake();
  }

  async count(turns) {
    const limit = setTimeout(() => this.fail(`only ${this.#completed.length} turns`), LIMIT_MS);
    while (!this.#failure && this.#completed.length < turns) await new Promise((resolve) => (this.#wake = resolve));
    clearTimeout(limit);
    if (this.#failure) throw new Error(this.#failure);
    const place = ({ item }) => this.#committed.indexOf(item);
    return this.#completed.toSorted((one, other) => place(one) - place(other));
  }
}

export function session(model, turnDetection) {
  const format = { type: "audio/pcm", rate: 24000 };
  return { type: "transcription", audio: { input: { format, transcription: { model }, turn_detection: turnDetection } } };
}

/** Speaks the files. `send(event)` sends one event. An empty turn at the end shows that no other one is missing. */
export async function speak(files, mode, turns, send) {
  for (const file of files) {
    for await (const piece of pieces(file)) send({ type: "input_audio_buffer.append", audio: piece.toString("base64") });
    if (mode === "client") send({ type: "input_audio_buffer.commit" });
  }
  await turns.count(files.length);
  send({ type: "input_audio_buffer.commit" });
  return await turns.count(files.length + 1);
}
