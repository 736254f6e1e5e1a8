// Starts the page: its views, its language, its colours and the key.

import { mount as mountFleet } from "./fleet/view.js";
import { currentLanguage, readMarkup, setLanguage, setText } from "./i18n.js";
import { askForKey, currentKey, keepKey, lacksKey } from "./key.js";
import { startTheme } from "./theme.js";
import { mount as mountTry } from "./try/view.js";

// A view is made by `mount(section)` when it is first shown. It may return {shown(), hidden()}.
const VIEWS = { try: mountTry, fleet: mountFleet };
const mounted = {};
let current = null;

function route() {
  const wanted = location.hash.slice(2).split("/")[0];
  if (location.hash && !location.hash.startsWith("#/")) return; // a link inside the page, such as to its content
  const name = wanted in VIEWS ? wanted : "try";
  if (name === current) return;
  mounted[current]?.hidden?.();
  const section = document.getElementById(`view-${name}`);
  mounted[name] ??= VIEWS[name](section) ?? {};
  for (const each of Object.keys(VIEWS)) document.getElementById(`view-${each}`).hidden = each !== name;
  for (const link of document.querySelectorAll("nav a"))
    link.toggleAttribute("aria-current", link.hash === `#/${name}`);
  document.querySelector("nav a[aria-current]").setAttribute("aria-current", "page");
  if (current) document.getElementById("main").focus({ preventScroll: true });
  current = name;
  mounted[name].shown?.();
}

/** A file may be dropped on the other view: so "Try it" is there from the start. */
function startTry() {
  mounted.try = mountTry(document.getElementById("view-try"));
}

function startLanguage(button) {
  const show = () => {
    const other = currentLanguage() === "en" ? "zh" : "en";
    button.textContent = other === "zh" ? "中文" : "English";
    button.lang = other;
  };
  button.addEventListener("click", () => setLanguage(currentLanguage() === "en" ? "zh" : "en"));
  document.addEventListener("rapl:language", show);
  show();
}

function startKey(button) {
  const show = () => {
    button.hidden = !currentKey() && !lacksKey();
    setText(button, currentKey() ? "key.forget" : "key.enter");
  };
  button.addEventListener("click", () => (currentKey() ? keepKey(null) : askForKey(null, true)));
  document.addEventListener("rapl:key", show);
  show();
}

readMarkup();
startTheme(document.getElementById("theme"));
startLanguage(document.getElementById("language"));
startKey(document.getElementById("key"));
startTry();
addEventListener("hashchange", route);
route();
