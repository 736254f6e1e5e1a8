// What a user takes away: the transcript beside its player, or a file of a format; and the request that gives the same.

import { h } from "../../dom.js";
import { COPY, DOWNLOAD } from "../../icons.js";
import { actionOf } from "../action.js";
import { curlOf, inFormat, pythonOf, SUBTITLES } from "../request.js";
import { copy, FORMATS, save } from "./formats.js";

const PLAYER = "player";

/**
 * Returns the parts of the card: the choice of the format with what it shows, and the code of the request.
 * `onTaken` is called when the user has copied or saved the text.
 */
export function outputOf(player, file, fields, result, onTaken) {
  let chosen = PLAYER;
  const preview = h("pre.preview", { tabIndex: 0, hidden: true, labels: { "aria-label": "format.preview" } });
  const code = new RequestCode(file.name);
  const format = () => FORMATS[chosen === PLAYER ? "text" : chosen];
  const text = () => format().make(result);
  const choose = (name) => {
    chosen = name;
    player.hidden = name !== PLAYER;
    preview.hidden = name === PLAYER;
    preview.textContent = name === PLAYER ? "" : text();
    code.show(inFormat(fields, name === PLAYER || name === "json" ? fields.response_format : name));
    for (const button of [copyButton, saveButton]) button.reset();
  };
  const copyButton = actionOf("format.copy", COPY, async () => {
    await copy(text());
    onTaken();
  });
  const extension = () => ({ extension: format().extension });
  const onSave = () => {
    save(`${file.name.replace(/\.[^.]+$/, "")}.${format().extension}`, text(), format().type);
    onTaken();
  };
  const saveButton = actionOf("format.download", DOWNLOAD, onSave, extension);
  const bar = h("div.output-bar", {}, choiceOf(file.name, choose), h("div.row", {}, copyButton, saveButton));
  choose(PLAYER);
  return [bar, player, preview, code.element];
}

let groups = 0;

function choiceOf(name, onChoose) {
  const group = `format-${++groups}`;
  const choices = [PLAYER, ...Object.keys(FORMATS)].map((format) => {
    const input = h("input", {
      type: "radio",
      name: group,
      id: `${group}-${format}`,
      onchange: () => onChoose(format),
    });
    input.checked = format === PLAYER;
    const kind = SUBTITLES.includes(format) ? h("span.kind", { text: "format.subtitles" }) : null; // unseen on a phone
    return h("label", { for: input.id }, input, h("span.name", {}, h("span", { text: `format.${format}` }), kind));
  });
  return h("div.choice", { role: "radiogroup", labels: { "aria-label": ["format.label", { name }] } }, ...choices);
}

class RequestCode {
  #name;
  #curl = h("pre", { tabIndex: 0, labels: { "aria-label": "code.curl" } });
  #python = h("pre", { tabIndex: 0, labels: { "aria-label": "code.python" } });

  constructor(name) {
    this.#name = name;
    const block = (title, pre) =>
      h(
        "div.code",
        {},
        h(
          "div.spread",
          {},
          h("h4", { text: title }),
          actionOf("format.copy", COPY, () => copy(pre.textContent)),
        ),
        pre,
      );
    this.element = h(
      "details",
      {},
      h("summary", { text: "code.title" }),
      h("div.stack", {}, block("code.curl", this.#curl), block("code.python", this.#python)),
    );
  }

  show(fields) {
    this.#curl.textContent = curlOf(this.#name, fields);
    this.#python.textContent = pythonOf(this.#name, fields);
  }
}
