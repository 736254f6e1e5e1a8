// The texts of "The fleet" in English.

export default {
  "fleet.title": "The fleet",
};
