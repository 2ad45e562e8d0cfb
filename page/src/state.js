// What the reader has chosen, and the same as a link's hash: who opens the link sees what its sender saw.

export const PINNED = 2; // that fit side by side

export function initialState(study) {
  return {
    x: study.x, y: study.y, log: study.spreads ?? false, limits: {}, pinned: [], brush: {},
    find: "", only: "all", sort: null, columns: null,
  };
}

// Only what differs from the beginning is written.
export function toHash(state, study) {
  const initial = initialState(study);
  const parameters = new URLSearchParams();
  for (const key of ["x", "y", "find", "only"]) if (state[key] !== initial[key]) parameters.set(key, state[key]);
  if (state.log !== initial.log) parameters.set("log", state.log ? "1" : "0");
  for (const [name, limit] of Object.entries(state.limits)) parameters.set(`limit.${name}`, limit);
  for (const [name, range] of Object.entries(state.brush)) parameters.set(`brush.${name}`, range.join(","));
  if (state.pinned.length) parameters.set("pin", state.pinned.join(","));
  if (state.sort) parameters.set("sort", state.sort.join(","));
  if (state.columns) parameters.set("columns", JSON.stringify(state.columns));
  return parameters.toString();
}

// A link may be old or mistyped: what this study does not have is left out.
export function fromHash(hash, study) {
  const state = initialState(study);
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const measured = name => study.metrics.has(name);
  const [x, y] = [parameters.get("x") ?? state.x, parameters.get("y") ?? state.y];
  if (measured(x) && measured(y) && x !== y) [state.x, state.y] = [x, y];
  if (parameters.has("log")) state.log = parameters.get("log") === "1";
  state.find = parameters.get("find") ?? "";
  if (["front", "trained", "limits"].includes(parameters.get("only"))) state.only = parameters.get("only");
  for (const [key, text] of parameters) {
    const [kind, ...rest] = key.split(".");
    const name = rest.join(".");
    const numbers = text.split(",").map(part => part.trim() === "" ? NaN : Number(part));
    if (kind === "limit" && measured(name) && numbers.length === 1 && Number.isFinite(numbers[0])) state.limits[name] = numbers[0];
    if (kind === "brush" && numbers.length === 2 && numbers.every(Number.isFinite) && (measured(name) || study.factors.includes(name))) {
      state.brush[name] = numbers;
    }
  }
  const rows = (parameters.get("pin") ?? "").split(",").filter(Boolean).map(Number);
  state.pinned = [...new Set(rows.filter(row => Number.isInteger(row) && row >= 0 && row < study.size))].slice(0, PINNED);
  const sort = /^(.+),(asc|desc)$/.exec(parameters.get("sort") ?? "");
  if (sort) state.sort = [sort[1], sort[2]];
  try {
    const columns = JSON.parse(parameters.get("columns") ?? "null");
    if (Array.isArray(columns) && columns.every(name => typeof name === "string")) state.columns = columns;
  } catch {
    state.columns = null;
  }
  return state;
}

// Pinning a third lets the first go; pinning one again lets it go.
export function pin(pinned, row) {
  return pinned.includes(row) ? pinned.filter(other => other !== row) : [...pinned, row].slice(-PINNED);
}
