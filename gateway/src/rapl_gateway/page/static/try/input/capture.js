// The microphone as 16-bit PCM.

import { address } from "../../api.js";

const WANTED_HZ = 24000; // what OpenAI's realtime API takes; speech needs no more
const LAST_PIECE_MS = 1000; // a device that was taken away may stop its audio thread

/** Hands pieces of the microphone's sound to `onPiece(pcm: ArrayBuffer, peak: 0 to 1)`. */
export class Capture {
  #context;
  #source;
  #node;

  constructor(stream, onPiece) {
    this.stream = stream;
    this.onPiece = onPiece;
  }

  /** Samples in each second. */
  get rateHz() {
    return this.#context.sampleRate;
  }

  async start() {
    this.#connect();
    await this.#context.audioWorklet.addModule(address("page/try/input/pcm_worklet.js"));
    this.#node = new AudioWorkletNode(this.#context, "pcm", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.#node.port.onmessage = ({ data }) => this.#received(data);
    this.#source.connect(this.#node);
  }

  /** Ends the capture, after its last piece was handed over. */
  async stop() {
    if (this.#node && this.#context.state === "running") {
      const ended = new Promise((resolve) => (this.onEnd = resolve));
      this.#node.port.postMessage("end");
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, LAST_PIECE_MS))]);
    }
    await this.#context?.close();
  }

  #connect() {
    try {
      this.#context = new AudioContext({ sampleRate: WANTED_HZ });
      this.#source = this.#context.createMediaStreamSource(this.stream);
    } catch (error) {
      if (error.name !== "NotSupportedError") throw error;
      this.#context.close();
      this.#context = new AudioContext(); // Firefox connects a microphone only at the rate of the device
      this.#source = this.#context.createMediaStreamSource(this.stream);
    }
  }

  #received({ kind, pcm, peak }) {
    if (pcm.byteLength) this.onPiece(pcm, peak);
    if (kind === "end") this.onEnd();
  }
}
