// "Try it": speak, record or drop files, and see what the server makes of them.

import { h } from "../dom.js";

export function mount(section) {
  section.append(h("h1", { text: "try.title" }));
}
