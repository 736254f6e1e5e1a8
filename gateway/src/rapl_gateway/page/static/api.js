// Calls of RAPL's public API, with the key of this tab. A failure is an ApiError with words for a person.

import { t } from "./i18n.js";
import { askForKey, currentKey } from "./key.js";

/** What the API said about a request that failed; `code` is "unreachable" if there was no answer. */
export class ApiError extends Error {
  constructor(status, { message, code, param } = {}, headers = new Headers()) {
    super(message ?? t("error.status", { status }));
    this.status = status;
    this.code = code ?? null;
    this.param = param ?? null;
    this.requestId = headers.get("x-request-id");
    this.retryAfterS = Number(headers.get("retry-after")) || null;
  }

  /** A short title in the language of the page. */
  get title() {
    const key = `error.${this.code}`;
    const text = t(key);
    return text === key ? t("error.other") : text;
  }
}

/** The address of a path of the API, also behind a proxy that puts a prefix before it. */
export const address = (path) => new URL(path.replace(/^\//, ""), new URL("./", location.href)).href;

export const authorization = () => (currentKey() ? { authorization: `Bearer ${currentKey()}` } : {});

/**
 * Sends a request and returns the Response. If the server wants a key, the user is asked for it; one who has closed that
 * dialog is asked again only for an action.
 */
export async function request(path, { isAction, ...options } = {}) {
  for (;;) {
    const used = currentKey();
    const response = await reached(path, { ...options, headers: { ...options.headers, ...authorization() } });
    if (response.ok) return response;
    const error = await errorOf(response.status, await response.text(), response.headers);
    if (response.status !== 401 || !(await askForKey(used, isAction ?? options.method === "POST"))) throw error;
  }
}

async function reached(path, options) {
  try {
    return await fetch(address(path), { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: t("error.unreachable_why"), code: "unreachable" });
  }
}

export const getJson = async (path, options) => (await request(path, options)).json();

export const postJson = async (path, body, options = {}) => {
  const sent =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return (await request(path, { method: "POST", ...sent, ...options })).json();
};

/** Returns the error of an answer: its envelope, or its status if it has none, as from a proxy. */
export function errorOf(status, text, headers) {
  try {
    return new ApiError(status, JSON.parse(text).error, headers);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return new ApiError(status, {}, headers);
    throw error;
  }
}

/**
 * Sends a form with a file, and tells how much of it was sent, which `fetch` cannot. The file is read from the disk
 * while it is sent.
 *
 * @returns {Promise<{headers: Headers, text: string}>}
 */
export async function upload(path, form, { headers = {}, onSent = () => {}, signal, isAction = true } = {}) {
  for (;;) {
    const used = currentKey();
    const answer = await sendForm(path, form, { ...headers, ...authorization() }, onSent, signal);
    if (answer.status < 300) return answer;
    const error = errorOf(answer.status, answer.text, answer.headers);
    if (answer.status !== 401 || !(await askForKey(used, isAction))) throw error;
  }
}

function sendForm(path, form, headers, onSent, signal) {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    const stopped = () => reject(new DOMException("cancelled", "AbortError"));
    if (signal?.aborted) return stopped();
    call.open("POST", address(path));
    for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value);
    call.upload.onprogress = (event) => onSent(event.loaded, event.total);
    call.onload = () => resolve({ status: call.status, headers: headersOf(call), text: call.responseText });
    call.onerror = () => reject(new ApiError(0, { message: t("error.unreachable_why"), code: "unreachable" }));
    call.onabort = stopped;
    signal?.addEventListener("abort", () => call.abort());
    call.send(form);
  });
}

function headersOf(call) {
  const lines = call.getAllResponseHeaders().trim().split(/\r?\n/).filter(Boolean);
  return new Headers(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
}
