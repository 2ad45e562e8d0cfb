import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parallelAxes } from "../src/axes.js";
import { differences } from "../src/compare-architectures.js";
import { commands, csvOf, jsonOf } from "../src/files.js";
import { findings, giveUp, stepOf } from "../src/headline.js";
import { fromHash, initialState, pin, toHash } from "../src/state.js";
import { brushed, frontOfAll, openStudy, withinLimits } from "../src/study.js";

const python = JSON.parse(readFileSync(new URL("python.json", import.meta.url)));
const study = openStudy(python.document);
const plain = ({ title, subject, facts, comparisons }) => ({ title, subject, facts, comparisons });

test("without limits the headline is Python's, word for word", () => {
  const within = withinLimits(study, {});
  assert.deepEqual([...findings(study, {}, within).map(plain), ...study.findings], python.findings);
});

test("within limits best, knee and front are those of the table cut by them", () => {
  for (const { limits, found, front: expected } of python.limited) {
    const within = withinLimits(study, limits);
    assert.deepEqual(findings(study, limits, within).map(({ subject, facts }) => ({ subject, facts })), found, JSON.stringify(limits));
    assert.deepEqual(frontOfAll(study, row => within.includes(row)), expected);
  }
});

test("a candidate whose number is missing keeps no limit on it", () => {
  const small = openStudy({ ...python.document, columns: python.document.columns.map(column => column.name === "latency_ms" ? { ...column, values: column.values.map(() => null) } : column) });
  assert.deepEqual(withinLimits(small, { latency_ms: 1e9 }), []);
});

test("what is given up is the best that a step more or less of the cost buys", () => {
  const columns = [
    { name: "state", values: ["complete", "complete", "complete", "failed"] }, { name: "name", values: ["", "", "", ""] },
    { name: "arch_id", values: ["aa", "bb", "cc", "dd"] }, { name: "accuracy", values: [0.5, 0.7, 0.75, null] },
    { name: "latency_ms", values: [2, 6, 12, 1] }, { name: "trial", values: [0, 1, 2, 3] },
  ];
  const { known, score } = python.document;
  const metrics = [known.accuracy, known.latency_ms];
  const three = openStudy({ columns, metrics, known, score, cost: "latency_ms" });
  assert.deepEqual(giveUp(three, {}, 1), ["With 2 ms less: -20.0 points (aa, 2 ms)", "With 2 ms more: nothing better was found"]);
  assert.deepEqual(giveUp(three, {}, 2), ["With 2 ms less: -5.0 points (bb, 6 ms)", "With 2 ms more: nothing better was found"]);
  assert.deepEqual(giveUp(three, {}, 0), ["With 2 ms less: nothing that was trained", "With 2 ms more: nothing better was found"]);
  assert.deepEqual([stepOf([2, 12]), stepOf([0, 0.1]), stepOf([3, 3]), stepOf([])], [2, 0.02, 0, 0]);
});

