// What the user chooses for the next transcriptions. A choice is shown only if the model uses it.

import { h, prose, replaceContent, sentence } from "../dom.js";
import { bytes, currentLanguage, languageName, t } from "../i18n.js";

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

export class Options {
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
  #keywordsField;
  #speakersField;
  #wasChosen = false;

  constructor(models) {
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
      field("option-model", "options.model", this.#model, this.#state),
      field("option-language", "options.language", this.#language),
      this.#keywordsField,
      this.#speakersField,
    );
    models.addEventListener("change", () => this.#fill());
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

  get #capabilities() {
    return this.#models.find(this.#model.value)?.capabilities ?? {};
  }

  #fill() {
    const before = this.#model.value;
    const names = distinct(this.#models).map(({ id, state }) =>
      h("option", { value: id }, state === "ready" ? id : `${id} (${t(`state.${state}`)})`),
    );
    replaceContent(this.#model, names);
    const wanted = this.#wasChosen && this.#models.find(before) ? before : this.#models.best?.id;
    this.#model.value = wanted ?? this.#models.defaultId ?? "";
    this.#model.disabled = !this.#models.list.length;
    this.#show();
  }

  #chosen() {
    this.#wasChosen = true;
    this.#show();
  }

  #show() {
    const model = this.#models.find(this.#model.value);
    const isReady = !model || model.state === "ready";
    const why = isReady ? [] : [stateOf(model), model.reason, model.remedy].filter(Boolean).map(sentence);
    replaceContent(this.#state, why.length ? [...prose(why.join(" ")).childNodes] : []);
    const can = this.#capabilities;
    this.#keywordsField.hidden = !can.keywords;
    this.#speakersField.hidden = !can.speakers;
    this.#fillLanguages(can);
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

function field(id, key, control, hint = null) {
  return h("div.field", {}, h("label", { for: id, text: key }), control, hint);
}

/** Returns a model's state in words, with the progress of its download. */
export function stateOf(model) {
  const { done_bytes: done, total_bytes: total } = model.progress ?? {};
  if (model.state !== "downloading" || !done) return t(`state.${model.state}`);
  return total
    ? t("state.downloading_of", { percent: Math.floor((100 * done) / total), total: bytes(total) })
    : t("state.downloading_bytes", { done: bytes(done) });
}
