// A candidate in lines of words, as a hover says it.
import { factorName } from "./study.js";
import { intervalOf } from "./headline.js";
import { afterWords, chanceWords, formatMetric, isKnown } from "./words.js";

const FEW_FACTORS = 12;

export function describe(study, row) {
  const [name, detail] = [study.label(row), study.detail(row)];
  const lines = [`${name}${detail === name ? "" : ` (${detail.replace(`${name}, `, "")})`}, ${study.states[study.column("state")[row]]}`];
  for (const [name, metric] of study.metrics) {
    const value = study.column(name)[row];
    if (!isKnown(value) || metric.aside) continue;
    lines.push(formatMetric(metric, value) + (metric.words ? ` ${metric.words}` : afterWords(metric)));
    const { interval, covers } = intervalOf(study, metric, row);
    if (interval) lines.push(`95 % interval ${interval} (${covers})`);
  }
  const chance = study.sure.front[row];
  if (isKnown(chance)) lines.push(`P(on the front) ${chanceWords(chance)}`);
  const factors = study.factors.filter(name => isKnown(study.column(name)[row]));
  for (const name of factors.slice(0, FEW_FACTORS)) lines.push(`${factorName(name)}: ${study.column(name)[row]}`);
  if (factors.length > FEW_FACTORS) lines.push(`and ${factors.length - FEW_FACTORS} more factors`);
  const reason = study.column("reason")[row];
  if (reason) lines.push(reason);
  return lines;
}
