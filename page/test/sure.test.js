import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { openStudy } from "../src/study.js";
import { chances, logPhi } from "../src/sure.js";

const python = JSON.parse(readFileSync(new URL("python.json", import.meta.url)));
const study = openStudy(python.document);

const same = (found, expected) => {
  assert.equal(found.size, expected.length);
  for (const [row, chance] of expected) assert.ok(Math.abs(found.get(row) - chance) < 1e-6, `row ${row}: ${found.get(row)} for ${chance}`);
};

test("who may be the best is what Python says", () => {
  same(chances(study, study.trained), python.sure.best);
  assert.ok(python.sure.best.filter(([, chance]) => chance > 0.01 && chance < 0.99).length > 1);
});

test("the tail of the normal distribution is scipy's", () => {
  for (const [x, log] of python.sure.tails) assert.ok(Math.abs(logPhi(x) - log) < 3e-7, `${x}`);
});

test("among fewer networks each is the likelier the best", () => {
  const [first, ...others] = [...chances(study, study.trained)].sort((a, b) => b[1] - a[1]).map(([row]) => row);
  const best = chances(study, others);
  assert.ok(!best.has(first));
  assert.ok(Math.abs([...best.values()].reduce((a, b) => a + b, 0) - 1) < 1e-9);
});
