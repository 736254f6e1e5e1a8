// The texts of "Try it" in Simplified Chinese.

export default {
  "try.title": "试用",
};
