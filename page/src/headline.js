// What to know first, as findings.py says it, for any limits.
import { knee } from "./pareto.js";
import { changeWords, formatMetric, intervalWords, isKnown, kindOf, signed } from "./words.js";

const SMALLEST = { params: "Fewest parameters", macs: "Fewest MACs", latency_ms: "Lowest latency" };
const NOUN = { params: "parameters", macs: "MACs", latency_ms: "latency" };
const COSTS = ["params", "macs", "latency_ms"];

// "at most 6M parameters"; the budgets of the search, but for those that a limit replaces.
export function limitWords(study, limits) {
  const own = Object.entries(limits).map(([name, limit]) =>
    `at ${study.metrics.get(name).maximise ? "least" : "most"} ${formatMetric(name, limit)}${name.includes(".") ? ` by ${study.metrics.get(name).short}` : ""}`);
  return [...own, ...study.budgets.filter(budget => !(budget.metric in limits)).map(budget => budget.words)];
}

// ``within`` are the trained rows that keep the limits.
export function findings(study, limits, within) {
  const accuracy = study.column("accuracy");
  if (!study.trained.length) return [];
  if (!study.trained.some(row => isKnown(accuracy[row]))) return cheapest(study, within);
  const words = limitWords(study, limits).join(", ");
  const scored = within.filter(row => isKnown(accuracy[row]));
  const fitting = scored.filter(row => study.budgets.every(budget => meets(budget, study.column(budget.metric)[row])));
  if (!fitting.length) {
    const tried = study.trained.filter(row => isKnown(accuracy[row])).length;
    const title = Object.keys(limits).length ? `No candidate keeps the limits (${words})` : `No candidate meets the budget (${words})`;
    return [{ title, subject: "", facts: [`none of the ${tried} trained ones does`], comparisons: [], row: null }];
  }
  const cost = study.column(study.cost);
  // A cost that is missing comes last.
  const price = row => isKnown(cost[row]) ? cost[row] : Infinity;
  const best = fitting.reduce((a, b) => accuracy[b] > accuracy[a] || (accuracy[b] === accuracy[a] && price(b) < price(a)) ? b : a);
  const title = Object.keys(limits).length ? `Best within the limits (${words})` : words ? `Best within the budget (${words})` : "Best (no budget was set)";
  const found = [finding(study, title, best)];
  const among = new Set(fitting);
  const bend = knee(cost, accuracy, study.front([study.cost, "accuracy"], row => among.has(row)));
  if (bend !== null) found.push(finding(study, `Knee of the front (accuracy against ${NOUN[kindOf(study.cost)]})`, bend));
  return found;
}

function cheapest(study, within) {
  return study.objectives.flatMap(objective => {
    const values = study.column(objective);
    const measured = within.filter(row => isKnown(values[row]));
    if (!measured.length) return [];
    return [finding(study, SMALLEST[objective], measured.reduce((a, b) => values[b] < values[a] ? b : a))];
  });
}

function meets({ low, high }, value) {
  return !isKnown(value) || (value <= high && value >= low);
}

function finding(study, title, row) {
  const value = name => study.column(name)[row];
  const facts = [];
  if (isKnown(value("accuracy"))) {
    const interval = intervalWords("accuracy", value("accuracy_low"), value("accuracy_high"));
    facts.push(`${formatMetric("accuracy", value("accuracy"))} ${study.accuracy}${interval ? ` (95 % interval ${interval})` : ""}`);
  }
  for (const cost of COSTS) {
    if (isKnown(value(cost))) facts.push(formatMetric(cost, value(cost)) + (cost === "latency_ms" ? " latency" : ""));
  }
  const comparisons = study.presets.flatMap(name => {
    const preset = study.trained.find(other => study.column("name")[other] === name);
    return preset === undefined || name === study.label(row) ? [] : [`Against ${name}: ${difference(study, row, preset)}`];
  });
  return { title, subject: study.label(row), facts, comparisons, row };
}

export function difference(study, row, other) {
  const [mine, theirs] = [row, other].map(each => name => study.column(name)[each]);
  const parts = [];
  if (isKnown(mine("accuracy")) && isKnown(theirs("accuracy"))) {
    const points = 100 * (mine("accuracy") - theirs("accuracy"));
    const words = Math.abs(points) < 0.05 ? "the same accuracy" : `${signed(points, 1)} accuracy points`;
    parts.push(words + (overlap(mine, theirs) ? " (the intervals overlap)" : ""));
  }
  for (const cost of COSTS) {
    if (isKnown(mine(cost)) && isKnown(theirs(cost))) parts.push(changeWords(cost, mine(cost) / theirs(cost)));
  }
  return parts.join(", ");
}

function overlap(mine, theirs) {
  const ends = [mine("accuracy_low"), mine("accuracy_high"), theirs("accuracy_low"), theirs("accuracy_high")];
  return ends.every(isKnown) && ends[0] <= ends[3] && ends[2] <= ends[1];
}

// What one step more or less of a cost changes in accuracy, the other limits held: "With 1 ms less: -2.1 points (3f2a…)."
export function giveUp(study, limits, row, { cost = study.cost } = {}) {
  const [costs, accuracy] = [study.column(cost), study.column("accuracy")];
  if (!isKnown(costs[row]) || !isKnown(accuracy[row])) return [];
  const others = Object.fromEntries(Object.entries(limits).filter(([name]) => name !== cost));
  const rows = study.trained.filter(each => isKnown(costs[each]) && isKnown(accuracy[each]) && Object.entries(others).every(([name, limit]) => {
    const value = study.column(name)[each];
    return isKnown(value) && (study.metrics.get(name).maximise ? value >= limit : value <= limit);
  }));
  const step = stepOf(rows.map(each => costs[each]));
  if (!step) return [];
  const unit = formatMetric(cost, step);
  const best = limit => rows.filter(each => costs[each] <= limit).reduce((a, b) => a === null || accuracy[b] > accuracy[a] || (accuracy[b] === accuracy[a] && costs[b] < costs[a]) ? b : a, null);
  const gain = other => {
    const points = 100 * (accuracy[other] - accuracy[row]);
    return `${signed(points, 1)} points (${study.label(other)}, ${formatMetric(cost, costs[other])})`;
  };
  const [less, more] = [best(costs[row] - step), best(costs[row] + step)];
  return [
    less === null ? `With ${unit} less: nothing that was trained` : `With ${unit} less: ${gain(less)}`,
    more === null || accuracy[more] <= accuracy[row] ? `With ${unit} more: nothing better was found` : `With ${unit} more: ${gain(more)}`,
  ];
}

// A round step, a tenth to a fifth of what the values span; 0 where they span nothing.
export function stepOf(values, share = 0.2) {
  const span = values.reduce((a, b) => Math.max(a, b), -Infinity) - values.reduce((a, b) => Math.min(a, b), Infinity);
  if (!(span > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(span * share));
  return [5, 2, 1].map(times => times * power).find(step => step <= span * share * (1 + 1e-9));
}
