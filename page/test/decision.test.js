import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { chosenRow, decisionRecord, markdownOf, readRecord, readSaved, savedText } from "../src/decision.js";
import { aimOf, nearest, publishedCost } from "../src/published.js";
import { openStudy } from "../src/study.js";

const python = JSON.parse(readFileSync(new URL("python.json", import.meta.url)));
const study = openStudy(python.document);
const best = study.initialFront[0];
const decision = { network: String(study.trial(best)), reason: "fits </script> *the* phone\nand is cheap", reviewer: "Ada", date: "2026-11-28" };

test("what a copy holds comes back, and can end no element", () => {
  const text = savedText("limit.params=3", decision);
  assert.ok(!text.includes("<"));
  assert.deepEqual(readSaved(text), { hash: "limit.params=3", decision });
});

test("a copy whose text is broken, or of another kind, is read as none", () => {
  const nothing = { hash: "", decision: { network: "", reason: "", reviewer: "", date: "" } };
  for (const text of ["", "{", "null", "[]", '{"hash":3,"decision":{"reason":["x"],"more":1}}']) assert.deepEqual(readSaved(text), nothing);
});

test("a decision is for the trained network of that trial", () => {
  assert.equal(chosenRow(study, decision), best);
  const failed = study.rows.find(row => study.column("state")[row] === "failed");
  assert.equal(chosenRow(study, { ...decision, network: String(study.trial(failed)) }), null);
  assert.equal(decisionRecord(study, { ...decision, network: "9999" }), null);
});

test("a record says the network, its numbers, the reason and the others", () => {
  const record = decisionRecord(study, decision);
  assert.deepEqual([record.name, record.trial, record.arch_id, record.reviewer], ["A", study.trial(best), study.column("arch_id")[best], "Ada"]);
  assert.equal(record.values.find(({ metric }) => metric === "accuracy").value, study.column("accuracy")[best]);
  assert.deepEqual(record.others.map(({ name }) => name), study.initialFront.slice(1).map(study.label));
  const drawn = study.trained.find(row => study.column("arch")[row]);
  assert.ok(decisionRecord(study, { ...decision, network: String(study.trial(drawn)) }).commands[0].endsWith(` ${study.trial(drawn)}`));
});

test("a record that was saved is read again", () => {
  assert.deepEqual(readRecord(study, JSON.stringify(decisionRecord(study, decision)), "a.json"), { decision });
});

test("a record of another study, or for another network, or none, is refused in one line", () => {
  const problem = text => readRecord(study, text, "a.json").problem;
  const changed = changes => problem(JSON.stringify({ ...decisionRecord(study, decision), ...changes }));
  assert.equal(changed({ study: "Hats" }), `a.json is a decision on “Hats”, this page shows “${study.study}”.`);
  assert.equal(changed({ arch_id: "0" }), `a.json is for A (trial ${study.trial(best)}, 0), which this page does not have.`);
  assert.equal(changed({ trial: 12345 }), `a.json is for A (trial 12345, ${decisionRecord(study, decision).arch_id}), which this page does not have.`);
  for (const text of ["", "{", "null", "[]", "{}", '{"format":1}']) assert.equal(problem(text), "a.json is not a decision that this page saved as JSON.");
  assert.equal(changed({ reason: 3 }), "a.json is not a decision that this page saved as JSON.");
});

test("in Markdown nothing that was typed is read as marks", () => {
  const text = markdownOf(decisionRecord(study, decision));
  assert.ok(text.startsWith("# Decision: A of "));
  assert.ok(text.includes("- Reason: fits \\</script\\> \\*the\\* phone and is cheap\n"));
});

test("published models are named by how near they are to the budget, in ratio", () => {
  const models = [1e6, 2e6, 7e6, 1.2e7, 4e7].map(params => ({ name: String(params), values: { params } }));
  assert.equal(aimOf(study, "params"), 6e6);
  assert.deepEqual(nearest(models, "params", 6e6).map(({ values }) => values.params), [7e6, 1.2e7, 2e6, 1e6, 4e7]);
  assert.equal(publishedCost(study).name, "params");
});
