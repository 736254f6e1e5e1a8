// What the user chooses for the next transcriptions. A choice is shown only if the model uses it.

import { h, prose, replaceContent } from "../dom.js";
import { currentLanguage, languageName, t } from "../i18n.js";
import { showLoad, stateOf, whyNot } from "../model.js";

// Offered where an engine does not list its languages.
const COMMON = [
  "ar",
  "cs",
  "da",
  "de",
  "el",
  "en",
  "es",
  "fi",
  "fr",
  "he",
  "hi",
  "hu",
  "id",
  "it",
  "ja",
  "ko",
  "nl",
  "no",
  "pl",
  "pt",
  "ro",
  "ru",
  "sv",
  "th",
  "tr",
  "uk",
  "vi",
  "yue",
  "zh",
];

/** Dispatches "change" when another model is chosen, or the chosen one has another state. */
export class Options extends EventTarget {
  #models;
  #model = h("select", { id: "option-model", onchange: () => this.#chosen() });
  #language = h("select", { id: "option-language" });
  #keywords = h("input", {
    id: "option-keywords",
    autocomplete: "off",
    labels: { placeholder: "options.keywords_example" },
  });
  #speakers = h("input", { id: "option-speakers", type: "checkbox" });
  #state = h("p.hint", { id: "option-model-state" });
  #load = h("div");
  #keywordsField;
  #speakersField;
  #wasChosen = false; // by the user
  #lacksKey = false;
  #isSettled = false; // a model that could be used was chosen: it stays, whatever becomes of it

  constructor(models) {
    super();
    this.#models = models;
    this.#model.setAttribute("aria-describedby", "option-model-state");
    this.#keywordsField = field("option-keywords", "options.keywords", this.#keywords);
    this.#speakersField = h(
      "div.field",
      {},
      h("span.label", { text: "options.speakers" }),
      h("label.check", { for: "option-speakers" }, this.#speakers, h("span", { text: "options.speakers_apart" })),
    );
    this.element = h(
      "div.options",
      {},
      field("option-model", "options.model", this.#model, this.#state, this.#load),
      field("option-language", "options.language", this.#language),
      this.#keywordsField,
      this.#speakersField,
    );
    models.addEventListener("change", () => this.#fill());
    models.addEventListener("failed", ({ detail }) => this.#failed(detail));
    document.addEventListener("rapl:language", () => this.#fill());
    this.#fill();
  }

  /** The choices {model, language, keywords, speakers}; what the model does not use is empty. */
  get values() {
    const can = this.#capabilities;
    const keywords = this.#keywords.value
      .split(",")
      .map((word) => word.trim())
      .filter(Boolean);
    return {
      model: this.#model.value,
      language: this.#language.value,
      keywords: can.keywords ? keywords : [],
      speakers: Boolean(can.speakers) && this.#speakers.checked,
    };
  }

  /** The choices, after the server has named its models; a key that it wants is asked for. */
  async known() {
    await this.#models.known();
    return this.values;
  }

  /** The chosen model; null before the server has named its models. */
  get model() {
    return this.#models.find(this.#model.value);
  }

  get #capabilities() {
    return this.model?.capabilities ?? {};
  }

  #fill() {
    const before = this.#model.value;
    const names = distinct(this.#models).map((model) => {
      const state = model.state === "ready" ? "" : ` (${t(`state.${stateOf(model)}`)})`;
      return h("option", { value: model.id }, `${model.id}${state}`);
    });
    const none = this.#lacksKey ? [h("option", { value: "" }, t("options.needs_key"))] : [];
    replaceContent(this.#model, this.#models.list.length ? names : none);
    this.#model.value = this.#wanted(before) ?? "";
    this.#isSettled ||= this.model?.state === "ready";
    this.#model.disabled = !this.#models.list.length;
    this.#show();
  }

  /** The model to choose now. Only before the user has chosen is it another one, and only one that is ready. */
  #wanted(before) {
    const { best, defaultId } = this.#models;
    const isKnown = this.#models.find(before);
    const isBetter = best?.id === defaultId && !this.#wasChosen;
    return isKnown && (this.#wasChosen || this.#isSettled) && !isBetter ? before : (best?.id ?? defaultId);
  }

  #chosen() {
    this.#wasChosen = true;
    this.#show();
  }

  #failed(error) {
    this.#lacksKey = error.code === "invalid_api_key";
    if (!this.#models.list.length) this.#fill();
  }

  #show() {
    const { model } = this;
    const isReady = !model || model.state === "ready";
    replaceContent(this.#state, isReady ? [] : [...prose(whyNot(model)).childNodes]);
    showLoad(this.#load, model, this.#model);
    const can = this.#capabilities;
    this.#keywordsField.hidden = !can.keywords;
    this.#speakersField.hidden = !can.speakers;
    this.#fillLanguages(can);
    this.dispatchEvent(new Event("change"));
  }

  #fillLanguages(can) {
    const before = this.#language.value;
    const detects = can.language_detection !== false;
    const named = (can.languages ?? COMMON).map((code) => [languageName(code), code]);
    named.sort(([one], [other]) => one.localeCompare(other, currentLanguage()));
    const none = h("option", { value: "" }, t(detects ? "options.detect" : "options.any"));
    replaceContent(this.#language, [none, ...named.map(([name, code]) => h("option", { value: code }, name))]);
    this.#language.value = named.some(([, code]) => code === before) ? before : "";
  }
}

/** Returns the models without the other names of the same ones, which OpenAI's clients use. */
function distinct({ list, defaultId }) {
  const isAlias = (model) =>
    list.some((other) => other !== model && other.id === model.engine_model && other.owned_by === model.owned_by);
  return list.filter((model) => model.id === defaultId || !isAlias(model));
}

function field(id, key, control, ...below) {
  return h("div.field", {}, h("label", { for: id, text: key }), control, ...below);
}
