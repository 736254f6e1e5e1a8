// "Try it": speak, record or drop files, and see what the server makes of them.

import { h } from "../dom.js";
import { firstVisit } from "./first_visit.js";
import { Inputs } from "./input/inputs.js";
import { Jobs } from "./jobs.js";
import { Models } from "./models.js";
import { Options } from "./options.js";
import { hold, release } from "./unsaved.js";

export function mount(section) {
  const models = new Models();
  const options = new Options(models);
  const jobs = new Jobs(options);
  const add = async (files, kind) => {
    hold(files);
    await options.known(); // else no model is chosen
    jobs.add(files, kind);
    release(files);
  };
  const inputs = new Inputs(options, {
    files: (files) => add(files),
    recording: (file) => add([file], { isOnlyHere: true }),
    discarded: (file) => jobs.offer(file),
    dictation: (dictation) => jobs.addDictation(dictation),
  });
  section.classList.add("stack", "try");
  section.append(
    h("div.intro", {}, h("h1", { text: "try.title" }), h("p.muted", { text: "try.lead" })),
    firstVisit(models),
    h("div.card", {}, inputs.element),
    jobs.element,
  );
  return { shown: () => models.start(), hidden: () => models.stop() };
}
