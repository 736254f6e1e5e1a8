// What is wrong, and what to do about it: the problems of GET /v1/status, in the words of `rapl doctor`.

import { h, icon } from "../dom.js";
import { t } from "../i18n.js";
import { WARNING } from "../icons.js";
import { isForScripts } from "../model.js";
import { hide, set, show, showList, showSentence, showState } from "./show.js";

const NOTE = { failed: "bad", warning: "warn" }; // "skipped" is no problem: the table of the services shows it

/** Returns the section, as {element, update(status)}. */
export function problems() {
  const summary = h("p.state", { role: "status" });
  const list = h("ul.stack.fleet-problems", { "aria-labelledby": "fleet-problems" });
  const element = h(
    "section.stack",
    { "aria-labelledby": "fleet-problems" },
    h("div.spread", {}, h("h2", { id: "fleet-problems", text: "fleet.problems" }), summary),
    list,
  );
  const update = (status) => {
    const found = status.problems.filter((each) => each.status in NOTE);
    showSummary(summary, found);
    hide(list, !found.length);
    showList(list, found, (each) => `${each.subject} ${each.reason}`, problem);
  };
  return { element, update };
}

function showSummary(summary, found) {
  const failed = found.some((each) => each.status === "failed");
  const warnings = found.some((each) => each.status === "warning");
  const mood = failed ? "bad" : warnings ? "warn" : "good";
  showState(summary, mood, t(failed ? "fleet.cannot_serve" : warnings ? "fleet.may_matter" : "fleet.all_well"));
}

function problem() {
  const [word, subject, reason, remedy] = [h("span.unseen"), h("strong"), h("p"), h("p")];
  const element = h("li.note", {}, icon(WARNING), h("div", {}, h("p", {}, word, subject), reason, remedy));
  const update = (found) => {
    set(element, "class", `note ${NOTE[found.status]}`);
    show(word, `${t(`fleet.problem.${found.status}`)} `);
    show(subject, found.subject);
    set(subject, "lang", "en");
    showSentence(reason, found.reason);
    showSentence(remedy, isForScripts(found.remedy) ? null : found.remedy);
  };
  return { element, update };
}
