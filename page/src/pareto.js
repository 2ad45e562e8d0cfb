// The front, as pareto.py computes it. A row that lacks a number is on no front.

// What fronts of subsets of ``rows`` share: the numbers as costs, and the rows in lexicographic order of them.
export function prepare(columns, maximise, rows = [...columns[0].keys()]) {
  const costs = columns.map((column, i) => Float64Array.from(column, value => value === null ? NaN : maximise[i] ? -value : value));
  const order = rows.filter(row => costs.every(column => !Number.isNaN(column[row])));
  order.sort((a, b) => {
    for (const column of costs) if (column[a] !== column[b]) return column[a] - column[b];
    return a - b;
  });
  return { costs, order };
}

// Indices of the rows that no other of those that are kept dominates. All copies of a row stay. In lexicographic order a
// row can only be dominated by an earlier one, and then by one of the front.
export function frontAmong({ costs, order }, keep = () => true) {
  const found = [];
  const two = costs.length === 2;
  for (const row of order) {
    if (!keep(row)) continue;
    let beaten = false;
    // Of two objectives the last of the front dominates whatever any does. Of more, what dominated before likely does again.
    for (let i = two ? Math.max(0, found.length - 1) : 0; i < found.length && !beaten; i++) {
      beaten = dominates(costs, found[i], row);
      if (beaten && !two) [found[0], found[i]] = [found[i], found[0]];
    }
    if (!beaten) found.push(row);
  }
  return found.sort((a, b) => a - b);
}

function dominates(costs, one, other) {
  let better = false;
  for (const column of costs) {
    if (column[one] > column[other]) return false;
    if (column[one] < column[other]) better = true;
  }
  return better;
}

export const front = (columns, maximise, rows) => frontAmong(prepare(columns, maximise, rows));
