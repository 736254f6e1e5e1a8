// Shows what has changed and nothing else: an element that did not change keeps its focus, its selection and its place,
// and a screen reader does not read it again.

import { prose, sentence } from "../dom.js";

/** Hides an element or shows it. To set the same value again would count as a change. */
export function hide(element, isHidden) {
  if (element.hidden !== isHidden) element.hidden = isHidden;
}

/** Writes a text into an element, whether it is shown or not. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows a text; null hides the element. */
export function show(element, text) {
  hide(element, text === null);
  if (text !== null) write(element, text);
}

/** Sets an attribute; null removes it. */
export function set(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Shows a state: its text in the colours of the class `mood`, which is "good", "warn", "bad" or null. */
export function showState(element, mood, text) {
  set(element, "class", mood ? `state ${mood}` : "state");
  show(element, text);
}

/** Shows the server's words as a sentence, with the commands in backquotes as code. In every language it is English. */
export function showSentence(element, words) {
  hide(element, !words);
  if (!words || element.dataset.words === words) return;
  element.dataset.words = words;
  element.lang = "en";
  element.replaceChildren(...prose(sentence(words)).childNodes);
}

/**
 * Shows a list with one element for each item. An item keeps its element as long as it has the same key.
 *
 * @param {Element} list
 * @param {Array} items
 * @param {function(item): string} keyOf
 * @param {function(item): {element: Element, update: function(item)}} make
 */
export function showList(list, items, keyOf, make) {
  list.parts ??= new Map();
  const keys = new Set(items.map(keyOf));
  for (const [key, part] of list.parts)
    if (!keys.has(key)) {
      part.element.remove();
      list.parts.delete(key);
    }
  items.forEach((item, number) => {
    const key = keyOf(item);
    if (!list.parts.has(key)) list.parts.set(key, make(item));
    const part = list.parts.get(key);
    if (list.children[number] !== part.element) list.insertBefore(part.element, list.children[number] ?? null);
    part.update(item);
  });
}
