// The page's texts, in the language of the browser or the one that the user chose.

import en from "./texts/en.js";
import zh from "./texts/zh.js";

const TEXTS = { en, zh };
const CHOSEN = "rapl.language";
const shown = new WeakMap(); // of each element: attribute or "" for its content -> [key, values]

let language = localStorage.getItem(CHOSEN) ?? preferred();

function preferred() {
  return navigator.languages.find((tag) => tag.slice(0, 2) in TEXTS)?.slice(0, 2) ?? "en";
}

/** The language of the page: "en" or "zh". */
export const currentLanguage = () => language;

/** Returns a text. `{name}` in it is replaced with values.name. */
export function t(key, values = {}) {
  const text = TEXTS[language][key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Writes a text into an element, or into one of its attributes. It is written again when the language changes. */
export function setText(element, key, values = {}, attribute = "") {
  const texts = shown.get(element) ?? new Map();
  shown.set(element, texts.set(attribute, [key, values]));
  element.toggleAttribute("data-shown", true);
  write(element, attribute, key, values);
}

function write(element, attribute, key, values) {
  const text = t(key, typeof values === "function" ? values() : values);
  if (attribute) element.setAttribute(attribute, text);
  else element.textContent = text;
}

/** Reads the keys of the texts in index.html. */
export function readMarkup(root = document) {
  for (const element of root.querySelectorAll("[data-text]")) setText(element, element.dataset.text);
  for (const element of root.querySelectorAll("[data-text-aria-label]"))
    setText(element, element.dataset.textAriaLabel, {}, "aria-label");
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

/** Shows every text in a language, and keeps the choice in this browser. `rapl:language` tells views of it. */
export function setLanguage(chosen) {
  language = chosen;
  localStorage.setItem(CHOSEN, chosen);
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-shown]"))
    for (const [attribute, [key, values]] of shown.get(element) ?? []) write(element, attribute, key, values);
  document.dispatchEvent(new Event("rapl:language"));
}

/** Returns a length of time such as "1:02:03" or "0:07", from seconds. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Returns a length of time in words, such as "40 s", "3 min" or "1 h 5 min". */
export function inWords(seconds) {
  if (seconds < 90) return t("time.seconds", { n: Math.max(1, Math.round(seconds)) });
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return t("time.minutes", { n: minutes });
  return t("time.hours", { h: Math.floor(minutes / 60), m: minutes % 60 });
}

/** Returns a number of bytes as people read it: "12 kB", "3.4 MB". */
export function bytes(count) {
  const unit = count < 1e6 ? [1e3, "kB"] : count < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  const shown = unit[1] === "kB" ? Math.ceil(count / 1e3) : count / unit[0]; // a small file is not "0 kB"
  const digits = shown < 10 && unit[1] !== "kB" ? 1 : 0;
  return `${shown.toLocaleString(language, { maximumFractionDigits: digits })} ${unit[1]}`;
}

/** Returns the name of a language, such as "Japanese", from its code; the code if it has no name. */
export function languageName(code) {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(code) ?? code;
  } catch (error) {
    if (error instanceof RangeError) return code; // not a tag of a language
    throw error;
  }
}
