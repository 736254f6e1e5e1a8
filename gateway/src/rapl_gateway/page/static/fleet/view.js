// "The fleet": what runs, what is wrong, and the models. It reads GET /v1/status and /v1/models while it is shown.

import { ApiError, getJson } from "../api.js";
import { h, icon, prose, replaceContent } from "../dom.js";
import { inWords, t } from "../i18n.js";
import { WARNING } from "../icons.js";
import { askForKey } from "../key.js";
import { models } from "./models.js";
import { problems } from "./problems.js";
import { services, work } from "./services.js";
import { show } from "./show.js";

const CALM_MS = 2000; // the gateway asks its engines as often
const BUSY_MS = 500; // while a model comes or audio is queued

/** Makes the view; it is read again until it is hidden. */
export function mount(section) {
  const view = { found: null, timer: 0, isShown: false, round: 0 };
  view.said = h("p.unseen", { role: "status" });
  view.say = (sentence) => show(view.said, sentence);
  view.changed = () => refresh(view);
  view.about = h("p.muted");
  view.parts = [problems(), work(), models(view), services()];
  view.failure = failureNote(view);
  view.body = h("div.stack.fleet", { hidden: true }, ...view.parts.map((part) => part.element));
  section.append(
    h(
      "div.stack.fleet",
      {},
      h("div.fleet-head", {}, h("h1", { text: "fleet.title" }), view.about),
      view.failure.element,
      view.body,
      view.said,
    ),
  );
  document.addEventListener("rapl:language", () => draw(view, { isOld: false }));
  document.addEventListener("rapl:key", () => view.isShown && refresh(view));
  document.addEventListener("visibilitychange", () => view.isShown && !document.hidden && refresh(view));
  return {
    shown() {
      view.isShown = true;
      refresh(view);
    },
    hidden() {
      view.isShown = false;
      clearTimeout(view.timer);
    },
  };
}

/** Reads the state of the server, shows it, and does so again after a while. */
async function refresh(view) {
  clearTimeout(view.timer);
  const round = ++view.round; // an answer that was overtaken by a later request is not shown
  let failure = null;
  try {
    const [status, listed] = await Promise.all([getJson("/v1/status"), getJson("/v1/models")]);
    const speakers = status.speakers ? [status.speakers.model] : []; // it transcribes nothing, so it is not in the list
    if (round === view.round) view.found = { status, models: [...listed.data, ...speakers] };
  } catch (error) {
    failure = error;
  }
  if (round !== view.round) return;
  const mayChange = failure?.code !== "invalid_api_key"; // else nothing changes until the user gives a key
  if (mayChange && view.isShown && !document.hidden)
    view.timer = setTimeout(() => refresh(view), isBusy(view) ? BUSY_MS : CALM_MS);
  if (failure && !(failure instanceof ApiError)) throw failure;
  view.failure.show(failure);
  draw(view, { isOld: failure !== null });
}

function draw(view, { isOld }) {
  if (!view.found) return;
  const { status, models: listed } = view.found;
  view.body.hidden = false;
  view.body.classList.toggle("fleet-old", isOld);
  show(view.about, t("fleet.about", { version: status.version, time: inWords(status.uptime_s) }));
  for (const part of view.parts) part.update(status, listed);
}

function isBusy({ found }) {
  if (!found) return false;
  const isComing = found.models.some(({ state }) => ["downloading", "loading"].includes(state));
  return isComing || found.status.running_requests > 0;
}

/** Returns the note that is shown while the server does not answer. */
function failureNote(view) {
  const [title, why] = [h("strong"), h("p")];
  const again = h("button", { type: "button", text: "fleet.again", onclick: () => refresh(view) });
  const enter = h("button", { type: "button", text: "key.enter", onclick: () => askForKey(null, true) });
  const element = h(
    "div.note.bad",
    { role: "alert", hidden: true },
    icon(WARNING),
    h("div", {}, title, why, h("div.row", {}, again, enter)),
  );
  return {
    element,
    show(error) {
      const hadFocus = element.contains(document.activeElement);
      element.hidden = error === null;
      if (!error && hadFocus) document.getElementById("main").focus({ preventScroll: true });
      if (!error) return;
      const isKey = error.code === "invalid_api_key";
      show(title, error.title);
      replaceContent(why, [...prose(isKey ? t("key.missing") : error.message).childNodes]);
      again.hidden = isKey;
      enter.hidden = !isKey;
    },
  };
}
