// The models: one card for each, with its state, what it can do, and what a person can do with it.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { stateOf } from "../model.js";
import { card } from "./card.js";
import { pullForm } from "./pull.js";
import { hide, showList } from "./show.js";

const PULLS = "mlx-service";

/**
 * Returns the section of the models.
 *
 * @param {{changed: function(), say: function(string)}} view what it tells: that the state must be read again, and a
 *   sentence for a screen reader.
 * @returns {{element: Element, update: function(status, models)}}
 */
export function models(view) {
  const list = h("ul.stack", { "aria-labelledby": "fleet-models" });
  const states = new Map();
  const form = pullForm(view);
  const element = h(
    "section.stack",
    { "aria-labelledby": "fleet-models" },
    h("h2", { id: "fleet-models", text: "fleet.models" }),
    list,
    form,
  );
  const update = (status, listed) => {
    const found = withNames(status, listed);
    hide(form, !canPull(status));
    showList(
      list,
      found,
      (model) => model.id,
      () => card(view),
    );
    for (const model of found) {
      if (states.has(model.id) && states.get(model.id) !== model.state) sayChange(view, model);
      states.set(model.id, model.state);
    }
  };
  return { element, update };
}

/** Returns the models without other names; each has its other names, and whether it is the default one. */
function withNames(status, listed) {
  const byId = new Map(listed.map((model) => [model.id, model]));
  const skipped = new Set(status.problems.filter((each) => each.status === "skipped").map((each) => each.subject));
  const subjects = new Set(status.problems.map((each) => each.subject));
  const preferred = byId.get(status.default_model)?.engine_model;
  const own = listed.filter((model) => model.id === model.engine_model || !byId.has(model.engine_model));
  const namesOf = (model) => listed.filter((each) => each.engine_model === model.engine_model && each.id !== model.id);
  return own
    .filter((model) => !(skipped.has(model.owned_by) && model.state === "unreachable"))
    .map((model) => ({
      ...model,
      isDefault: model.engine_model === preferred,
      isInProblems: subjects.has(model.state === "unreachable" ? model.owned_by : model.id),
      names: namesOf(model).map(({ id }) => id),
    }))
    .sort((one, other) => other.isDefault - one.isDefault);
}

/** Whether an engine runs that downloads models when they are loaded. */
function canPull({ backends }) {
  return backends.some(({ service, replicas }) => service === PULLS && replicas.some(({ state }) => state === "ok"));
}

function sayChange(view, model) {
  view.say(`${model.id}: ${t(`fleet.state.${stateOf(model)}`)}`);
}
