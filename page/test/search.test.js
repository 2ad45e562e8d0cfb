import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parallelAxes } from "../src/axes.js";
import { differences } from "../src/compare-architectures.js";
import { commands, csvOf, jsonOf } from "../src/files.js";
import { findings, giveUp, stepOf, whyOnFront, withinAPoint } from "../src/headline.js";
import { fromHash, initialState, pin, toHash } from "../src/state.js";
import { brushed, factorName, frontOfAll, letters, openStudy, withinLimits } from "../src/study.js";

const python = JSON.parse(readFileSync(new URL("python.json", import.meta.url)));
const study = openStudy(python.document);
const plain = ({ is_choice = false, title, subject, detail, facts, comparisons, command }) => ({ is_choice, title, subject, detail, facts, comparisons, command });

test("without limits the headline is Python's, word for word", () => {
  const within = withinLimits(study, {});
  assert.deepEqual([...findings(study, {}, within).map(plain), ...study.findings], python.findings);
});

test("within limits the best, the cheapest within a point and the front are those of the table cut by them", () => {
  for (const { limits, found, front: expected } of python.limited) {
    const within = withinLimits(study, limits);
    assert.deepEqual(findings(study, limits, within).map(({ detail = "", facts }) => ({ detail, numbers: facts[0] })), found, JSON.stringify(limits));
    assert.deepEqual(frontOfAll(study, row => within.includes(row)), expected);
  }
});

test("a candidate whose number is missing keeps no limit on it", () => {
  const small = openStudy({ ...python.document, columns: python.document.columns.map(column => column.name === "latency_ms" ? { ...column, values: column.values.map(() => null) } : column) });
  assert.deepEqual(withinLimits(small, { latency_ms: 1e9 }), []);
});

const COLUMNS = [
  { name: "state", values: ["complete", "complete", "complete", "failed", "complete"] }, { name: "name", values: ["", "", "", "", ""] },
  { name: "arch_id", values: ["aa", "bb", "cc", "dd", "ee"] }, { name: "accuracy", values: [0.5, 0.7, 0.705, null, 0.4] }, { name: "accuracy_low", values: [0.49, 0.69, 0.695, null, 0.39] },
  { name: "accuracy_high", values: [0.51, 0.71, 0.715, null, 0.41] }, { name: "params", values: [1e6, 4e6, 2e6, 1, 5e6] }, { name: "macs", values: [3e6, 6e6, 9e6, 1, 3e7] }, { name: "trial", values: [0, 1, 2, 3, 4] },
];
const { known, score } = python.document;
const SURE = { covers: "over seeds and images", mean: [0.5, 0.7, 0.705, null, 0.4], deviation: [0.01, 0.01, 0.01, null, 0.01], low: [0.4, 0.6, 0.6, null, 0.3], high: [0.6, 0.8, 0.8, null, 0.5] };
const small = (more = {}) => openStudy({ columns: COLUMNS, metrics: [known.accuracy, known.params, known.macs], known, score, cost: "macs", objectives: ["accuracy", "params", "macs"],
  front: [2, 1, 0], budgets: [], presets: [], single: {}, schedule: "short", study: "s", sure: SURE, ...more });

test("what is given up are the next members of the front, for each objective, with all that changes", () => {
  const study = small();
  assert.deepEqual(giveUp(study, study.initialFront, 1), [
    "More accuracy: A, +0.5 accuracy points (the intervals overlap), 50 % fewer parameters, 50 % more MACs",
    "Fewer parameters: A, +0.5 accuracy points (the intervals overlap), 50 % fewer parameters, 50 % more MACs",
    "Fewer MACs: C, -20.0 accuracy points, 75 % fewer parameters, 50 % fewer MACs",
  ]);
  assert.deepEqual(giveUp(study, study.initialFront, 0), [
    "More accuracy: B, +20.0 accuracy points, 300 % more parameters, 100 % more MACs", "Fewer parameters: nothing on the front", "Fewer MACs: nothing on the front",
  ]);
  assert.deepEqual([stepOf([2, 12]), stepOf([0, 0.1]), stepOf([3, 3]), stepOf([])], [2, 0.02, 0, 0]);
});

test("why a network is on the front is said for each objective", () => {
  const study = small();
  assert.deepEqual(whyOnFront(study, study.trained, 1), [
    "Accuracy: 1 of 3 others is better: A", "Parameters: 2 of 3 others are better: C, A", "MACs: 1 of 3 others is better: C",
    "It beats 1 in all goals: trial 4", "Nothing beats it in all goals, so it is on the front",
  ]);
  assert.deepEqual(whyOnFront(study, study.trained, 4).slice(-2), ["It beats no other in all goals at once", "It is beaten in all goals by C, B, A"]);
});

