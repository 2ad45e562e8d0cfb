// What others published, on axes of its own: accuracy on ImageNet is another number than this study's.
import { byId } from "./dom.js";
import { colour, escaped, isNarrow, layout, placed, show } from "./plot.js";
import { afterWords, formatMetric, isKnown } from "./words.js";

const NAMED = 20;

// Against the study's main cost where papers state it, else against parameters.
export function publishedCost(study) {
  const stated = name => study.published.some(one => isKnown(one.values[name]));
  return study.metric(stated(study.cost) ? study.cost : "params");
}

// What the models are compared with: the budget on a cost, or else the dearest network of this study.
export function aimOf(study, cost) {
  const known = study.trained.map(row => study.column(cost)[row]).filter(isKnown);
  return study.budgets.find(one => one.metric === cost)?.high ?? known.reduce((a, b) => Math.max(a, b), 0);
}

// The models whose cost is nearest to ``aim``, in ratio.
export function nearest(models, cost, aim) {
  const away = one => Math.abs(Math.log(one.values[cost] / aim));
  return aim > 0 ? [...models].sort((a, b) => away(a) - away(b)).slice(0, NAMED) : models.slice(0, NAMED);
}

export function publishedPlot(study) {
  const cost = publishedCost(study);
  const accuracy = study.known.accuracy;
  const models = study.published.filter(one => one.values[cost.name] > 0);
  const aim = aimOf(study, cost.name);
  const near = nearest(models, cost.name, aim);
  const named = new Set(near);
  // The nearest fill the chart; a double click shows all.
  const ends = near.map(one => one.values[cost.name]);
  const span = ends.length ? [Math.min(aim || Infinity, ...ends) / 2, Math.max(aim, ...ends) * 2].map(Math.log10) : undefined;
  const percent = one => 100 * one.values.accuracy;
  const heights = near.map(percent);
  const words = one => [one.name, `${formatMetric(accuracy, one.values.accuracy)} top-1 on ImageNet, as its source states it`,
    ...["params", "macs"].filter(name => isKnown(one.values[name])).map(name => formatMetric(study.metric(name), one.values[name]) + afterWords(study.metric(name))), one.source];

  function draw() {
    const tone = colour("published");
    const view = layout(`${cost.title}, as published`, "Top-1 accuracy on ImageNet (%)");
    view.xaxis.type = "log";
    view.xaxis.tickformat = "~s";
    if (span) view.xaxis.range = span;
    view.margin.t = 16;
    const budgets = study.budgets.filter(one => one.metric === cost.name);
    view.shapes = budgets.map(({ high }) => ({ type: "line", layer: "below", x0: high, x1: high, yref: "paper", y0: 0, y1: 1,
      line: { color: colour("budget"), width: 1.5, dash: "dash" } }));
    view.annotations = budgets.map(({ high, words: text }) => ({ x: Math.log10(high), yref: "paper", y: 0.02, yanchor: "bottom", xanchor: isNarrow() ? "center" : "left", xshift: isNarrow() ? 0 : 4, showarrow: false,
      text: isNarrow() ? `budget:<br>${escaped(text)}` : escaped(`budget: ${text}`), font: { size: 12, color: colour("budget") } }));
    if (heights.length) view.yaxis.range = [Math.min(...heights) - 6, Math.max(...heights) + 4];
    const at = list => ({ x: list.map(one => one.values[cost.name]), y: list.map(percent) });
    const common = { type: "scatter", cliponaxis: false, showlegend: false };
    const traces = sides => [
      { ...common, ...at(models), mode: "markers", name: "published", hoverinfo: "text", hovertext: models.map(one => words(one).map(escaped).join("<br>")),
        marker: { size: 8, symbol: "diamond-open", color: tone, line: { width: 1.2 }, opacity: models.map(one => named.has(one) ? 1 : 0.3) } },
      { ...common, ...at([...sides.keys()]), mode: "markers+text", marker: { size: 12, opacity: 0 }, name: "names", hoverinfo: "skip", text: [...sides.keys()].map(one => escaped(one.name)),
        textposition: [...sides.values()], textfont: { color: tone, size: 11 } },
    ];
    show("published", traces(new Map()), view);
    const { xaxis, yaxis } = byId("published")._fullLayout;
    const shown = new Set(isNarrow() ? near.slice(0, 6) : near);
    const places = near.map(one => {
      const y = yaxis.d2p(percent(one));
      return { x: xaxis.d2p(one.values[cost.name]), y, low: y, high: y, width: shown.has(one) ? 6.4 * one.name.length : 0 };
    });
    const found = placed(places, [0, -8, xaxis._length, yaxis._length], { must: true });
    const sides = new Map(near.map((one, i) => [one, found[i]]).filter(([, side]) => side));
    show("published", traces(sides), view);
  }
  return { draw };
}
