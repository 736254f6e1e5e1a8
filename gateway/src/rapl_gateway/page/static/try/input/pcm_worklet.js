// Runs in the browser's audio thread: turns what the microphone gives into pieces of 16-bit PCM, each with its peak.

const PIECE_S = 0.1;

class Pcm extends AudioWorkletProcessor {
  #piece = new Int16Array(Math.round(sampleRate * PIECE_S));
  #filled = 0;
  #peak = 0;

  constructor() {
    super();
    this.port.onmessage = () => this.#send("end"); // what is left is sent at the end
  }

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.#peak = Math.max(this.#peak, Math.abs(sample));
      this.#piece[this.#filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.#filled === this.#piece.length) this.#send("piece");
    }
    return true;
  }

  #send(kind) {
    const pcm = this.#piece.slice(0, this.#filled).buffer; // little-endian, as every browser's platform is
    this.port.postMessage({ kind, pcm, peak: this.#peak }, [pcm]);
    this.#filled = this.#peak = 0;
  }
}

registerProcessor("pcm", Pcm);
