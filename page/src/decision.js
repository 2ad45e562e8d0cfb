// A decision and its record. A saved copy of the page carries the view and the decision as text in one element of its own.
import { byId, download, element } from "./dom.js";
import { commands } from "./files.js";
import { difference, intervalOf, whyOnFront } from "./headline.js";
import { formatMetric, isKnown } from "./words.js";

const NOTHING = { network: "", reason: "", reviewer: "", date: "" };

// What a copy of the page holds; nothing where it is no copy, or what it holds is broken.
export function readSaved(text) {
  try {
    const { hash, decision } = JSON.parse(text);
    const clean = Object.fromEntries(Object.keys(NOTHING).map(key => [key, typeof decision?.[key] === "string" ? decision[key] : ""]));
    return { hash: typeof hash === "string" ? hash : "", decision: clean };
  } catch {
    return { hash: "", decision: NOTHING };
  }
}

// The text that a copy holds: JSON in which nothing can end the element.
export const savedText = (hash, decision) => JSON.stringify({ hash, decision }).replaceAll("<", "\\u003c");

// A network's name that holds also outside the page.
export const lasting = (study, row) => isKnown(study.trial(row)) ? String(study.trial(row)) : study.column("arch_id")[row] ?? "";

export function chosenRow(study, decision) {
  const row = study.trained.find(each => lasting(study, each) === decision.network);
  return row ?? null;
}

export function decisionRecord(study, decision) {
  const row = chosenRow(study, decision);
  if (row === null) return null;
  const metrics = [...study.metrics.values()].filter(({ name }) => isKnown(study.column(name)[row]));
  const values = metrics.map(metric => {
    const { low, high, interval, covers } = intervalOf(study, metric, row);
    return { metric: metric.name, value: study.column(metric.name)[row], ...(isKnown(low) && isKnown(high) ? { low, high } : {}),
      words: formatMetric(metric, study.column(metric.name)[row]) + (interval ? ` (${interval}${metric.name === study.score ? `; ${covers}` : ""})` : ""), title: metric.title };
  });
  const others = study.initialFront.filter(other => other !== row).map(other => ({ name: study.label(other), trial: study.trial(other), difference: difference(study, other, row) }));
  return {
    format: 1, study: study.study, name: study.label(row), trial: study.trial(row), arch_id: study.column("arch_id")[row], description: study.descriptor(row),
    reason: decision.reason, reviewer: decision.reviewer, date: decision.date, schedule: study.schedule, confirmed: study.confirmed?.verdict ?? null, values,
    budgets: study.budgets.map(({ words }) => words), why: whyOnFront(study, study.trained, row), others, commands: commands(study, row).map(({ text }) => text),
  };
}

// The decision of a file as ``decisionRecord`` writes it; in ``problem``, one line, why it cannot be shown here.
export function readRecord(study, text, file) {
  let record = null;
  try {
    record = JSON.parse(text);
  } catch { /* said below */ }
  const isDecision = record?.format === 1 && ["study", "name", "reason", "reviewer", "date"].every(key => typeof record[key] === "string");
  if (!isDecision) return { problem: `${file} is not a decision that this page saved as JSON.` };
  if (record.study !== study.study) return { problem: `${file} is a decision on “${record.study}”, this page shows “${study.study}”.` };
  const row = study.trained.find(each => study.trial(each) === record.trial && study.column("arch_id")[each] === record.arch_id);
  if (row === undefined) return { problem: `${file} is for ${record.name} (trial ${record.trial}, ${record.arch_id}), which this page does not have.` };
  const { reason, reviewer, date } = record;
  return { decision: { network: lasting(study, row), reason, reviewer, date } };
}

// Of what people typed, nothing is read as Markdown.
const plain = text => text.replace(/[\\`*_{}[\]<>#|!]/g, "\\$&").replace(/\s*\n\s*/g, " ");

export function markdownOf(record) {
  const list = items => items.map(text => `- ${text}`).join("\n");
  return [
    `# Decision: ${plain(record.name)} of ${plain(record.study)}`,
    list([`Network: trial ${record.trial}, ${plain(record.arch_id ?? "")}${record.description ? ` (${plain(record.description)})` : ""}`,
      `Reviewer: ${plain(record.reviewer) || "not named"}`, `Date: ${plain(record.date) || "not given"}`, `Reason: ${plain(record.reason) || "none given"}`,
      `Confirmed: ${record.confirmed ? plain(record.confirmed) : "no"}`, ...record.budgets.map(words => `Budget: ${words}`)]),
    "## Numbers", `After the ${plain(record.schedule)} schedule; intervals are 95 %.`, list(record.values.map(({ title, words }) => `${title}: ${words}`)),
    "## Why it is on the front", list(record.why.map(plain)),
    "## Against the others of the front", list(record.others.map(({ name, trial, difference: words }) => `${plain(name)} (trial ${trial}): ${words}`)),
    "## Commands", ["```", ...record.commands, "```"].join("\n"),
  ].join("\n\n") + "\n";
}

// ``copyOf`` gives the page's text with the saved text in it, ``changed`` is told of every change.
export function decisionForm(study, decision, { fileName, copyOf, rowsOf }) {
  let now = { ...decision };
  const [network, reviewer, date, reason] = ["decided", "reviewer", "decided-on", "reason"].map(byId);
  fill(now);

  function fill(found) {
    now = { ...found };
    reviewer.value = now.reviewer;
    date.value = now.date;
    reason.value = now.reason;
  }
  async function load() {
    const [file] = byId("load-decision").files;
    const { decision: found, problem = "" } = readRecord(study, await file.text(), file.name);
    byId("load-decision").value = ""; // so that the same file can be loaded again
    byId("load-note").textContent = problem;
    if (problem) return;
    fill(found);
    draw();
  }
  function read() {
    now = { network: network.value, reason: reason.value, reviewer: reviewer.value, date: date.value };
    say();
  }
  function say() {
    const row = chosenRow(study, now);
    byId("decision").toggleAttribute("data-decided", row !== null); // on paper stands what was decided
    byId("save-markdown").disabled = byId("save-json").disabled = row === null;
    byId("decision-note").textContent = row !== null ? `Decided: ${study.label(row)} (${[study.detail(row), study.descriptor(row)].filter(Boolean).join("; ")})${now.reviewer ? ` by ${now.reviewer}` : ""}${now.date ? ` on ${now.date}` : ""}${now.reason ? `: ${now.reason}` : "."}`
      : now.network ? "The saved decision names a network that this study does not have." : "No network is chosen yet.";
  }
  function draw() {
    const rows = rowsOf();
    const chosen = chosenRow(study, now);
    if (chosen !== null && !rows.includes(chosen)) rows.push(chosen);
    network.replaceChildren(element("option", { value: "" }, "none yet"), ...rows.map(row =>
      element("option", { value: lasting(study, row) }, [study.label(row), study.descriptor(row)].filter(Boolean).join(": "))));
    network.value = chosen === null ? "" : now.network;
    say();
  }
  byId("load-decision").addEventListener("change", load);
  for (const field of [network, reviewer, date, reason]) field.addEventListener("input", read);
  const save = (ending, text, type) => () => download(`${fileName}-decision.${ending}`, text(decisionRecord(study, now)), type);
  byId("save-markdown").addEventListener("click", save("md", markdownOf, "text/markdown"));
  byId("save-json").addEventListener("click", save("json", record => `${JSON.stringify(record, null, 2)}\n`, "application/json"));
  byId("save-copy").addEventListener("click", () => download(`${fileName}-decided.html`, copyOf(now), "text/html"));
  return { draw };
}
