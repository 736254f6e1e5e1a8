// "The fleet": what runs, and what is wrong.

import { h } from "../dom.js";

export function mount(section) {
  section.append(h("h1", { text: "fleet.title" }));
}
