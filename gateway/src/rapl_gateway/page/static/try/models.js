// The server's models, asked for again while the view is shown.

import { getJson } from "../api.js";
import { isComing, isLoadBegun, pathOf } from "../model.js";

const SOON_MS = 3000; // while a model is being downloaded or loaded
const LATER_MS = 15000;

/** Keeps the list of models. Dispatches "change" when it has a new list, and "failed" with the error as `detail`. */
export class Models extends EventTarget {
  list = [];
  defaultId = null;
  #timer = null;
  #isShown = false;

  constructor() {
    super();
    for (const name of ["rapl:key", "rapl:models"])
      document.addEventListener(name, () => this.#isShown && this.#ask());
  }

  /** Asks now and from time to time, until `stop`. */
  start() {
    this.#isShown = true;
    this.#ask();
  }

  stop() {
    this.#isShown = false;
    clearTimeout(this.#timer);
  }

  find(id) {
    return this.list.find((model) => model.id === id) ?? null;
  }

  /** The model to begin with: the server's default if it is ready, else one that is; null if none is ready. */
  get best() {
    const ready = this.list.filter((model) => model.state === "ready");
    return ready.find((model) => model.id === this.defaultId) ?? ready[0] ?? null;
  }

  /** Asks for an action of the user, if the server has not named its models yet. It never throws. */
  async known() {
    if (!this.list.length) await this.#ask({ isAction: true });
  }

  async #ask(options = {}) {
    clearTimeout(this.#timer);
    try {
      const [models, status] = await Promise.all([getJson("v1/models", options), getJson("v1/status", options)]);
      this.list = models.data;
      this.defaultId = status.default_model;
      this.dispatchEvent(new Event("change"));
    } catch (error) {
      this.dispatchEvent(new CustomEvent("failed", { detail: error }));
      if (error.code === "invalid_api_key") return; // until there is a key: "rapl:key" tells of it
    }
    const isSoon = this.list.some(isComing) || !this.list.length;
    if (this.#isShown) this.#timer = setTimeout(() => this.#ask(), isSoon ? SOON_MS : LATER_MS);
  }
}

/** Returns a model as it is now; null if the server does not say, or none is named. */
export const modelNow = (id, signal) => (id ? getJson(pathOf(id), { signal }).catch(() => null) : Promise.resolve(null));

/** Waits until a model is no longer on its way, and returns it. */
export async function untilReady(id, signal, onModel) {
  for (;;) {
    const model = await getJson(pathOf(id), { signal });
    onModel(model);
    if (model.state === "ready" || !(isComing(model) || isLoadBegun(id))) return model;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
