// The three ways to give the server something to hear: speak, record, files.

import { h, icon } from "../../dom.js";
import { setText } from "../../i18n.js";
import { FILE, MICROPHONE, RECORD } from "../../icons.js";
import { acceptDrops } from "./drops.js";
import { Live } from "./live.js";
import { canListen, microphoneNote, openMicrophone } from "./microphone.js";
import { Recording } from "./recording.js";

export class Inputs {
  #options;
  #onFiles;
  #panel = h("div", { hidden: true });
  #tiles;
  #picker = h("input.unseen", {
    type: "file",
    multiple: true,
    tabIndex: -1,
    "aria-hidden": "true",
    onchange: () => this.#picked(),
  });

  /**
   * @param {Options} options what the user has chosen; shown below the tiles.
   * @param {function(File[])} onFiles called with the files to transcribe.
   */
  constructor(options, onFiles) {
    this.#options = options;
    this.#onFiles = onFiles;
    this.#tiles = h(
      "div.tiles",
      {},
      tile("speak", MICROPHONE, () => this.#listen((stream) => this.#speak(stream))),
      tile("record", RECORD, () => this.#listen((stream) => this.#record(stream))),
      tile("files", FILE, () => this.#picker.click()),
    );
    this.element = h("div.stack", {}, this.#tiles, this.#picker, this.#panel, options.element);
    acceptDrops((files) => this.#onFiles(files));
  }

  #picked() {
    if (this.#picker.files.length) this.#onFiles([...this.#picker.files]);
    this.#picker.value = ""; // so that the same file can be chosen again
  }

  async #listen(use) {
    try {
      use(await openMicrophone());
    } catch (error) {
      this.#show(
        microphoneNote(error, () => this.#close()),
        { keepsTiles: true },
      );
    }
  }

  #speak(stream) {
    const live = new Live(stream, this.#options.values, (isAgain) => {
      this.#close();
      if (isAgain) this.#listen((next) => this.#speak(next));
    });
    this.#show(live.element);
    live.start();
  }

  #record(stream) {
    const recording = new Recording(stream, (file) => {
      this.#close();
      if (file) this.#onFiles([file]);
    });
    this.#show(recording.element);
    recording.start();
  }

  #show(element, { keepsTiles = false } = {}) {
    this.#tiles.hidden = this.#options.element.hidden = !keepsTiles; // they have no effect on what has begun
    this.#panel.hidden = false;
    this.#panel.replaceChildren(element);
    element.querySelector("button")?.focus();
  }

  #close() {
    const hadFocus = this.#panel.contains(document.activeElement);
    this.#tiles.hidden = this.#options.element.hidden = false;
    this.#panel.hidden = true;
    this.#panel.replaceChildren();
    if (hadFocus) this.#tiles.querySelector("button").focus();
  }
}

function tile(name, shape, onclick) {
  const hint = h("span.hint", { text: `input.${name}_hint` });
  if (name !== "files" && !canListen()) setText(hint, "input.needs_https");
  return h(
    "button.tile",
    { type: "button", id: `input-${name}`, onclick },
    icon(shape),
    h("strong", { text: `input.${name}` }),
    hint,
  );
}
