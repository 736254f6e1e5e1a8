// The time that each stage of the request took, as the server measured it.

import { h } from "../../dom.js";

/** Returns the part of the card with the times; nothing if the server sent none. */
export function detailsOf({ stages, durationS }) {
  const total = stages.reduce((sum, { ms }) => sum + ms, 0);
  if (!total) return [];
  const rows = stages.map(({ name, ms }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", text: `stage.${name}` }),
      h("td.number", {}, seconds(ms)),
      h("td.share", { "aria-hidden": "true" }, bar(ms / total)),
    ),
  );
  const speed = durationS
    ? h("p.hint", { text: ["stage.speed", { times: (durationS / (total / 1000)).toFixed(1) }] })
    : null;
  return [
    h(
      "details",
      {},
      h("summary", { text: ["stage.title", { time: seconds(total) }] }),
      h("table.stages", {}, h("tbody", {}, ...rows)),
      speed,
    ),
  ];
}

const seconds = (ms) => (ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

function bar(part) {
  const element = h("div.bar");
  element.style.width = `${100 * part}%`;
  return element;
}
