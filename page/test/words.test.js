import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { changeWords, fixed, formatCount, formatMetric, formatSeconds, intervalWords, plural, significant } from "../src/words.js";
import { floatText, shellWord } from "../src/files.js";

const python = JSON.parse(readFileSync(new URL("python.json", import.meta.url)));
const { known } = python.document;

for (const [name, say] of Object.entries({
  fixed: ([value, digits]) => fixed(value, digits),
  significant: ([value, zeros]) => significant(value, { zeros }),
  count: ([value]) => formatCount(value),
  metric: ([name, value]) => formatMetric(known[name], value),
  seconds: ([value]) => formatSeconds(value),
  interval: ([name, low, high]) => intervalWords(known[name], low, high),
  change: ([name, ratio]) => changeWords(known[name], ratio),
  float: ([value]) => floatText(value),
  shell: ([text]) => shellWord(text),
})) {
  test(`${name} reads as in Python`, () => {
    assert.ok(python.words[name].length > 3);
    for (const [arguments_, expected] of python.words[name]) assert.equal(say(arguments_), expected, JSON.stringify(arguments_));
  });
}

test("thousands are grouped, and one thing is no plural", () => {
  assert.deepEqual([plural(1, "network"), plural(10000, "trial"), plural(1234567, "trial"), plural(999, "trial")], ["1 network", "10,000 trials", "1,234,567 trials", "999 trials"]);
});
