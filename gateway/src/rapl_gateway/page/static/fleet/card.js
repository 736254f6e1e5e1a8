// One model: its state, its sizes, the progress of its download, and the buttons that change it.

import { ApiError, postJson, request } from "../api.js";
import { h } from "../dom.js";
import { bytes, currentLanguage, inWords, languageName, t } from "../i18n.js";
import { canLoad, hasWeights, pathOf, stateOf } from "../model.js";
import { removalConfirmed, unloadConfirmed } from "./confirm.js";
import { hide, set, show, showSentence, showState, write } from "./show.js";

const MOODS = { ready: "good", downloading: "warn", loading: "warn", failed: "bad", unreachable: "bad" };
const SELF_TEST = "rapl/selftest"; // it ships with RAPL, so it cannot be removed
const ABILITIES = ["word_timestamps", "emotion_and_events", "translation", "prompt", "keywords"];
const MANY_LANGUAGES = 6;

/** Returns the card of a model, as {element, update(model)}. */
export function card(view) {
  const made = {
    name: h("h3.fleet-name", { lang: "en" }),
    mark: h("span.mark", { text: "fleet.default" }),
    state: h("span.state"),
    facts: h("p.small.muted"),
    abilities: h("p.small.muted"),
    names: h("p.small.muted"),
    bar: h("progress"),
    progress: h("p.small.number"),
    reason: h("p.small"),
    remedy: h("p.small"),
    elsewhere: h("p.small"),
    error: h("p.small.fleet-error", { role: "alert", hidden: true }),
    buttons: h("div.row"),
  };
  const actions = buttons(made, view);
  const element = h(
    "li.card.fleet-model",
    {},
    h(
      "div.fleet-about",
      {},
      h("div.row", {}, made.name, made.mark),
      made.facts,
      made.abilities,
      made.names,
      made.bar,
      made.progress,
      made.reason,
      made.remedy,
      made.elsewhere,
      made.error,
    ),
    h("div.fleet-actions", {}, made.state, made.buttons),
  );
  const update = (model) => {
    made.model = model;
    showModel(made, model);
    actions.update(model);
  };
  return { element, update };
}

function showModel(made, model) {
  show(made.name, model.id);
  hide(made.mark, !model.isDefault);
  const state = stateOf(model);
  showState(made.state, MOODS[state] ?? null, t(`fleet.state.${state}`));
  show(made.facts, facts(model).join(" · "));
  show(made.abilities, abilities(model).join(" · ") || null);
  show(made.names, model.names.length ? t("fleet.names", { names: model.names.join(", ") }) : null);
  showProgress(made, model);
  const isWrong = ["failed", "unreachable"].includes(state) || (state === "absent" && model.remedy);
  const isHere = isWrong && !model.isInProblems;
  showSentence(made.reason, isHere ? model.reason : null);
  showSentence(made.remedy, isHere ? model.remedy : null);
  show(made.elsewhere, isWrong && !isHere ? t("fleet.see_problems") : null);
}

function facts(model) {
  const found = [model.owned_by];
  if (hasWeights(model)) found.push(t("fleet.on_disk", { size: bytes(model.disk_bytes) }));
  if (model.memory_bytes) found.push(t("fleet.in_memory", { size: bytes(model.memory_bytes) }));
  if (model.state === "ready" && model.load_s) found.push(t("fleet.loaded_in", { time: inWords(model.load_s) }));
  return found;
}

function abilities({ capabilities }) {
  if (!capabilities?.is_known) return [];
  const { languages } = capabilities;
  const spoken =
    languages &&
    (languages.length > MANY_LANGUAGES
      ? t("fleet.languages", { n: languages.length })
      : new Intl.ListFormat(currentLanguage()).format(languages.map(languageName)));
  const able = ABILITIES.filter((name) => capabilities[name]).map((name) => t(`fleet.can.${name}`));
  return [...(spoken ? [spoken] : []), ...able];
}

function showProgress(made, { id, state, progress }) {
  const isShown = state === "downloading" || state === "loading";
  hide(made.bar, !isShown);
  if (!isShown) return show(made.progress, null);
  set(made.bar, "aria-label", t(`fleet.progress_of.${state}`, { model: id }));
  const {
    done_bytes: done = 0,
    total_bytes: total = null,
    bytes_per_s: speed = null,
  } = (state === "downloading" && progress) || {};
  set(made.bar, "max", total);
  set(made.bar, "value", total ? done : null);
  show(made.progress, total ? downloadText(done, total, speed) : t(`fleet.wait.${state}`));
}

function downloadText(done, total, speed) {
  const parts = [t("fleet.downloaded", { percent: Math.floor((100 * done) / total), total: bytes(total) })];
  if (!speed) return parts[0];
  parts.push(t("fleet.speed", { speed: bytes(speed) }), t("fleet.left", { time: inWords((total - done) / speed) }));
  return parts.join(" · ");
}

/** Makes the buttons of a model, each there when it can be used. */
function buttons(made, view) {
  const path = () => pathOf(made.model.id);
  const changes = {
    load: () => postJson(`${path()}/load`),
    unload: async (button) => (await unloadConfirmed(made.model, button)) && postJson(`${path()}/unload`),
    remove: async (button) => (await removalConfirmed(made.model, button)) && request(path(), { method: "DELETE" }),
  };
  const all = Object.fromEntries(
    Object.entries(changes).map(([name, change]) => {
      const button = h(`button${name === "remove" ? ".danger" : ""}`, { type: "button" });
      button.addEventListener("click", () => run(button, change, made, view));
      made.buttons.append(button);
      return [name, button];
    }),
  );
  return { update: (model) => showButtons(all, model) };
}

function showButtons({ load, unload, remove }, model) {
  const state = stateOf(model);
  const label = (button, key) => {
    write(button, t(`fleet.${key}`));
    set(button, "aria-label", t("fleet.action_of", { action: t(`fleet.${key}`), model: model.id }));
  };
  label(load, hasWeights(model) ? "load" : "pull");
  label(unload, "unload");
  label(remove, state === "downloading" ? "stop" : "remove");
  hide(load, !canLoad(model));
  hide(unload, state !== "ready");
  hide(remove, model.id === SELF_TEST || !(hasWeights(model) || state === "downloading"));
}

async function run(button, change, made, view) {
  show(made.error, null);
  button.disabled = true;
  try {
    await change(button);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showSentence(made.error, error.message);
  } finally {
    button.disabled = false;
  }
  await view.changed();
  if (button.hidden && document.activeElement === document.body) firstShown(made.buttons)?.focus();
}

const firstShown = (row) => [...row.children].find((each) => !each.hidden);