test("a metric that nobody has heard of is said, limited by and drawn like any other", () => {
  const energy = { name: "energy_mj", source: "timed", form: "quantity", unit: "mJ", title: "Energy", label: "Energy (mJ)", short: "", maximise: false, cost: true, aside: false,
    noun: "energy", more: "more", fewer: "less", after: "of energy", words: "", extreme: "Least energy", low: "energy_low_mj", high: "energy_high_mj" };
  const f1 = { ...energy, name: "f1", source: "trained", form: "share", unit: "%", title: "F1", maximise: true, cost: false, noun: "F1", words: "validation F1, short schedule", low: null, high: null };
  const columns = [
    { name: "state", values: ["complete", "complete", "complete"] }, { name: "name", values: ["mobilevit_xxs", "", ""] }, { name: "arch_id", values: ["aa", "bb", "cc"] },
    { name: "f1", values: [0.5, 0.7, 0.72] }, { name: "energy_mj", values: [2, 4, 12] }, { name: "energy_low_mj", values: [1.9, 3.9, 11] }, { name: "energy_high_mj", values: [2.1, 4.1, 13] },
  ];
  const own = openStudy({ columns, metrics: [f1, energy], known: { f1, energy_mj: energy }, score: "f1", cost: "energy_mj", objectives: ["f1", "energy_mj"],
    budgets: [{ metric: "energy_mj", low: 0, high: 20, words: "at most 20 mJ" }], presets: ["mobilevit_xxs"], trial: [],
    single: { 2: "attention sees a single token" } });
  const [best, knee] = findings(own, {}, withinLimits(own, {}));
  const unlearned = { title: "Nothing was learned yet", subject: "", facts: ["as good as guessing"], comparisons: [] };
  assert.deepEqual(findings({ ...own, unlearned }, {}, withinLimits(own, {})), [{ ...unlearned, row: null }]);
  assert.deepEqual(best.facts, ["72.0 % validation F1, short schedule", "12 mJ of energy", "attention sees a single token"]);
  assert.deepEqual(best.comparisons, ["Against mobilevit_xxs: +22.0 F1 points, 500 % more energy"]);
  assert.equal(knee.title, "Knee of the front (F1 against energy)");
  assert.equal(findings(own, { energy_mj: 5 }, withinLimits(own, { energy_mj: 5 }))[0].title, "Best within the limits (at most 5 mJ)");
  assert.deepEqual(frontOfAll(own, () => true), [2, 1, 0]);
  assert.deepEqual(parallelAxes(own, []).axes.map(axis => axis.name), ["energy_mj", "f1"]);
});

test("a link holds the whole state, and only what was changed", () => {
  assert.equal(toHash(initialState(study), study), "");
  const state = { ...initialState(study), x: "macs", log: true, published: true, limits: { params: 2.5e6, accuracy: 0.6 }, pinned: [7, 3],
    brush: { "param.width": [0.5, 1] }, find: "a&b=ü #1", only: "front", sort: ["accuracy", "desc"], columns: ["candidate", "accuracy"] };
  assert.deepEqual(fromHash(`#${toHash(state, study)}`, study), state);
});

test("a link that does not fit is taken as far as it does", () => {
  const hash = "#x=nonsense&pin=1,1,9999,-2,x&limit.params=NaN&limit.nothing=3&limit.macs=&brush.param.width=1&only=evil&columns={&sort=accuracy&__proto__=1";
  assert.deepEqual(fromHash(hash, study), { ...initialState(study), pinned: [1] });
});

test("two can be pinned, a third lets the first go", () => {
  assert.deepEqual([pin([], 4), pin([4], 5), pin([4, 5], 6), pin([4, 5], 4)], [[4], [4, 5], [5, 6], [5]]);
});

test("the table is results.csv to the letter", () => {
  assert.equal(csvOf(study.columns, study.rows), python.csv);
  assert.equal(JSON.parse(jsonOf(study.columns, study.rows)).length, study.size);
});

test("only commands that exist are given, for rows that they can name", () => {
  const row = study.rows.find(each => study.column("arch")[each]);
  assert.deepEqual(commands(study, row).map(({ text }) => text), python.commands);
  assert.deepEqual(commands(study, study.rows.find(each => !study.column("arch")[each])), []);
});

test("architectures differ as Python says", () => {
  assert.ok(python.differences.length > 2);
  for (const { one, other, found } of python.differences) assert.deepEqual(differences(one, other), found);
});

test("a brush keeps the candidates inside it", () => {
  const { axes } = parallelAxes(study);
  assert.equal(brushed(study, {}, axes), null);
  const accuracy = study.column("accuracy");
  const kept = brushed(study, { accuracy: [0.65, 0.7] }, axes);
  assert.deepEqual([...kept], study.trained.filter(row => accuracy[row] >= 0.65 && accuracy[row] <= 0.7));
  const width = axes.find(axis => axis.name === "param.width");
  assert.deepEqual([...brushed(study, { "param.width": [-0.5, 0.5] }, axes)], study.trained.filter(row => study.column("param.width")[row] === Number(width.ticks[0].text)));
});
