// The three ways to give the server something to hear: speak, record, files.

import { h, icon } from "../../dom.js";
import { setText } from "../../i18n.js";
import { FILE, MICROPHONE, RECORD } from "../../icons.js";
import { stateText, takesFiles } from "../../model.js";
import { acceptDrops } from "./drops.js";
import { Live } from "./live.js";
import { canListen, microphoneNote, openMicrophone } from "./microphone.js";
import { Recording } from "./recording.js";

const canDrop = matchMedia("(any-pointer: fine)");

export class Inputs {
  #options;
  #on;
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
   * @param {{files: function(File[]), recording: function(File), discarded: function(File), dictation: function(object)}}
   *   on called with files to transcribe, with a recording of the browser, with one that the user has thrown away, and
   *   with what was dictated, as `DictationCard` takes it.
   */
  constructor(options, on) {
    this.#options = options;
    this.#on = on;
    this.#tiles = h(
      "div.tiles",
      {},
      tile("speak", MICROPHONE, () => this.#listen((stream) => this.#speak(stream))),
      tile("record", RECORD, () => this.#listen((stream) => this.#record(stream))),
      tile("files", FILE, () => this.#picker.click()),
    );
    this.element = h("div.stack", {}, this.#tiles, this.#picker, this.#panel, options.element);
    acceptDrops((files) => this.#on.files(files));
    options.addEventListener("change", () => this.#showTiles());
    document.addEventListener("rapl:language", () => this.#showTiles());
    this.#showTiles();
  }

  #picked() {
    if (this.#picker.files.length) this.#on.files([...this.#picker.files]);
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
    const live = new Live(stream, () => this.#options.known(), {
      text: (dictation) => {
        this.#close();
        this.#on.dictation(dictation);
      },
      close: (isAgain) => {
        this.#close();
        if (isAgain) this.#listen((next) => this.#speak(next));
      },
    });
    this.#show(live.element);
    live.start();
  }

  #record(stream) {
    const recording = new Recording(stream, (file, isKept) => {
      this.#close();
      if (isKept) this.#on.recording(file);
      else this.#on.discarded(file);
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
    const hadFocus = this.#panel.contains(document.activeElement) || document.activeElement === document.body;
    this.#tiles.hidden = this.#options.element.hidden = false;
    this.#panel.hidden = true;
    this.#panel.replaceChildren();
    if (hadFocus) this.#tiles.querySelector("button:enabled")?.focus({ preventScroll: true });
  }

  /** A way in that the chosen model cannot serve cannot be chosen, and says why. */
  #showTiles() {
    const { model } = this.#options;
    const isReady = !model || model.state === "ready";
    for (const button of this.#tiles.children) {
      const isUsable = isReady || (button !== this.#tiles.firstChild && takesFiles(model));
      button.disabled = !isUsable;
      const hint = button.querySelector(".hint");
      if (isUsable) setText(hint, ...hintOf(button.id.replace("input-", "")));
      else setText(hint, "first.title", () => ({ model: model.id, state: stateText(model) }));
    }
  }
}

function tile(name, shape, onclick) {
  return h(
    "button.tile",
    { type: "button", id: `input-${name}`, onclick },
    icon(shape),
    h("strong", { text: `input.${name}` }),
    h("span.hint"),
  );
}

function hintOf(name) {
  if (name !== "files") return [canListen() ? `input.${name}_hint` : "input.needs_https"];
  return [canDrop.matches ? "input.files_hint" : "input.files_hint_touch"];
}
