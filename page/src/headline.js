// What to know first, as findings.py says it, for any limits.
import { shellWord } from "./files.js";
import { chances } from "./sure.js";
import { afterWords, changeWords, fixed, formatMetric, intervalWords, isKnown, signed } from "./words.js";

const POINT = 0.01; // of a share

// "at most 6M parameters"; the budgets of the search, but for those that a limit replaces.
export function limitWords(study, limits) {
  const own = Object.entries(limits).map(([name, limit]) =>
    `at ${study.metrics.get(name).maximise ? "least" : "most"} ${formatMetric(study.metrics.get(name), limit)}${study.metrics.get(name).short ? ` by ${study.metrics.get(name).short}` : ""}`);
  return [...own, ...study.budgets.filter(budget => !(budget.metric in limits)).map(budget => budget.words)];
}

// Those of the trained rows ``within`` the limits that have a score and meet the budgets: the best is one of them.
export const fitting = (study, within) => within.filter(row => isKnown(study.column(study.score)[row])
  && study.budgets.every(budget => meets(budget, study.column(budget.metric)[row])));

// ``within`` are the trained rows that keep the limits, ``likely`` says how likely each that fits is the best; null while
// that is not known.
export function findings(study, limits, within, likely = chances(study, fitting(study, within))) {
  const score = study.column(study.score);
  if (!study.trained.length) return [];
  if (study.unlearned) return [{ ...study.unlearned, row: null }];
  if (!study.trained.some(row => isKnown(score[row]))) return cheapest(study, within);
  const words = limitWords(study, limits).join(", ");
  const among = fitting(study, within);
  if (!among.length) {
    const tried = study.trained.filter(row => isKnown(score[row])).length;
    const title = Object.keys(limits).length ? `No candidate keeps the limits (${words})` : `No candidate meets the budget (${words})`;
    return [{ title, subject: "", facts: [`none of the ${tried} trained ones does`], comparisons: [], row: null }];
  }
  const title = Object.keys(limits).length ? `Best within the limits (${words})` : words ? `Best within the budget (${words})` : "Best (no budget was set)";
  const confirmed = recommended(study, among);
  const best = confirmed ?? highest(study, among);
  const facts = row => [numbers(study, row), ...row !== best ? [] : confirmed === null ? [...chance(study, best, among, likely), ...tied(study, best, among)] : tiedWhenConfirmed(study), ...study.single[row] ? [study.single[row]] : []];
  const cheap = withinAPoint(study, among);
  return [
    finding(study, { title, row: best, facts: facts(best), isChoice: true, command: confirmed === null ? `mvit-nas confirm ${shellWord(study.study)}` : "" }),
    ...(cheap === best ? [] : [finding(study, { title: `Within one point of the best, ${study.metric(study.cost).extreme.toLowerCase()}`, row: cheap, facts: facts(cheap) })]),
  ];
}

// What longer trainings with several seeds said to take; null where nothing was confirmed, or the limits leave it out.
const recommended = (study, among) => among.find(row => row === study.confirmed?.take) ?? null;

// Of equal ones the one of least cost; a cost that is missing comes last.
function highest(study, rows) {
  const [score, price] = [study.column(study.score), priceOf(study)];
  return rows.reduce((a, b) => score[b] > score[a] || (score[b] === score[a] && price(b) < price(a)) ? b : a);
}

function priceOf(study) {
  const cost = study.column(study.cost);
  return row => isKnown(cost[row]) ? cost[row] : Infinity;
}

// The cheapest whose score is at most a point below the best: the same whatever else was tried (view.py).
export function withinAPoint(study, rows) {
  const [score, price] = [study.column(study.score), priceOf(study)];
  const best = highest(study, rows);
  const near = rows.filter(row => score[row] >= score[best] - POINT - 1e-9 && price(row) < Infinity);
  return near.length ? near.reduce((a, b) => price(b) < price(a) || (price(b) === price(a) && score[b] > score[a]) ? b : a) : best;
}

// The cheapest of those on the front that are not shown to be worse than the best, where it is cheaper.
function tied(study, best, rows) {
  const [price, among] = [priceOf(study), new Set(rows)];
  const metric = study.metric(study.cost);
  const cheaper = row => price(row) < price(best) && Math.abs(100 * (price(row) / price(best) - 1)) >= 0.5;
  const found = study.initialFront.filter(row => row !== best && among.has(row) && cheaper(row) && isTied(study, best, row));
  if (!found.length || !price(best) || price(best) === Infinity) return [];
  const row = found.reduce((a, b) => price(b) < price(a) ? b : a);
  return [`${study.label(row)} is tied with it (no difference shown) and has ${changeWords(metric, price(row) / price(best))}${dearer(study, row, best)}`];
}

// What ``row`` needs more of than the best, of the costs that are goals.
function dearer(study, row, best) {
  const more = study.objectives.map(name => study.metric(name)).filter(({ name, maximise }) => !maximise && study.column(name)[row] >= 1.005 * study.column(name)[best] && study.column(name)[best] > 0)
    .map(metric => changeWords(metric, study.column(metric.name)[row] / study.column(metric.name)[best]));
  return more.length ? `, but ${more.join(" and ")}` : "";
}

// Whether no difference between two is shown: 95 % of what is believed of it holds zero.
export function isTied(study, one, other) {
  const { mean, deviation } = study.sure;
  return isKnown(mean[one]) && isKnown(mean[other]) && Math.abs(mean[one] - mean[other]) < 1.959964 * Math.hypot(deviation[one], deviation[other]);
}

// Which others no difference was shown to, when they were trained for longer.
const tiedWhenConfirmed = study => study.confirmed.tied.length
  ? [`tied with ${[...study.confirmed.tied].sort((a, b) => a - b).map(study.label).join(", ")} (no difference shown)`] : [];