test("the cheapest within a point of the best does not move when others are left out", () => {
  const study = small();
  assert.equal(withinAPoint(study, [0, 1, 2, 4]), 1);
  assert.equal(withinAPoint(study, [1, 2]), 1);
  assert.equal(withinAPoint(study, [0, 2, 4]), 2);
});

test("what is tied is said by the difference, and how likely the best is by what it is among", () => {
  const first = study => findings(study, {}, study.trained)[0].facts;
  const told = deviation => first(small({ sure: { ...SURE, deviation } }));
  assert.deepEqual(told([0.01, 0.01, 0.01, 0, 0.01]), ["70.5 % validation accuracy (60.0 to 80.0 %) after the short schedule, 2M parameters, 9M MACs",
    "the best of these 4 with a probability of 64 % (over seeds and images)", "B is tied with it (no difference shown) and has 33 % fewer MACs, but 100 % more parameters"]);
  assert.deepEqual(told([0.001, 0.001, 0.001, 0, 0.01]).slice(1), ["the best of these 4 with a probability of 100 % (over seeds and images)"]);
});

test("what was confirmed is what to take", () => {
  const study = small({ confirmed: { take: 1, tied: [2, 0], networks: [{ row: 1, words: "71.0 % on the test part" }] } });
  const [{ subject, facts, command }] = findings(study, {}, study.trained);
  assert.deepEqual([subject, facts, command], ["B", ["71.0 % on the test part, 4M parameters, 6M MACs", "tied with C, A (no difference shown)"], ""]);
  assert.equal(findings(study, { params: 2e6 }, [0, 2])[0].subject, "A");
});

test("names are Python's, and stages are counted from 1", () => {
  assert.deepEqual(study.rows.map(study.label), python.names);
  assert.deepEqual(letters(60), python.letters);
  assert.equal(factorName("param.depth.stages.2"), "depth of stage 3");
  assert.equal(factorName("param.patch_size"), "patch size");
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
    single: { 2: "attention sees a single token" }, front: [2, 1, 0], schedule: "short", study: "s",
    sure: { covers: "over images alone, one seed", mean: [null, null, null], deviation: [null, null, null], low: [null, null, null], high: [null, null, null] } });
  const [best, ...others] = findings(own, {}, withinLimits(own, {}));
  const unlearned = { title: "Nothing was learned yet", subject: "", facts: ["as good as guessing"], comparisons: [] };
  assert.deepEqual(findings({ ...own, unlearned }, {}, withinLimits(own, {})), [{ ...unlearned, row: null }]);
  assert.deepEqual(best.facts, ["72.0 % validation F1 after the short schedule, 12 mJ of energy", "attention sees a single token"]);
  assert.deepEqual([best.subject, others, best.command], ["A", [], "mvit-nas confirm s"]);
  assert.deepEqual(best.comparisons, ["Against mobilevit_xxs: +22.0 F1 points, 500 % more energy"]);
  assert.equal(findings(own, { energy_mj: 5 }, withinLimits(own, { energy_mj: 5 }))[0].title, "Best within the limits (at most 5 mJ)");
  assert.deepEqual(frontOfAll(own, () => true), [2, 1, 0]);
  assert.deepEqual(parallelAxes(own, []).axes.map(axis => axis.name), ["energy_mj", "f1"]);
});

test("a link holds the whole state, and only what was changed", () => {
  assert.equal(toHash(initialState(study), study), "");
  const state = { ...initialState(study), x: "macs", log: true, limits: { params: 2.5e6, accuracy: 0.6 }, pinned: [7, 3],
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

test("the values of a factor stand in the order of the space, and all factors can be chosen", () => {
  const widths = study.trained.map((_, i) => ["xs", "micro", "tiny", "odd"][i % 4]);
  const factors = Object.fromEntries(["width", ..."abcdefgh"].map(name => [`param.${name}`, widths]));
  const column = name => factors[name] ? Object.fromEntries(study.trained.map((row, i) => [row, factors[name][i]])) : study.column(name);
  const own = { ...study, column, choices: { "param.width": ["micro", "tiny", "xxs", "xs"] } };
  const { axes, shown } = parallelAxes(own, Object.keys(factors));
  assert.deepEqual(axes[0].ticks.map(({ text }) => text), ["micro", "tiny", "xs", "odd"]);
  assert.deepEqual(axes[1].ticks.map(({ text }) => text), ["micro", "odd", "tiny", "xs"]); // no order is known
  assert.deepEqual([shown.includes("param.g"), shown.includes("param.h"), axes.some(axis => axis.name === "param.h")], [true, false, true]);
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
