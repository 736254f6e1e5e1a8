// Light or dark: as the system says, or as the user chose.

import { icon, label } from "./dom.js";
import { HALF, MOON, SUN } from "./icons.js";

const CHOSEN = "rapl.theme";
const CHOICES = ["auto", "light", "dark"];
const ICONS = { auto: HALF, light: SUN, dark: MOON };

/** Applies the choice that this browser keeps, and lets a button go to the next one. */
export function startTheme(button) {
  show(button, localStorage.getItem(CHOSEN) ?? "auto");
  const system = matchMedia("(prefers-color-scheme: dark)"); // it may change in the evening
  system.addEventListener("change", () => document.dispatchEvent(new Event("rapl:theme")));
  button.addEventListener("click", () => {
    const next = CHOICES[(CHOICES.indexOf(document.documentElement.dataset.theme) + 1) % CHOICES.length];
    localStorage.setItem(CHOSEN, next);
    show(button, next);
  });
}

function show(button, theme) {
  document.documentElement.dataset.theme = theme;
  button.replaceChildren(icon(ICONS[theme]));
  label(button, "aria-label", `theme.${theme}`);
  label(button, "title", `theme.${theme}`);
  document.dispatchEvent(new Event("rapl:theme"));
}
