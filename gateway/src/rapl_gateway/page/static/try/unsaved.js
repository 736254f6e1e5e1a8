// What would be lost if the page were left now: work under way, and transcripts that were neither copied nor saved.

const held = new Set();

/** Lets the browser ask before the page is left, until `release` is called with the same thing. */
export function hold(thing) {
  held.add(thing);
  addEventListener("beforeunload", ask); // added once, however often it is called
}

export function release(thing) {
  held.delete(thing);
  if (!held.size) removeEventListener("beforeunload", ask);
}

export const isHeld = (thing) => held.has(thing);

function ask(event) {
  event.preventDefault(); // the browser words the question
}
