// How the front grew, over trials or over training, and what the trials cost.
import { byId } from "./dom.js";
import { HYPERVOLUME, colour, escaped, layout, show } from "./plot.js";
import { formatSeconds, isKnown } from "./words.js";

const AXES = { trial: "Trial", trainings: "Whole trainings", seconds: "Time of all trials (s)" };

export function hypervolumePlot(study) {
  if (!study.history) return { draw() {} };
  const choice = byId("over");
  for (const [name, label] of Object.entries(AXES)) choice.add(new Option(label, name));
  choice.addEventListener("change", draw);

  function draw() {
    const tones = ["front", "stopped", "preset"];
    const dashes = ["solid", "dash", "dot"];
    const traces = study.history.map((line, i) => ({ type: "scatter", mode: "lines", name: escaped(line.name), x: line[choice.value], y: line.percent,
      line: { shape: "hv", width: i ? 2 : 2.5, color: colour(tones[i % 3]), dash: dashes[i % 3] }, hovertemplate: "%{x:.4~g}: %{y:.2f} %<extra></extra>" }));
    const view = layout(AXES[choice.value], HYPERVOLUME, { printed: 220 });
    view.yaxis.rangemode = "tozero";
    view.showlegend = traces.length > 1;
    if (traces.length < 2) view.margin.t = 16; // no legend
    show("history", traces, view);
  }
  return { draw };
}

export function spendingPlot(study) {
  const order = study.rows.filter(row => isKnown(study.trial(row)));
  const seconds = study.column("seconds");
  // Thousands of bars are no bars: they are added up in groups.
  const size = Math.max(1, Math.ceil(order.length / 400));
  function draw() {
    const groups = Math.ceil(order.length / size);
    const sorted = [...order].sort((a, b) => study.trial(a) - study.trial(b));
    const states = Object.keys(study.states).filter(state => order.some(row => study.column("state")[row] === state));
    const traces = states.map(state => {
      const sums = new Array(groups).fill(0);
      sorted.forEach((row, i) => { if (study.column("state")[row] === state) sums[Math.floor(i / size)] += seconds[row] ?? 0; });
      return { name: study.states[state], type: "bar", x: sums.map((_, i) => study.trial(sorted[i * size])), y: sums, marker: { color: colour(state) }, hoverinfo: "text",
        hovertext: sums.map((sum, i) => `${size === 1 ? "trial" : `${size} trials from`} ${study.trial(sorted[i * size])}, ${study.states[state]}: ${formatSeconds(sum)}`) };
    });
    const view = layout("Trial", size === 1 ? "Cost of the trial (s)" : `Cost of ${size} trials (s)`, { printed: 220 });
    view.barmode = "stack";
    view.bargap = groups > 100 ? 0 : 0.2;
    view.showlegend = true;
    show("trials", traces, view);
  }
  return { draw };
}
