// The texts of "The fleet" in Simplified Chinese.

export default {
  "fleet.title": "服务状态",
};
