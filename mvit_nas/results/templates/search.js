// Distances from the points of a column to the ends of its interval.
function errorBars(points, column, indices, tone, without) {
  const ends = { accuracy: ["accuracy_low", "accuracy_high"], latency_ms: ["latency_low_ms", "latency_high_ms"] }[column];
  if (!ends) return undefined;
  const distance = (end, i) => points[end][i] === null || without.includes(i) ? 0 : Math.abs(points[end][i] - points[column][i]);
  return { type: "data", symmetric: false, thickness: 1, width: 0, color: tone,
    arrayminus: indices.map(i => distance(ends[0], i)), array: indices.map(i => distance(ends[1], i)) };
}

// One pair of axes. ``marked`` points get a ring, which ``mark`` explains.
function drawPoints(id, { axes, points, fronts, budgets, marked = [], mark }, x, y, logarithmic) {
  const front = fronts[x + " " + y];
  const all = points.label.map((_, i) => i).filter(i => points[x][i] !== null && points[y][i] !== null);
  const trained = all.filter(i => points.state[i] === "complete");
  const trace = (name, indices, marker, more) => ({
    name, type: "scatter", mode: "markers", x: indices.map(i => points[x][i]), y: indices.map(i => points[y][i]),
    text: indices.map(i => points.hover[i]), hoverinfo: "text", marker, cliponaxis: false, visible: indices.length ? true : false, ...more,
  });
  const bars = (indices, tone, without = []) => ({
    error_x: errorBars(points, x, indices, tone, without), error_y: errorBars(points, y, indices, tone, without) });
  const rest = trained.filter(i => !front.includes(i) && !points.preset[i]);
  const shared = rest.filter(i => points.on_front[i]);
  const presets = trained.filter(i => points.preset[i]);
  const over = all.filter(i => points.state[i] === "over_budget");
  // A ring keeps its distance from the name.
  const names = points.label.map((label, i) => marked.includes(i) ? "&nbsp;" + label + "&nbsp;" : label);
  const traces = sides => [
    trace("over budget", over, { size: 8, symbol: "circle-open", color: colour("grey"), line: { width: 1.5 } }),
    trace("dominated", rest.filter(i => !points.on_front[i]), { size: 8, color: colour("grey"), opacity: 0.75 }),
    trace("on the front of all objectives", shared, { size: 9, color: colour("shared") }, bars(shared, colour("shared"))),
    // What a point dominates lies on its costly side: the step leaves the point towards more cost.
    trace("front of these axes", front, { size: 10, color: colour("front") }, { mode: "lines+markers",
      line: { shape: axes[x].cost ? "hv" : "vh", width: 2, color: colour("front") }, ...bars(front, colour("front"), presets) }),
    trace("preset", presets, { size: 13, symbol: "diamond", color: colour("preset"), line: { width: 1.5, color: colour("page") } },
      { mode: "markers+text", texttemplate: presets.map(i => sides[i] ? names[i] : ""), textposition: presets.map(i => sides[i] || "top left"),
        textfont: { color: colour("preset"), size: 13 }, ...bars(presets, colour("preset")) }),
    trace(mark, marked, { size: 19, symbol: "circle-open", color: colour("text"), line: { width: 1.5 } }, { hoverinfo: "skip" }),
  ];
  const view = layout(axes[x].label, axes[y].label);
  for (const [axis, name] of [[view.xaxis, x], [view.yaxis, y]]) {
    axis.type = logarithmic && axes[name].cost ? "log" : "linear";
    if (name === "params" || name === "macs") axis.tickformat = "~s";
    if (axis.type === "log") axis.dtick = "D2";
  }
  view.shapes = budgets.flatMap(budget => budget.limits.flatMap(limit => {
    const line = { type: "line", layer: "below", line: { color: colour("budget"), width: 1.5, dash: "dash" } };
    const label = { text: "budget: " + budget.label, font: { size: 12, color: colour("budget") }, textposition: "middle" };
    if (budget.metric === x) return [{ ...line, x0: limit, x1: limit, yref: "paper", y0: 0, y1: 1, label }];
    if (budget.metric === y) return [{ ...line, y0: limit, y1: limit, xref: "paper", x0: 0, x1: 1, label }];
    return [];
  }));
  show(id, traces({}), view);
  // Where there is room for names is known once the axes are.
  const { xaxis, yaxis } = byId(id)._fullLayout;
  const end = (name, i) => yaxis.d2p((y === "accuracy" || y === "latency_ms") && points[name][i] !== null ? points[name][i] : points[y][i]);
  const [low, high] = y === "accuracy" ? ["accuracy_low", "accuracy_high"] : ["latency_low_ms", "latency_high_ms"];
  const boxes = all.map(i => ({ x: xaxis.d2p(points[x][i]), y: yaxis.d2p(points[y][i]), low: end(low, i), high: end(high, i),
    width: presets.includes(i) ? 7.5 * points.label[i].length + 8 * marked.includes(i) : 0 }));
  const sides = placed(boxes, [0, -16, xaxis._length, yaxis._length], { must: true });
  show(id, traces(Object.fromEntries(all.map((i, position) => [i, sides[position]]))), view);
}

function drawFront() {
  const [x, y] = [byId("x").value, byId("y").value];
  if (data.front.fronts[x + " " + y]) drawPoints("front", data.front, x, y, byId("log").checked);
}

// Each further runtime has axes of its own: its milliseconds are not those of another.
function drawFurther() {
  for (const [runtime, plot] of Object.entries(data.further)) drawPoints("further-" + runtime, plot, plot.x, plot.y, false);
}

function drawTrials() {
  if (!data.cost) return;
  const { trial, seconds, state, outcomes } = data.cost;
  const traces = outcomes.map(({ state: one, outcome: name }) => {
    const indices = trial.map((_, i) => i).filter(i => state[i] === one);
    return { name, type: "bar", x: indices.map(i => trial[i]), y: indices.map(i => seconds[i]),
      marker: { color: colour(one) }, hovertemplate: "trial %{x}, " + name + ": %{y:.1f} s<extra></extra>" };
  });
  show("trials", traces, { ...layout("Trial", "Cost of the trial (s)"), barmode: "overlay", showlegend: true });
}

function drawHistory() {
  if (!data.history) return;
  const { trial, percent } = data.history;
  const trace = { type: "scatter", mode: "lines", x: trial, y: percent, line: { shape: "hv", width: 2, color: colour("front") },
    hovertemplate: "after trial %{x}: %{y:.2f} %<extra></extra>" };
  const view = layout("Trial", "Hypervolume (% of the box)");
  view.yaxis.rangemode = "tozero";
  view.margin.t = 16;  // no legend
  show("history", [trace], view);
}

function draw() {
  drawFront();
  drawFurther();
  drawTrials();
  drawHistory();
}

function chooseAxes() {
  const { axes, x, y } = data.front;
  const names = Object.keys(axes);
  if (names.length < 2) return;
  const chosen = { x, y };
  for (const id of ["x", "y"]) {
    for (const name of names) {
      const text = new DOMParser().parseFromString(axes[name].label, "text/html").body.textContent;
      byId(id).add(new Option(text, name, false, name === chosen[id]));
    }
    byId(id).addEventListener("change", () => {
      const other = id === "x" ? "y" : "x";
      if (byId(id).value === chosen[other]) byId(other).value = chosen[id];  // the two swap
      chosen.x = byId("x").value;
      chosen.y = byId("y").value;
      drawFront();
    });
  }
  byId("log").addEventListener("change", drawFront);
  document.querySelector(".controls").hidden = false;
}

chooseAxes();
start(draw);
