import assert from "node:assert/strict";
import { test } from "node:test";
import { confirmedAxis } from "../src/confirmed.js";

const names = ["aa", "bb", "cc"];
const study = (confirmed, accuracy = [0.6, 0.44, 0.41]) => ({ confirmed, column: () => accuracy, label: row => names[row] });
const one = (row, accuracy, low, high, seeds = []) => ({ row, trial: row, accuracy, low, high, seeds: seeds.map((value, seed) => ({ seed, accuracy: value })) });

test("the axis holds intervals, seeds and what the search had, and those that failed have no line", () => {
  const { lines, from, to, ticks } = confirmedAxis(study({ networks: [one(2, 0.5, 0.47, 0.53, [0.46, 0.54]), one(1, null, null, null), one(0, 0.49, 0.45, 0.52)] }));
  assert.deepEqual(lines.map(({ label }) => label), ["cc", "aa"]);
  assert.ok(from <= 41 && to >= 60);
  assert.deepEqual([lines[0].searched, lines[0].low, lines[1].searched], [41, 47, 60]);
  assert.equal(ticks[0], from);
  assert.equal(ticks.at(-1), to);
});

test("an axis never leaves 0 to 100, also where one network always was right", () => {
  const { from, to } = confirmedAxis(study({ networks: [one(0, 1, 1, 1)] }, [null, null, null]));
  assert.ok(from >= 0 && to <= 100 && from <= to);
});
