// Who may be the best or on the front, as maths/sure.py says it: integrals over normals, with the same points.
import { isKnown } from "./words.js";

const [POINTS, REACH] = [201, 6];
const Z = Array.from({ length: POINTS }, (_, i) => -REACH + 2 * REACH * i / (POINTS - 1));

// The probabilities, by row, to be the best of ``rows`` and to be beaten by none of them that costs no more.
export function chances(study, rows) {
  const { mean, deviation } = study.sure;
  const known = rows.filter(row => isKnown(mean[row]));
  const costs = study.objectives.filter(name => study.metric(name).cost).map(study.column);
  const floor = Math.max(...known.map(row => mean[row] - REACH * deviation[row]));
  const can = known.filter(row => mean[row] + REACH * deviation[row] >= floor);
  const raw = can.map(row => aboveAll(study.sure, row, can.filter(other => other !== row)));
  const sum = raw.reduce((a, b) => a + b, 0);
  const best = new Map(known.map(row => [row, 0]));
  can.forEach((row, i) => best.set(row, raw[i] / sum));
  const front = new Map(known.map(row => {
    const others = known.filter(other => other !== row && costs.every(cost => cost[other] <= cost[row]));
    const leads = others.map(other => (mean[other] - mean[row]) / Math.hypot(deviation[other], deviation[row]));
    return [row, leads.some(lead => lead > REACH) ? 0 : aboveAll(study.sure, row, others.filter((_, i) => leads[i] > -REACH))];
  }));
  return { best, front };
}

// The other ``rows`` that are better than ``row`` with a probability of 5 % or more, the likeliest first.
export function tied({ sure: { mean, deviation } }, row, rows) {
  const p = other => Math.exp(logPhi((mean[other] - mean[row]) / Math.hypot(deviation[other], deviation[row])));
  const found = rows.filter(other => other !== row && isKnown(mean[other])).map(other => [other, p(other)]).filter(([, chance]) => chance >= 0.05);
  return found.sort((a, b) => b[1] - a[1]).map(([other]) => other);
}

function aboveAll({ mean, deviation }, row, others) {
  const density = Z.map(z => {
    const x = mean[row] + deviation[row] * z;
    const log = others.reduce((sum, other) => sum + logPhi((x - mean[other]) / deviation[other]), 0);
    return Math.exp(log - z * z / 2) / Math.sqrt(2 * Math.PI);
  });
  const inner = density.reduce((a, b) => a + b, 0) - (density[0] + density[POINTS - 1]) / 2;
  return inner * 2 * REACH / (POINTS - 1);
}

// The logarithm of the normal distribution function, to 1.2e-7 relative: erfc by Chebyshev's polynomial (Numerical
// Recipes, section 6.2).
export function logPhi(x) {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 2 / (2 + z);
  const terms = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223];
  const logTail = Math.log(t) - z * z + terms.reduce((sum, term) => sum * t + term, 0) - Math.LN2;
  return x < 0 ? logTail : Math.log1p(-Math.exp(logTail));
}
