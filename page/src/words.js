// Numbers and findings in the words of Python (units.py, metrics.py, findings.py): the same number reads the same wherever it is said.

export const isKnown = value => value !== null && value !== undefined && !Number.isNaN(value);

// Python rounds a tie to the even digit, toFixed rounds it up; accuracies such as 289 of 400 are ties.
export function fixed(value, digits) {
  const doubled = value * 2 ** (digits + 1);
  if (!Number.isInteger(doubled) || doubled % 2 === 0) return value.toFixed(digits);
  const below = (doubled * 5 ** digits - 1) / 2;
  return ((below % 2 === 0 ? below : below + 1) / 10 ** digits).toFixed(digits);
}

// Three significant digits, as Python's ":.3g", or ":#.3g" without its last point where zeros are kept.
export function significant(value, { zeros = false } = {}) {
  if (value === 0) return zeros ? "0.00" : "0";
  const exponent = Number(value.toExponential(2).split("e")[1]);
  if (exponent < -4 || exponent > 2) {
    const [mantissa] = value.toExponential(2).split("e");
    const sign = exponent < 0 ? "-" : "+";
    return `${zeros ? mantissa : trimmed(mantissa)}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const text = fixed(value, 2 - exponent);
  return zeros ? text : trimmed(text);
}

const trimmed = text => text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text;

export function formatCount(value) {
  for (const [factor, suffix] of [[1e9, "G"], [1e6, "M"], [1e3, "K"]]) {
    if (Math.abs(value) >= factor * 0.9995) return trimmed(significant(value / factor, { zeros: true })) + suffix;
  }
  return significant(value);
}

// A metric is an entry of the document's: nothing here knows one by name. ``form`` says how its numbers are written.
export function formatMetric({ form, unit }, value) {
  return `${form === "share" ? fixed(100 * value, 1) : form === "count" ? formatCount(value) : significant(value)} ${unit}`;
}

// A number for a cell or an axis, whose heading has the unit.
export function formatCell({ form }, value) {
  return form === "share" ? fixed(100 * value, 1) : form === "count" ? formatCount(value) : significant(value, { zeros: true });
}

// What follows a value with its unit where that does not say what it is: " latency by ExecuTorch".
export const afterWords = ({ after, short }) => (after ? ` ${after}` : "") + (short ? ` by ${short}` : "");

export function formatSeconds(seconds) {
  const whole = Number(fixed(seconds, 0));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
}

// A probability: nothing that is only unlikely or likely is said to be impossible or certain.
export function chanceWords(chance) {
  if (!isKnown(chance)) return "";
  return chance < 0.005 ? "<1 %" : chance >= 0.995 ? ">99 %" : `${fixed(100 * chance, 0)} %`;
}

export function intervalWords(metric, low, high) {
  return isKnown(low) && isKnown(high) ? `${formatCell(metric, low)} to ${formatCell(metric, high)} ${metric.unit}` : "";
}

export function changeWords({ noun, more, fewer }, ratio) {
  const percent = 100 * (ratio - 1);
  return Math.abs(percent) < 0.5 ? `the same ${noun}` : `${fixed(Math.abs(percent), 0)} % ${percent > 0 ? more : fewer} ${noun}`;
}

export const signed = (value, digits) => (value < 0 ? "" : "+") + fixed(value, digits);

// 10,000
export const whole = count => String(count).replace(/\B(?=(\d{3})+$)/g, ",");

export const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
