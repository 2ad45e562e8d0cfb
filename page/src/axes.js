// The axes of the parallel coordinates: factors first, their values in the order of the space, then costs, the score last.
import { factorName } from "./study.js";
import { formatCell, isKnown } from "./words.js";

const MOST_FACTORS = 8; // shown at first
const MOST_CATEGORIES = 12; // numbers with more values than this have a scale

// ``order`` names the factors, the most important first; those that never vary are left out.
export function parallelAxes(study, order = study.factors) {
  const factors = order.flatMap(name => {
    const column = study.column(name);
    const values = [...new Set(study.trained.map(row => column[row]).filter(isKnown))];
    if (values.length < 2) return [];
    const numeric = values.every(value => typeof value === "number");
    const choices = study.choices?.[name] ?? [];
    const place = value => choices.includes(String(value)) ? choices.indexOf(String(value)) : choices.length; // what is not in the space comes last
    values.sort(numeric ? (a, b) => a - b : (a, b) => place(a) - place(b) || String(a).localeCompare(String(b), "en", { numeric: true }));
    return [numeric && values.length > MOST_CATEGORIES ? scale(name, factorName(name), column, values, String)
      : categories(name, factorName(name), column, values)];
  });
  const metrics = [...study.metrics.values()].filter(metric => !metric.aside && !metric.short).flatMap(metric => {
    const column = study.column(metric.name);
    const values = study.trained.map(row => column[row]).filter(isKnown).sort((a, b) => a - b);
    return values.length ? [scale(metric.name, metric.title, column, values, value => formatCell(metric, value))] : [];
  }).sort((a, b) => (a.name === study.score) - (b.name === study.score));
  return { axes: [...factors, ...metrics], shown: [...factors.slice(0, MOST_FACTORS), ...metrics].map(axis => axis.name) };
}

function categories(name, label, column, values) {
  const index = new Map(values.map((value, i) => [value, i]));
  return { name, label, low: -0.5, high: values.length - 0.5, step: 1, ticks: values.map((value, i) => ({ at: i, text: String(value) })),
    position: row => index.get(column[row]) ?? null,
    words: ([low, high]) => values.filter((_, i) => i >= low && i <= high).join(", ") || "nothing" };
}

function scale(name, label, column, sorted, words) {
  const [low, high] = [sorted[0], sorted.at(-1)];
  const spare = (high - low) * 0.02 || Math.abs(high) * 0.05 || 1;
  const ticks = high > low ? [0, 0.25, 0.5, 0.75, 1].map(share => low + share * (high - low)) : [low];
  return { name, label, low: low - spare, high: high + spare, step: (high - low) / 20 || 1, ticks: ticks.map(at => ({ at, text: words(at) })),
    position: row => isKnown(column[row]) ? column[row] : null, words: range => range.map(words).join(" to ") };
}
