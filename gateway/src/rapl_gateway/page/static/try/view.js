// "Try it": speak, record or drop files, and see what the server makes of them.

import { h } from "../dom.js";
import { firstVisit } from "./first_visit.js";
import { Inputs } from "./input/inputs.js";
import { Jobs } from "./jobs.js";
import { Models } from "./models.js";
import { Options } from "./options.js";

export function mount(section) {
  const models = new Models();
  const options = new Options(models);
  const jobs = new Jobs(options);
  const inputs = new Inputs(options, {
    files: async (files) => {
      if (!models.list.length) await models.asked; // until then no model is chosen
      jobs.add(files);
    },
    recording: (file) => jobs.add([file], { isOnlyHere: true }),
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
