// Makes elements. Texts are given by their key, so that they follow the language.

import { setText } from "./i18n.js";

/**
 * Returns a new element.
 *
 * @param {string} tag name of the element, with classes after dots: "div.card.wide".
 * @param {object} props properties and attributes. `text` is a key of the texts, or [key, values]; `labels` has such
 *   texts for attributes, such as {"aria-label": "player.play"}; a function under `onclick` and the like is a listener.
 * @param {...(Node|string|null)} children null is left out.
 */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(props)) {
    if (key === "text") setText(element, ...[value].flat());
    else if (key === "labels") for (const [attribute, text] of Object.entries(value)) label(element, attribute, text);
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== "string") element[key] = value;
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets an attribute to a text of the page. */
export function label(element, attribute, text) {
  const [key, values] = [text].flat();
  setText(element, key, values, attribute);
}

/** Returns an icon of `icons.js` as an SVG element; it is hidden from screen readers. */
export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const shape = document.createElementNS(svg.namespaceURI, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

/** Returns a paragraph of the server's words, in which `commands` between backquotes are code. */
export function prose(text) {
  const parts = text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
  return h("p", {}, ...parts.filter((part) => part !== ""));
}

/** Returns the server's words as a sentence: a reason may be a part of one. */
export function sentence(text) {
  return text[0].toUpperCase() + text.slice(1) + (/[.!?。]$/.test(text) ? "" : ".");
}

/** Replaces the content of an element, unless it is the same already: so the focus in it and an open list stay. */
export function replaceContent(element, nodes) {
  const [before, after] = [[...element.childNodes], nodes.filter(Boolean)];
  if (before.length !== after.length || before.some((node, index) => !node.isEqualNode(after[index])))
    element.replaceChildren(...after);
}
