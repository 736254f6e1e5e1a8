// The texts of "Try it" in English.

export default {
  "try.title": "Try it",
};
