// The plots of a comparison: hypervolume against compute, and accuracy against cost, a line for each way of searching.
import { byId } from "./dom.js";
import { HYPERVOLUME, colour, isNarrow, layout, show, start } from "./plot.js";

const TONES = 6;
const dashes = ["solid", "dash", "dot"];  // more lines than tones are told apart by these
const tone = i => colour("tone" + i % TONES);
const dash = i => dashes[Math.floor(i / TONES) % dashes.length];
const faint = hex => "rgba(" + [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16)).join(",") + ",0.16)";

// In a narrow window each name has a line of its own above the plot.
function named(view, lines) {
  const height = 20 * (isNarrow() ? lines.length : Math.ceil(lines.reduce((sum, { label }) => sum + 7.5 * label.length + 60, 0) / 900));
  view.margin.t = 30 + height;
  view.legend = { ...view.legend, orientation: isNarrow() ? "v" : "h", tracegroupgap: 0 };
  return view;
}

function drawHistory(data) {
  const { axes, lines } = data.history;
  const compute = byId("compute").value || "trainings";
  const traces = lines.flatMap((line, i) => {
    const { x, mean, low, high, hover } = line[compute];
    const edge = (y, more) => ({ type: "scatter", mode: "lines", x, y, line: { shape: "hv", width: 0 }, hoverinfo: "skip",
      showlegend: false, legendgroup: line.label, ...more });
    const band = line.seeds > 1 ? [edge(low, {}), edge(high, { fill: "tonexty", fillcolor: faint(tone(i)) })] : [];
    return [...band, { name: line.label, type: "scatter", mode: "lines", x, y: mean, text: hover, hoverinfo: "text",
      legendgroup: line.label, showlegend: true, line: { shape: "hv", width: 2.5, color: tone(i), dash: dash(i) } }];
  });
  const view = named(layout(axes[compute], HYPERVOLUME), lines);
  view.xaxis.rangemode = "tozero";
  view.yaxis.rangemode = "tozero";
  if (compute === "trainings") {
    view.shapes = [{ type: "line", layer: "below", x0: data.equal, x1: data.equal, yref: "paper", y0: 0, y1: 1,
      line: { color: colour("quiet"), width: 1.5, dash: "dot" } }];
  }
  show("history", traces, view);
}

function drawAttained(data) {
  const { x, y, counts, lines } = data.attained[byId("cost").value || 0];
  const traces = lines.map((line, i) => ({ name: line.label, type: "scatter", mode: "lines+markers", x: line.x, y: line.y, text: line.hover,
    hoverinfo: "text", showlegend: true, line: { shape: "hv", width: 2.5, color: tone(i), dash: dash(i) },
    // The last point only draws the line on.
    marker: { size: line.x.map((_, j) => j < line.x.length - 1 ? 7 : 0), color: tone(i) } }));
  const view = named(layout(x, y), lines);
  if (counts) view.xaxis.tickformat = "~s";
  show("attained", traces, view);
}

export function comparisonPage(data) {
  for (const [name, label] of Object.entries(data.history.axes)) byId("compute").add(new Option(label, name));
  byId("compute").addEventListener("change", () => drawHistory(data));
  data.attained.forEach(({ cost }, i) => byId("cost").add(new Option(cost, i)));
  byId("cost").addEventListener("change", () => drawAttained(data));
  for (const id of ["compute", "cost"]) byId(id).closest(".controls").hidden = byId(id).length < 2;
  start(() => {
    drawHistory(data);
    drawAttained(data);
  });
}
