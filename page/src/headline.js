// What to know first, as findings.py says it, for any limits.
import { knee } from "./pareto.js";
import { afterWords, changeWords, formatMetric, intervalWords, isKnown, signed } from "./words.js";

// "at most 6M parameters"; the budgets of the search, but for those that a limit replaces.
export function limitWords(study, limits) {
  const own = Object.entries(limits).map(([name, limit]) =>
    `at ${study.metrics.get(name).maximise ? "least" : "most"} ${formatMetric(study.metrics.get(name), limit)}${study.metrics.get(name).short ? ` by ${study.metrics.get(name).short}` : ""}`);
  return [...own, ...study.budgets.filter(budget => !(budget.metric in limits)).map(budget => budget.words)];
}

// ``within`` are the trained rows that keep the limits.
export function findings(study, limits, within) {
  const score = study.column(study.score);
  if (!study.trained.length) return [];
  if (study.unlearned) return [{ ...study.unlearned, row: null }];
  if (!study.trained.some(row => isKnown(score[row]))) return cheapest(study, within);
  const words = limitWords(study, limits).join(", ");
  const scored = within.filter(row => isKnown(score[row]));
  const fitting = scored.filter(row => study.budgets.every(budget => meets(budget, study.column(budget.metric)[row])));
  if (!fitting.length) {
    const tried = study.trained.filter(row => isKnown(score[row])).length;
    const title = Object.keys(limits).length ? `No candidate keeps the limits (${words})` : `No candidate meets the budget (${words})`;
    return [{ title, subject: "", facts: [`none of the ${tried} trained ones does`], comparisons: [], row: null }];
  }
  const cost = study.column(study.cost);
  // A cost that is missing comes last.
  const price = row => isKnown(cost[row]) ? cost[row] : Infinity;
  const best = fitting.reduce((a, b) => score[b] > score[a] || (score[b] === score[a] && price(b) < price(a)) ? b : a);
  const title = Object.keys(limits).length ? `Best within the limits (${words})` : words ? `Best within the budget (${words})` : "Best (no budget was set)";
  const found = [finding(study, title, best)];
  const among = new Set(fitting);
  const bend = knee(cost, score, study.front([study.cost, study.score], row => among.has(row)));
  if (bend !== null) found.push(finding(study, `Knee of the front (${study.metric(study.score).noun} against ${study.metric(study.cost).noun})`, bend));
  return found;
}

function cheapest(study, within) {
  return study.objectives.flatMap(objective => {
    const values = study.column(objective);
    const measured = within.filter(row => isKnown(values[row]));
    if (!measured.length) return [];
    return [finding(study, study.metric(objective).extreme, measured.reduce((a, b) => values[b] < values[a] ? b : a))];
  });
}

function meets({ low, high }, value) {
  return !isKnown(value) || (value <= high && value >= low);
}

function finding(study, title, row) {
  const value = name => study.column(name)[row];
  // Of the scores the search's own.
  const facts = Object.values(study.known).filter(({ name, aside, source }) => !aside && isKnown(value(name)) && (source !== "trained" || name === study.score)).map(metric => {
    const [words, { low, high }] = [formatMetric(metric, value(metric.name)), metric];
    if (!metric.words) return words + afterWords(metric);
    const interval = low ? intervalWords(metric, value(low), value(high)) : "";
    return `${words} ${metric.words}${interval ? ` (95 % interval ${interval})` : ""}`;
  });
  if (study.single[row]) facts.push(study.single[row]);
  const comparisons = study.presets.flatMap(name => {
    const preset = study.trained.find(other => study.column("name")[other] === name);
    return preset === undefined || name === study.label(row) ? [] : [`Against ${name}: ${difference(study, row, preset)}`];
  });
  return { title, subject: study.label(row), facts, comparisons, row };
}

export function difference(study, row, other) {
  const [mine, theirs] = [row, other].map(each => name => study.column(name)[each]);
  const parts = [];
  const score = study.metric(study.score);
  if (isKnown(mine(score.name)) && isKnown(theirs(score.name))) {
    const points = 100 * (mine(score.name) - theirs(score.name));
    const words = Math.abs(points) < 0.05 ? `the same ${score.noun}` : `${signed(points, 1)} ${score.noun} points`;
    parts.push(words + (overlap(score, mine, theirs) ? " (the intervals overlap)" : ""));
  }
  for (const cost of study.costs) {
    if (isKnown(mine(cost)) && isKnown(theirs(cost))) parts.push(changeWords(study.metric(cost), mine(cost) / theirs(cost)));
  }
  return parts.join(", ");
}

function overlap({ low, high }, mine, theirs) {
  if (!low || !high) return false;
  const ends = [mine(low), mine(high), theirs(low), theirs(high)];
  return ends.every(isKnown) && ends[0] <= ends[3] && ends[2] <= ends[1];
}

// What one step more or less of a cost changes in the score, the other limits held: "With 1 ms less: -2.1 points (3f2a…)."
export function giveUp(study, limits, row, { cost = study.cost } = {}) {
  const [costs, score] = [study.column(cost), study.column(study.score)];
  if (!isKnown(costs[row]) || !isKnown(score[row])) return [];
  const others = Object.fromEntries(Object.entries(limits).filter(([name]) => name !== cost));
  const rows = study.trained.filter(each => isKnown(costs[each]) && isKnown(score[each]) && Object.entries(others).every(([name, limit]) => {
    const value = study.column(name)[each];
    return isKnown(value) && (study.metrics.get(name).maximise ? value >= limit : value <= limit);
  }));
  const step = stepOf(rows.map(each => costs[each]));
  if (!step) return [];
  const unit = formatMetric(study.metric(cost), step);
  const best = limit => rows.filter(each => costs[each] <= limit).reduce((a, b) => a === null || score[b] > score[a] || (score[b] === score[a] && costs[b] < costs[a]) ? b : a, null);
  const gain = other => {
    const points = 100 * (score[other] - score[row]);
    return `${signed(points, 1)} points (${study.label(other)}, ${formatMetric(study.metric(cost), costs[other])})`;
  };
  const [less, more] = [best(costs[row] - step), best(costs[row] + step)];
  return [
    less === null ? `With ${unit} less: nothing that was trained` : `With ${unit} less: ${gain(less)}`,
    more === null || score[more] <= score[row] ? `With ${unit} more: nothing better was found` : `With ${unit} more: ${gain(more)}`,
  ];
}

// A round step, a tenth to a fifth of what the values span; 0 where they span nothing.
export function stepOf(values, share = 0.2) {
  const span = values.reduce((a, b) => Math.max(a, b), -Infinity) - values.reduce((a, b) => Math.min(a, b), Infinity);
  if (!(span > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(span * share));
  return [5, 2, 1].map(times => times * power).find(step => step <= span * share * (1 + 1e-9));
}
