import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { front } from "../src/pareto.js";

const python = JSON.parse(readFileSync(new URL("python.json", import.meta.url)));

test("fronts are Python's, of two to four objectives, with ties, copies and gaps", () => {
  assert.ok(python.fronts.length > 10);
  for (const { columns, maximise, front: expected } of python.fronts) assert.deepEqual(front(columns, maximise), expected);
});

test("a front is of the rows that are asked for", () => {
  assert.deepEqual(front([[1, 2, 3], [1, 2, 3]], [false, true], [1, 2]), [1, 2]);
  assert.deepEqual(front([[1, 2, 3], [3, 2, 1]], [false, true], [1, 2]), [1]);
  assert.deepEqual(front([[], []], [false, true]), []);
});
