// The work of the server, and its processes: requests, the queue in seconds of audio, and a row for each replica.

import { h } from "../dom.js";
import { bytes, clock, t } from "../i18n.js";
import { set, show, showList, showSentence, showState } from "./show.js";

const MOODS = { ok: "good", unknown: "warn", unreachable: "bad" };
const COLUMNS = ["service", "state", "running", "queued", "memory", "version"];

/** Returns the section of the work that is done now, as {element, update(status)}. */
export function work() {
  const names = ["running", "queued", "uploads"];
  const values = Object.fromEntries(names.map((name) => [name, h("dd.number")]));
  const facts = names.map((name) => h("div", {}, h("dt", { text: `fleet.work.${name}` }), values[name]));
  const element = h(
    "section.stack",
    { "aria-labelledby": "fleet-work" },
    h("h2", { id: "fleet-work", text: "fleet.work" }),
    h("dl.fleet-work", {}, ...facts),
  );
  const update = (status) => {
    show(values.running, t("fleet.requests", { n: status.running_requests }));
    show(values.queued, audio(status.queued_audio_s));
    show(values.uploads, bytes(status.stored_upload_bytes));
  };
  return { element, update };
}

/** Returns the section of the processes, as {element, update(status)}. */
export function services() {
  const body = h("tbody");
  const head = COLUMNS.map((name) => h("th", { scope: "col", role: "columnheader", text: `fleet.column.${name}` }));
  const table = h(
    "table.fleet-services",
    { role: "table", "aria-labelledby": "fleet-services" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)),
    body,
  );
  body.setAttribute("role", "rowgroup");
  const element = h(
    "section.stack",
    { "aria-labelledby": "fleet-services" },
    h("h2", { id: "fleet-services", text: "fleet.services" }),
    h("div.card.fleet-table", {}, table),
  );
  const update = (status) => showList(body, rows(status), (row) => `${row.service} ${row.host}`, processRow);
  return { element, update };
}

/** Returns the gateway, preprocess-service and each replica of each engine and of speaker-service, as items of the table. */
function rows(status) {
  const never = new Set(status.problems.filter((each) => each.status === "skipped").map((each) => each.subject));
  const engines = status.backends.flatMap((backend) =>
    backend.replicas.map((replica, number) => ({
      ...replica,
      service: backend.service,
      isUnused: never.has(backend.service),
      queued_audio_s: number === 0 && replica.state === "ok" ? backend.queued_audio_s : null,
    })),
  );
  const speakers = (status.speakers?.replicas ?? []).map((replica) => ({
    ...replica,
    service: status.speakers.service,
    isUnused: never.has(status.speakers.service),
  }));
  const gateway = { service: "gateway", host: location.host, state: "ok", version: status.version };
  const preprocess = { ...status.preprocess, service: "preprocess-service" };
  return [gateway, preprocess, ...engines, ...speakers].map((row) => ({ ...row, expected: status.version }));
}

function processRow() {
  const parts = Object.fromEntries(COLUMNS.map((name) => [name, h("span")]));
  const [host, reason] = [h("span.small.muted"), h("span.small")];
  const cells = COLUMNS.map((name) => {
    const heading = h("span.fleet-heading", { "aria-hidden": "true", text: `fleet.column.${name}` });
    if (name === "service") return h("th", { scope: "row", role: "rowheader" }, parts[name], host);
    return h("td", { role: "cell" }, heading, h("span.fleet-value", {}, parts[name], name === "state" ? reason : null));
  });
  parts.state.className = "state";
  return { element: h("tr", { role: "row" }, ...cells), update: (row) => showProcess(row, parts, host, reason) };
}

function showProcess(row, parts, host, reason) {
  show(parts.service, row.service);
  show(host, row.host);
  const state = row.isUnused ? "unused" : row.state;
  showState(parts.state, MOODS[state] ?? null, t(`fleet.state.${state}`));
  showSentence(reason, row.isUnused ? row.remedy : row.reason);
  const { running_segments: n, parallel, queued_audio_s: queued = null } = row;
  showValue(parts.running, parallel ? t("fleet.running_of", { n, parallel }) : null);
  showValue(parts.queued, queued === null ? null : audio(queued));
  showValue(parts.memory, row.memory_bytes ? bytes(row.memory_bytes) : null);
  const isOther = Boolean(row.version) && row.version !== row.expected;
  showValue(parts.version, isOther ? t("fleet.other_version", { version: row.version }) : row.version);
  set(parts.version, "class", isOther ? "fleet-other" : null);
}

/** Shows a value, and a dash where there is none. A phone leaves the dash out. */
function showValue(element, text) {
  show(element, text ?? "–");
  set(element.closest("td"), "class", text ? null : "fleet-none");
}

/** Returns a length of audio: in seconds, and from a minute on as on a clock. */
function audio(seconds) {
  return seconds < 60 ? t("fleet.seconds", { n: seconds.toFixed(seconds && seconds < 10 ? 1 : 0) }) : clock(seconds);
}
