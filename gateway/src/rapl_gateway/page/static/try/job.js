// One file on its way: sent, transcribed, done.

import { ApiError, getJson, upload } from "../api.js";
import { modelNow, untilReady } from "./models.js";
import { fieldsOf, formOf } from "./request.js";
import { Result } from "./result/result.js";
import { timeLeft } from "./time_left.js";

const POLL_MS = 700;
const RUNNING = ["sending", "loading", "working"];

/**
 * Dispatches "change" when its state changes and "progress" in between.
 *
 * state: "waiting", "sending", "loading" (nothing is done, for the model is not ready), "working", "done", "failed" or
 * "cancelled".
 */
export class Job extends EventTarget {
  state = "waiting";
  progress = {}; // while sending: {part: 0 to 1}; while working: {doneS, durationS, leftS}
  model = null; // the model, while it is not ready and the work does not go on
  result = null;
  error = null;
  #stop = new AbortController();

  /** @param {boolean} isOnlyHere whether the page has the file and no disk does: a recording of the browser. */
  constructor(file, options, isOnlyHere = false) {
    super();
    this.file = file;
    this.isOnlyHere = isOnlyHere;
    this.fields = fieldsOf(options);
  }

  get isRunning() {
    return RUNNING.includes(this.state);
  }

  get hasEnded() {
    return !this.isRunning && this.state !== "waiting";
  }

  /** Whether work would be lost with the page: under way, a text, or a recording without a text. */
  get hasSomethingToLose() {
    if (this.state === "done") return this.result.text.trim() !== "";
    return !this.hasEnded || this.isOnlyHere;
  }

  cancel() {
    if (this.hasEnded) return;
    this.#stop.abort();
    this.#become("cancelled");
  }

  /** Whether another try may end otherwise: not with a file that has no sound. */
  get mayTryAgain() {
    return this.error?.code !== "audio_undecodable";
  }

  /** Puts a job that failed or was cancelled into the queue again; with new options, if they are given. */
  again(options = null) {
    if (!this.hasEnded) return; // another button has done so
    if (options) this.fields = fieldsOf(options);
    this.error = null;
    this.#stop = new AbortController();
    this.#become("waiting");
  }

  /** Sends the file and waits for its transcript; it never throws. */
  async run() {
    const stop = this.#stop;
    try {
      this.result = await this.#transcribed();
      this.#become("done");
    } catch (error) {
      if (stop.signal.aborted) return; // `cancel` has said so, and the job may be in the queue again
      this.error = (await isReadable(this.file)) ? error : new ApiError(0, { message: "", code: "file_gone" });
      this.#become("failed");
    }
  }

  async #transcribed() {
    try {
      return await this.#sent();
    } catch (error) {
      if (error.code !== "model_not_ready" || !this.fields.model) throw error;
      this.#become("loading");
      const model = await untilReady(this.fields.model, this.#stop.signal, (now) => this.#tell({}, now));
      if (model.state !== "ready") throw Object.assign(error, { model });
      return await this.#sent();
    }
  }

  async #sent() {
    this.#become("sending", { part: 0 });
    const id = `page-${[...crypto.getRandomValues(new Uint32Array(3))].map((part) => part.toString(36)).join("")}`;
    const onSent = (loaded, total) => {
      this.#tell({ part: total ? loaded / total : 0 });
      if (loaded >= total && this.state === "sending") this.#become("working", {}, this.model);
    };
    const stopped = this.#watch(id);
    try {
      const form = formOf(this.file, this.fields);
      const answer = await upload("v1/audio/transcriptions", form, {
        headers: { "x-request-id": id },
        onSent,
        signal: this.#stop.signal,
        isAction: Boolean(this.fields.model), // without one the user has just closed the dialog for the key
      });
      return new Result(answer.text, answer.headers);
    } finally {
      clearTimeout(stopped.timer);
      stopped.hasEnded = true;
    }
  }

  /** Asks the server how far it is and whether the model is ready, until the object that it returns says `hasEnded`. */
  #watch(id) {
    const { signal } = this.#stop;
    const stopped = { hasEnded: false, timer: null };
    const estimate = timeLeft();
    let before = 0;
    const ask = async () => {
      // While it is sent, and at the very end, the server knows no progress.
      const asked = this.state === "sending" ? null : getJson(`v1/progress/${id}`, { signal }).catch(() => null);
      const [progress, model] = await Promise.all([asked, modelNow(this.fields.model, signal)]);
      if (stopped.hasEnded || signal.aborted) return;
      const goesOn = !model || model.state === "ready" || (progress?.done_s ?? 0) > before;
      before = progress?.done_s ?? before;
      const shown = progress ? estimate(progress, performance.now() / 1000) : this.progress;
      this.#show(shown, goesOn ? null : model);
      stopped.timer = setTimeout(ask, POLL_MS);
    };
    ask();
    return stopped;
  }

  #show(progress, model) {
    const state = this.state === "sending" ? "sending" : model ? "loading" : "working";
    if (state !== this.state) this.#become(state, progress, model);
    else this.#tell(progress, model);
  }

  #become(state, progress = {}, model = null) {
    this.state = state;
    this.#tell(progress, model);
    this.dispatchEvent(new Event("change"));
  }

  #tell(progress, model = this.model) {
    this.progress = progress;
    this.model = model;
    this.dispatchEvent(new Event("progress"));
  }
}

/** Whether the browser can still read the file: it may have been moved or changed since it was chosen. */
async function isReadable(file) {
  return file
    .slice(0, 1)
    .arrayBuffer()
    .then(() => true)
    .catch(() => false);
}