// How likely the best is the best of those that fit. What is not known yet keeps its place, so that nothing jumps.
function chance(study, best, among, likely) {
  const known = among.filter(row => isKnown(study.sure.mean[row]));
  if (known.length < 2 || !known.includes(best)) return [];
  return [`the best of these ${known.length} with a probability of ${likely ? fixed(100 * likely.get(best), 0) : "…"} % (${study.sure.covers})`];
}

function cheapest(study, within) {
  return study.objectives.flatMap(objective => {
    const values = study.column(objective);
    const measured = within.filter(row => isKnown(values[row]));
    if (!measured.length) return [];
    const row = measured.reduce((a, b) => values[b] < values[a] ? b : a);
    return [finding(study, { title: study.metric(objective).extreme, row, facts: [numbers(study, row)] })];
  });
}

function meets({ low, high }, value) {
  return !isKnown(value) || (value <= high && value >= low);
}

function finding(study, { title, row, facts, isChoice = false, command = "" }) {
  return { title, subject: study.label(row), is_choice: isChoice, detail: study.detail(row), facts, comparisons: againstPresets(study, row), command, row };
}

export const againstPresets = (study, row) => study.presets.flatMap(name => {
  const preset = study.trained.find(other => study.column("name")[other] === name);
  return preset === undefined || name === study.column("name")[row] ? [] : [`Against ${name}: ${difference(study, row, preset)}`];
});

// All that is known by number: "44.1 % validation accuracy (42.7 to 45.4 %) after the short schedule, 6M parameters".
function numbers(study, row) {
  const value = name => study.column(name)[row];
  // Of the scores the search's own.
  return Object.values(study.known).filter(({ name, aside, source }) => !aside && isKnown(value(name)) && (source !== "trained" || name === study.score)).map(metric => {
    const words = formatMetric(metric, value(metric.name));
    if (!metric.words) return words + afterWords(metric);
    const isScore = metric.name === study.score;
    const confirmed = isScore && study.confirmed?.networks.find(one => one.row === row)?.words;
    if (confirmed) return confirmed;
    const { interval } = intervalOf(study, metric, row);
    return `${words} validation ${metric.noun}${interval ? ` (${interval})` : ""}${isScore ? ` after the ${study.schedule} schedule` : ""}`;
  }).join(", ");
}

// The 95 % interval of a score in words, and what it covers.
export function intervalOf(study, metric, row) {
  const isScore = metric.name === study.score;
  const [low, high] = isScore ? [study.sure.low[row], study.sure.high[row]] : metric.low ? [metric.low, metric.high].map(name => study.column(name)[row]) : [null, null];
  return { low, high, interval: intervalWords(metric, low, high), covers: isScore ? study.sure.covers : metric.words ? "over images alone, one seed" : "over repeated measurements" };
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

// For each objective the next better member of the front, with all that it changes: "Fewer parameters: B, -0.2 ...".
export function giveUp(study, front, row) {
  return study.objectives.flatMap(name => {
    const [metric, values] = [study.metric(name), study.column(name)];
    if (!isKnown(values[row])) return [];
    const better = (a, b) => metric.maximise ? values[a] > values[b] : values[a] < values[b];
    const others = front.filter(other => isKnown(values[other]) && better(other, row));
    const words = `${metric.maximise ? metric.more : metric.fewer} ${metric.noun}`;
    const title = words[0].toUpperCase() + words.slice(1);
    if (!others.length) return [`${title}: nothing on the front`];
    const next = others.reduce((a, b) => better(a, b) ? b : a);
    return [`${title}: ${study.label(next)}, ${difference(study, next, row)}`];
  });
}

// Why a network is on the front or not: what is better than it in each objective, and what is in all of them.
export function whyOnFront(study, rows, row) {
  const known = study.objectives.filter(name => isKnown(study.column(name)[row]));
  const others = rows.filter(other => other !== row && known.every(name => isKnown(study.column(name)[other])));
  if (!others.length || known.length < study.objectives.length) return [];
  const sign = name => study.metric(name).maximise ? -1 : 1;
  const by = (name, other) => sign(name) * (study.column(name)[other] - study.column(name)[row]);
  const lines = known.map(name => {
    const better = others.filter(other => by(name, other) < 0);
    const who = better.length && better.length <= 4 ? `: ${better.map(study.label).join(", ")}` : "";
    return `${study.metric(name).title}: ${better.length ? `${better.length} of ${others.length} others ${better.length === 1 ? "is" : "are"} better${who}` : `better than, or as good as, all ${others.length} others`}`;
  });
  const beats = (one, other) => known.every(name => one * by(name, other) <= 0) && known.some(name => by(name, other) !== 0);
  const [beaten, beating] = [others.filter(other => beats(-1, other)), others.filter(other => beats(1, other))];
  const list = found => found.length > 4 ? `${found.slice(0, 4).map(study.label).join(", ")} and ${found.length - 4} more` : found.map(study.label).join(", ");
  return [...lines,
    beaten.length ? `It beats ${beaten.length} in all goals: ${list(beaten)}` : "It beats no other in all goals at once",
    beating.length ? `It is beaten in all goals by ${list(beating)}` : "Nothing beats it in all goals, so it is on the front"];
}

// A round step, a tenth to a fifth of what the values span; 0 where they span nothing.
export function stepOf(values, share = 0.2) {
  const span = values.reduce((a, b) => Math.max(a, b), -Infinity) - values.reduce((a, b) => Math.min(a, b), Infinity);
  if (!(span > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(span * share));
  return [5, 2, 1].map(times => times * power).find(step => step <= span * share * (1 + 1e-9));
}
