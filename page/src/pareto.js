// The front and its knee, as pareto.py computes them. A row that lacks a number is on no front.

// Indices of the rows that no other dominates; ``columns`` holds one array an objective. All copies of a row stay.
export function front(columns, maximise, rows = [...columns[0].keys()]) {
  const costs = columns.map((column, i) => maximise[i] ? column.map(value => value === null ? null : -value) : column);
  const known = rows.filter(row => costs.every(column => column[row] !== null && !Number.isNaN(column[row])));
  const compare = (a, b) => {
    for (const column of costs) if (column[a] !== column[b]) return column[a] - column[b];
    return a - b;
  };
  // In lexicographic order a row can only be dominated by an earlier one, and then by one of the front. With two
  // objectives the last of the front dominates whatever any does, so it is asked first.
  const found = [];
  for (const row of known.sort(compare)) {
    let beaten = false;
    for (let i = found.length - 1; i >= 0 && !beaten; i--) {
      beaten = costs.every(column => column[found[i]] <= column[row]) && costs.some(column => column[found[i]] < column[row]);
      if (costs.length === 2 && !beaten) break;
    }
    if (!beaten) found.push(row);
  }
  return found.sort((a, b) => a - b);
}

// The row of the front (low cost, high gain) that lies farthest above its chord; null where there is none (Das, 1999).
export function knee(cost, gain, rows) {
  const found = front([cost, gain], [false, true], rows);
  if (new Set(found.map(row => `${cost[row]} ${gain[row]}`)).size < 3) return null;
  const extent = column => {
    const values = found.map(row => column[row]);
    return [Math.min(...values), Math.max(...values)];
  };
  const [[cheap, dear], [low, high]] = [extent(cost), extent(gain)];
  let best = null;
  let farthest = 1e-12;
  for (const row of found) {
    const above = (gain[row] - low) / (high - low) - (cost[row] - cheap) / (dear - cheap);
    if (above > farthest) [best, farthest] = [row, above];
  }
  return best;
}
