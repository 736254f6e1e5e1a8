// What the state of a model means for a person. A model is an entry of GET /v1/models.

import { ApiError, postJson } from "./api.js";
import { h, prose, sentence } from "./dom.js";
import { bytes, t } from "./i18n.js";

const LEAST_WEIGHTS_BYTES = 100_000; // the note of an unfinished download has some hundred bytes
const LOADS_ITSELF = "mlx-service"; // it loads a model when a request needs it, and downloads what is missing

const LEARNS_MS = 5000;
const loadsBegun = new Map(); // id -> when, in ms

/** Returns the path of a model in the API. */
export const pathOf = (id) => `/v1/models/${id.split("/").map(encodeURIComponent).join("/")}`;

/** Whether the disk has weights of the model. What a download that failed at once leaves is less. */
export const hasWeights = (model) => model.disk_bytes > LEAST_WEIGHTS_BYTES;

/** Returns the state, with two kinds of `absent`: a model whose weights are on the disk is only not in memory. */
export function stateOf(model) {
  return model.state === "absent" && hasWeights(model) && !needsCommand(model) ? "unloaded" : model.state;
}

/** Whether a remedy is a request of the API: for a person it is the button *Load*. */
export const isForScripts = (remedy) => Boolean(remedy?.startsWith("POST "));

/** Whether a person has to run a command before the model can be loaded. */
function needsCommand({ state, remedy }) {
  if (!remedy || isForScripts(remedy)) return false;
  return state === "absent" || remedy.includes("rapl pull");
}

export const isComing = ({ state }) => ["downloading", "loading"].includes(state);

/** Whether a file for the model gets a transcript, at once or after the model was loaded. */
export function takesFiles(model) {
  const loadsItself = stateOf(model) === "unloaded" && model.owned_by === LOADS_ITSELF;
  return model.state === "ready" || isComing(model) || loadsItself;
}

/** Whether *Load* can bring the model: SenseVoice's weights come only from a command on the server. */
export function canLoad(model) {
  const isOut = ["absent", "failed"].includes(model.state);
  return isOut && !needsCommand(model) && (hasWeights(model) || model.owned_by === LOADS_ITSELF);
}

/** Returns the state in words for "Try it", with the progress of a download. */
export function stateText(model) {
  const { done_bytes: done, total_bytes: total } = model.progress ?? {};
  if (model.state !== "downloading" || !done) return t(`state.${stateOf(model)}`);
  return total
    ? t("state.downloading_of", { percent: Math.floor((100 * done) / total), total: bytes(total) })
    : t("state.downloading_bytes", { done: bytes(done) });
}

/** What the server says of the model's state; nothing of a model that a button can load: the words are for scripts. */
export const reasonsOf = (model) =>
  stateOf(model) === "unloaded" ? [] : [model.reason, !isForScripts(model.remedy) && model.remedy].filter(Boolean);

/** Returns what a person should know of a model that is not ready: its state, why, and what to do. */
export const whyNot = (model) => [stateText(model), ...reasonsOf(model)].map(sentence).join(" ");

/** Whether a button has just begun to load a model: the gateway learns of its new state within 2 s. */
export const isLoadBegun = (id) => performance.now() < (loadsBegun.get(id) ?? -Infinity) + LEARNS_MS;

/** Returns a button that loads a model, and then calls `onLoading`. What fails is shown beside it. */
export function loadButton(id, onLoading = () => {}) {
  const problem = h("p.small.problem-text", { role: "alert" });
  const button = h("button", {
    type: "button",
    text: "fleet.load",
    labels: { "aria-label": ["fleet.action_of", () => ({ action: t("fleet.load"), model: id })] },
  });
  button.addEventListener("click", async () => {
    button.disabled = true;
    problem.replaceChildren();
    try {
      await postJson(`${pathOf(id)}/load`);
      loadsBegun.set(id, performance.now());
      document.dispatchEvent(new Event("rapl:models"));
      onLoading();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.replaceChildren(...prose(error.message).childNodes);
    } finally {
      button.disabled = false;
    }
  });
  return h("div.row.load", {}, button, problem);
}

/** Keeps the button that loads a model in `place` while it is not in memory. `next` gets its focus when it goes. */
export function showLoad(place, model, next) {
  const id = model && stateOf(model) === "unloaded" ? model.id : "";
  if (place.dataset.model === id) return; // the button that is there keeps its focus
  const hadFocus = place.contains(document.activeElement);
  place.dataset.model = id;
  place.replaceChildren(...(id ? [loadButton(id)] : []));
  if (hadFocus) next.focus({ preventScroll: true });
}
