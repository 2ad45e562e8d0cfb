// The document that Python made, and what is asked of it everywhere.
import { frontAmong, prepare } from "./pareto.js";
import { isKnown } from "./words.js";

const WIDE = 20; // times as dear

// The document lies in the page as base64 of gzip: ten thousand architectures take 1 MB that way.
export async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), character => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

export function openStudy(document) {
  const columns = new Map(document.columns.map(column => [column.name, column]));
  const size = document.columns[0].values.length;
  const nothing = new Array(size).fill(null);
  const column = name => columns.get(name)?.values ?? nothing;
  const metrics = new Map(document.metrics.map(metric => [metric.name, metric]));
  // Also of what was not measured of any, such as a budget's or what others published.
  const metric = name => metrics.get(name) ?? document.known[name.split(".")[0]];
  const [state, name, archId, trial] = ["state", "name", "arch_id", "trial"].map(column);
  const rows = [...Array(size).keys()];
  const trained = rows.filter(row => state[row] === "complete");
  const prepared = new Map();
  // The front of some columns among the trained rows that are kept: sorted once, so that a slider need not.
  const front = (names, keep) => {
    if (!names.every(each => metrics.has(each))) return []; // what was not measured puts nobody on a front
    const key = names.join(" ");
    if (!prepared.has(key)) prepared.set(key, prepare(names.map(column), names.map(each => metrics.get(each).maximise), trained));
    return frontAmong(prepared.get(key), keep);
  };
  const letter = new Map(letters(document.front.length).map((each, i) => [document.front[i], each]));
  return {
    ...document, size, rows, column, metrics, metric, trained, front, initialFront: document.front,
    costs: Object.values(document.known).filter(each => each.cost && !each.aside).map(each => each.name),
    kind: name => columns.get(name).kind,
    overBudget: rows.filter(row => state[row] === "over_budget"),
    // What a network is called on this page (letters.py), what it is like, and what names it for good.
    label: row => letter.has(row) ? letter.get(row) + (name[row] ? ` (${name[row]})` : "")
      : name[row] || (isKnown(trial[row]) ? `trial ${trial[row]}` : archId[row] || "unnamed"),
    letter: row => letter.get(row) ?? "",
    descriptor: row => document.descriptors?.[row] ?? "",
    detail: row => [isKnown(trial[row]) ? `trial ${trial[row]}` : "", archId[row]].filter(Boolean).join(", "),
    isPreset: row => Boolean(name[row]),
    trial: row => trial[row],
    spreads: spreads(trained.map(row => column(document.cost)[row])),
    factors: document.columns.map(each => each.name).filter(each => each.startsWith("param.") && column(each).some(isKnown)),
  };
}

// Whether costs differ so much that the cheap ones would lie in a corner of a linear axis.
function spreads(values) {
  const known = values.filter(value => value > 0);
  return known.length > 1 && known.reduce((a, b) => Math.max(a, b)) > WIDE * known.reduce((a, b) => Math.min(a, b));
}

// "A" to "Z", then "AA", "AB".
export function letters(count) {
  const word = number => (number >= 26 ? word(Math.floor(number / 26) - 1) : "") + String.fromCharCode(65 + number % 26);
  return Array.from({ length: count }, (_, number) => word(number));
}

// A factor, or the path of a choice, as people say it: stages are counted from 1, as in the paper.
export const factorName = column => column.replace(/^param\./, "").replace(/\bstages\.(\d+)\b/g, (_, place) => `stage ${Number(place) + 1}`)
  .replaceAll("_", " ").replaceAll(".stage", " of stage");

// The rows that were trained and keep the limits. What was not measured cannot be said to keep one.
export function withinLimits(study, limits) {
  const tests = Object.entries(limits).map(([name, limit]) => {
    const values = study.column(name);
    return study.metrics.get(name).maximise ? row => values[row] !== null && values[row] >= limit : row => values[row] !== null && values[row] <= limit;
  });
  return study.trained.filter(row => tests.every(test => test(row)));
}

// The rows inside all brushes; null where nothing is brushed.
export function brushed(study, brush, axes) {
  const ranges = axes.filter(axis => brush[axis.name]).map(axis => [axis, brush[axis.name]]);
  if (!ranges.length) return null;
  return new Set(study.trained.filter(row => ranges.every(([axis, [low, high]]) => {
    const at = axis.position(row);
    return at !== null && at >= low && at <= high;
  })));
}

// The candidates that are kept and that no other of them beats in every objective, each architecture once (view.py, front).
export function frontOfAll(study, keep) {
  const found = study.front(study.objectives, keep);
  const score = study.column(study.score);
  const first = study.trained.some(row => isKnown(score[row])) ? study.score : study.objectives[0];
  const values = study.column(first);
  const sign = study.metric(first).maximise ? -1 : 1;
  found.sort((a, b) => sign * (values[a] - values[b]) || a - b);
  const ids = study.column("arch_id");
  const seen = new Set();
  return found.filter(row => ids[row] === null || !seen.has(ids[row]) && seen.add(ids[row]));
}
