// The plots of an ablation's page: the differences from the base, and accuracy against cost.
import { byId } from "./dom.js";
import { colour, isNarrow, layout, placed, show, start } from "./plot.js";

const tones = { base: "preset", free: "front", matched: "budget" };
const symbols = { base: "diamond", free: "circle", matched: "square" };

function drawForest(data) {
  if (!data.forest) return;
  const { rows, kinds, range, base, factors } = data.forest;
  const traces = Object.keys(kinds).filter(kind => kind !== "base").flatMap(kind => {
    const tone = colour(tones[kind]);
    const of = rows.map((row, y) => ({ ...row, y })).filter(row => row.kind === kind);
    const drawn = of.filter(row => row.mean !== null && row.low !== null);
    const dots = of.flatMap(row => row.dots.map((x, i) => ({ x, y: row.y + 0.26, text: row.dots_hover[i] })));
    return [
      { name: kinds[kind], type: "scatter", mode: "markers", x: drawn.map(row => row.mean), y: drawn.map(row => row.y),
        text: drawn.map(row => row.hover), hoverinfo: "text", legendgroup: kind, showlegend: true,
        marker: { size: 11, symbol: symbols[kind], color: tone },
        error_x: { type: "data", symmetric: false, thickness: 2, width: 0, color: tone,
          array: drawn.map(row => row.high - row.mean), arrayminus: drawn.map(row => row.mean - row.low) } },
      { type: "scatter", mode: "markers", x: dots.map(dot => dot.x), y: dots.map(dot => dot.y), text: dots.map(dot => dot.text),
        name: kinds[kind], hoverinfo: "text", legendgroup: kind, showlegend: !drawn.length, marker: { size: 6, color: tone, opacity: 0.55 } },
    ];
  });
  const view = layout("Difference (points)<br>← worse &nbsp; &nbsp; better →", factors);
  const zero = -range[0] / (range[1] - range[0]);
  Object.assign(view.xaxis, { range });
  Object.assign(view.yaxis, { range: [rows.length - 0.5, -0.5], tickvals: rows.map((_, y) => y), ticktext: rows.map(row => row.label),
    tickfont: { color: colour("text") }, showgrid: false });
  view.shapes = [{ type: "line", layer: "below", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1, line: { color: colour("preset"), width: 1.5 } }];
  view.annotations = [{ text: base, x: 0, yref: "paper", y: 1, yanchor: "bottom", showarrow: false, font: { color: colour("preset"), size: 13 },
    xanchor: zero < 0.3 ? "left" : zero > 0.7 ? "right" : "center", align: "center" }];
  const entries = isNarrow() ? Object.keys(kinds).length : 1;  // lines of the legend
  view.margin.t = 66 + 20 * entries;
  view.height = view.margin.t + 100 + 52 * rows.length;
  view.legend = { ...view.legend, yref: "container", y: 1, yanchor: "top" };
  show("forest", traces, view);
}

function drawAccuracy(data) {
  if (!data.accuracy) return;
  const { axes, y: title, accuracy: score, label: labels, kind: kindOf, hover, kinds } = data.accuracy;
  const cost = axes[byId("x").value];
  const all = labels.map((_, i) => i).filter(i => cost.values[i] !== null);
  const distance = (axis, ends, i) => ends[i] === null ? 0 : Math.abs(ends[i] - axis.values[i]);
  const bar = (indices, axis, tone) => axis.low.every(end => end === null) ? undefined : { type: "data", symmetric: false, thickness: 1.5, width: 0, color: tone,
    arrayminus: indices.map(i => distance(axis, axis.low, i)), array: indices.map(i => distance(axis, axis.high, i)) };
  const traces = Object.keys(kinds).map(kind => {
    const of = all.filter(i => kindOf[i] === kind);
    const tone = colour(tones[kind]);
    return { name: kinds[kind], type: "scatter", mode: "markers", x: of.map(i => cost.values[i]), y: of.map(i => score.values[i]),
      hovertext: of.map(i => hover[i]), hoverinfo: "text", cliponaxis: false, showlegend: true,
      marker: { size: kind === "base" ? 13 : 10, symbol: symbols[kind], color: tone },
      error_y: bar(of, score, tone), error_x: bar(of, cost, tone) };
  });
  const view = layout(cost.title, title);
  if (cost.counts) view.xaxis.tickformat = "~s";
  show("accuracy", traces, view);
  // Where there is room is known once the axes are.
  const { xaxis, yaxis } = byId("accuracy")._fullLayout;
  const sides = placed(all.map(i => ({
    x: xaxis.d2p(cost.values[i]), y: yaxis.d2p(score.values[i]), low: yaxis.d2p(score.low[i] ?? score.values[i]),
    high: yaxis.d2p(score.high[i] ?? score.values[i]), width: 7.5 * labels[i].length,
  })), [0, -16, xaxis._length + 16, yaxis._length]);
  // Plotly never writes again at a point that had no name once: only those that have one are told of.
  const named = all.map((i, at) => ({ i, side: sides[at] })).filter(({ side }) => side);
  // A mark that is not seen keeps a name off the mark that is.
  const names = { name: "names", type: "scatter", mode: "markers+text", marker: { size: 14, opacity: 0 }, showlegend: false, hoverinfo: "skip", cliponaxis: false,
    x: named.map(({ i }) => cost.values[i]), y: named.map(({ i }) => score.values[i]), text: named.map(({ i }) => labels[i]),
    textposition: named.map(({ side }) => side), textfont: { color: named.map(({ i }) => colour(tones[kindOf[i]])), size: 13 } };
  show("accuracy", [...traces, names], view);
}

export function ablationPage(data) {
  if (data.accuracy) {
    for (const [name, { title }] of Object.entries(data.accuracy.axes)) {
      const text = new DOMParser().parseFromString(title, "text/html").body.textContent;
      byId("x").add(new Option(text, name, false, name === data.accuracy.x));
    }
    byId("x").addEventListener("change", () => drawAccuracy(data));
    document.querySelector(".controls").hidden = Object.keys(data.accuracy.axes).length < 2;
  }
  start(() => {
    drawForest(data);
    drawAccuracy(data);
  });
}
