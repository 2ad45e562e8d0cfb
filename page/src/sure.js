// Who may be the best, as maths/sure.py says it: an integral over normals, on the same points.
import { isKnown } from "./words.js";

const [REACH, STEP, MOST_POINTS] = [6, 0.25, 2001];

// The probability of each of ``rows`` to be the best of them.
export function chances({ sure: { mean, deviation } }, rows) {
  const known = rows.filter(row => isKnown(mean[row]));
  const end = (side, among) => among.reduce((found, row) => Math.max(found, mean[row] + side * REACH * deviation[row]), -Infinity);
  const floor = end(-1, known);
  const can = known.filter(row => mean[row] + REACH * deviation[row] >= floor);
  const ceiling = end(1, can);
  const smallest = can.reduce((found, row) => Math.min(found, deviation[row]), Infinity);
  const points = Math.min(MOST_POINTS, 1 + Math.ceil((ceiling - floor) / (smallest * STEP)));
  const raw = can.map(() => 0);
  for (let point = 0; point < points; point++) {
    const x = floor + (ceiling - floor) * point / (points - 1);
    const z = can.map(row => (x - mean[row]) / deviation[row]);
    const logs = z.map(logPhi);
    const all = logs.reduce((sum, log) => sum + log, 0);
    can.forEach((row, i) => { raw[i] += Math.exp(all - logs[i] - z[i] * z[i] / 2) / deviation[row]; });
  }
  const sum = raw.reduce((a, b) => a + b, 0);
  const best = new Map(known.map(row => [row, 0]));
  can.forEach((row, i) => best.set(row, raw[i] / sum));
  return best;
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
