// The transcript as rows: the time, who speaks, the text, and marks for what is known of it.

import { h, icon } from "../../dom.js";
import { clock, languageName, t } from "../../i18n.js";
import { WARNING } from "../../icons.js";

const SPEAKER_COLOURS = 6;
const PLAIN = ["neutral", null, undefined];

/**
 * @param {Result} result
 * @param {function} onPlay called with the row that the user wants to hear.
 * @returns {{element: HTMLElement, mark: function}} `mark(second, follow)` marks the row that is spoken at a time and
 *   returns it; with `follow` it is scrolled into view.
 */
export function transcriptOf(result, onPlay) {
  const rows = result.rows;
  const items = rows.map((row) => itemOf(row, result, onPlay));
  const list = h("ol.transcript", { tabIndex: 0, labels: { "aria-label": "row.label" } }, ...items);
  let current = -1;
  const mark = (second, follow) => {
    const now = rows.findIndex((row) => row.text !== null && row.start <= second && second < row.end);
    if (now !== current) {
      items[current]?.removeAttribute("aria-current");
      items[now]?.setAttribute("aria-current", "true");
      current = now;
      if (follow && now >= 0) scrollTo(list, items[now]);
    }
    return rows[now];
  };
  return { element: rows.length ? list : h("p.muted", { text: "row.empty" }), mark };
}

function itemOf(row, result, onPlay) {
  const play = h(
    "button.quiet.time.number",
    {
      type: "button",
      onclick: () => onPlay(row),
      labels: { "aria-label": ["player.play_from", { time: clock(row.start) }] },
    },
    clock(row.start),
  );
  const content = h("div.said", {}, speakerOf(row, result), textOf(row), marksOf(row, result));
  const item = h("li", { onclick: (event) => clicked(event, row, onPlay) }, play, content);
  if (row.problem) item.classList.add(row.problem.isDamage ? "is-damaged" : "is-doubtful");
  return item;
}

/** A click on a row plays it, unless the user has just selected text. */
function clicked(event, row, onPlay) {
  if (!event.target.closest("button") && getSelection().isCollapsed) onPlay(row);
}

function speakerOf({ speaker }, { speakers }) {
  if (!speaker) return null;
  const colour = speakers.indexOf(speaker) % SPEAKER_COLOURS;
  return h(`strong.speaker.speaker-${colour}`, { text: ["row.speaker", { name: speaker }] });
}

const textOf = ({ text }) => (text === null ? null : h("p", {}, text.trim()));

function marksOf(row, result) {
  const marks = [];
  if (row.problem) marks.push(problemMark(row));
  if (!PLAIN.includes(row.emotion)) marks.push(h("span.mark", { text: `emotion.${row.emotion}` }));
  for (const event of row.events ?? []) marks.push(h("span.mark", { text: `event.${event}` }));
  if (row.language && row.language !== result.mainLanguage)
    marks.push(h("span.mark", { text: ["row.language", () => ({ name: languageName(row.language) })] }));
  return marks.length ? h("div.row.marks", {}, ...marks) : null;
}

function problemMark({ text, problem }) {
  const kind = problem.isDamage ? "damaged" : text === null ? "missing" : "doubtful";
  const values = () => ({ from: clock(problem.start), to: clock(problem.end), reason: reasonOf(problem) });
  return h("span.problem", {}, icon(WARNING), h("span", { text: [`problem.${kind}`, values] }));
}

/** Returns the API's words for a reason, translated if the page has them. */
function reasonOf({ reason }) {
  const key = `reason.${reason}`;
  const text = t(key);
  return text === key ? reason : text;
}

function scrollTo(list, item) {
  const [top, bottom] = [item.offsetTop, item.offsetTop + item.offsetHeight];
  if (top < list.scrollTop || bottom > list.scrollTop + list.clientHeight)
    list.scrollTo({ top: top - list.clientHeight / 3 });
}
