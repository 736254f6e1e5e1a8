// The texts of the page: Chinese where they should be, and all of them used.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const STATIC = new URL("../../../gateway/src/rapl_gateway/page/static/", import.meta.url);
const NAMES = /\b(RAPL|SRT|VTT|JSON|curl)\b/g;
const [en, zh] = await Promise.all(["en", "zh"].map(async (name) => (await load(name)).default));

function load(name) {
  return import(new URL(`texts/${name}.js`, STATIC));
}

test("every Chinese text is Chinese", () => {
  const words = (text) =>
    text
      .replace(/\{\w+\}/g, "")
      .replace(NAMES, "")
      .match(/[a-z]{3}/i);
  assert.deepEqual(
    Object.keys(zh).filter((key) => words(zh[key]) && !/\p{Script=Han}/u.test(zh[key])),
    [],
  );
});

test("the page uses every text", () => {
  const scripts = readdirSync(STATIC, { recursive: true }).filter((name) => /\.(js|html)$/.test(name));
  const source = scripts
    .filter((name) => !/^(texts|vendor)/.test(name))
    .map((name) => readFileSync(new URL(name, STATIC), "utf8"))
    .join("\n");
  // A key is written whole, or its end is a variable: `fleet.state.${state}`.
  const beginnings = [...source.matchAll(/`(\w+\.[\w.]*)\$\{/g)].map(([, beginning]) => beginning);
  const isUsed = (key) => source.includes(`"${key}"`) || beginnings.some((beginning) => key.startsWith(beginning));
  assert.deepEqual(
    Object.keys(en).filter((key) => !isUsed(key)),
    [],
  );
});
