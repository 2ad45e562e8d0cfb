// A candidate in lines of words, as a hover says it.
import { factorName } from "./study.js";
import { afterWords, formatMetric, intervalWords, isKnown } from "./words.js";

const FEW_FACTORS = 12;

export function describe(study, row) {
  const trial = study.trial(row);
  const lines = [`${study.label(row)}${trial === null ? "" : `, trial ${trial}`}, ${study.states[study.column("state")[row]]}`];
  for (const [name, metric] of study.metrics) {
    const value = study.column(name)[row];
    if (!isKnown(value) || metric.aside) continue;
    lines.push(formatMetric(metric, value) + (metric.words ? ` ${metric.words}` : afterWords(metric)));
    const interval = metric.low ? intervalWords(metric, study.column(metric.low)[row], study.column(metric.high)[row]) : "";
    if (interval) lines.push(`95 % interval ${interval}`);
  }
  const factors = study.factors.filter(name => isKnown(study.column(name)[row]));
  for (const name of factors.slice(0, FEW_FACTORS)) lines.push(`${factorName(name)}: ${study.column(name)[row]}`);
  if (factors.length > FEW_FACTORS) lines.push(`and ${factors.length - FEW_FACTORS} more factors`);
  const reason = study.column("reason")[row];
  if (reason) lines.push(reason);
  return lines;
}
