// The form that brings another model onto the server's machine.

import { ApiError, postJson } from "../api.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { pathOf } from "../model.js";
import { show, showSentence } from "./show.js";

const EXAMPLE = "mlx-community/parakeet-tdt-0.6b-v3";

/** Returns the form. `view` is that of `models`. */
export function pullForm(view) {
  const field = h("input", {
    id: "fleet-pull",
    type: "text",
    required: true,
    placeholder: EXAMPLE,
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "none",
    "aria-describedby": "fleet-pull-hint fleet-pull-error",
    lang: "en",
  });
  const button = h("button", { type: "submit", text: "fleet.pull" });
  const error = h("p.small.fleet-error", { id: "fleet-pull-error", role: "alert", hidden: true });
  const form = h(
    "form.fleet-pull",
    {},
    h("div.field", {}, h("label", { for: "fleet-pull", text: "fleet.pull_label" }), field),
    button,
    h("p.hint", { id: "fleet-pull-hint", text: "fleet.pull_hint" }),
    error,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    show(error, null);
    button.disabled = true;
    await pull(field, error, view).finally(() => (button.disabled = false));
  });
  return form;
}

async function pull(field, error, view) {
  const model = field.value.trim();
  try {
    await postJson(`${pathOf(model)}/load`);
    field.value = "";
    view.say(t("fleet.pulling", { model }));
  } catch (failed) {
    if (!(failed instanceof ApiError)) throw failed;
    showSentence(error, failed.message);
    field.focus();
  }
  await view.changed();
}
