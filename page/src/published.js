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

// The models nearest to the budget on a cost, in ratio; without a budget, to the dearest network of this study.
export function nearest(study, models, cost) {
  const budget = study.budgets.find(one => one.metric === cost)?.high;
  const known = study.trained.map(row => study.column(cost)[row]).filter(isKnown);
  const at = budget ?? known.reduce((a, b) => Math.max(a, b), 0);
  if (!(at > 0)) return models.slice(0, NAMED);
  const away = one => Math.abs(Math.log(one.values[cost] / at));
  return [...models].sort((a, b) => away(a) - away(b)).slice(0, NAMED);
}

export function publishedPlot(study) {
  const cost = publishedCost(study);
  const accuracy = study.known.accuracy;
  const models = study.published.filter(one => one.values[cost.name] > 0);
  const near = nearest(study, models, cost.name);
  const percent = one => 100 * one.values.accuracy;
  const words = one => [one.name, `${formatMetric(accuracy, one.values.accuracy)} top-1 on ImageNet, as its source states it`,
    ...["params", "macs"].filter(name => isKnown(one.values[name])).map(name => formatMetric(study.metric(name), one.values[name]) + afterWords(study.metric(name))), one.source];

  function draw() {
    const tone = colour("published");
    const view = layout(`${cost.title}, as published`, "Top-1 accuracy on ImageNet (%)");
    view.xaxis.type = "log";
    view.xaxis.tickformat = "~s";
    view.xaxis.dtick = "D2";
    view.margin.t = 16;
    const budgets = study.budgets.filter(one => one.metric === cost.name);
    view.shapes = budgets.map(({ high, words: text }) => ({ type: "line", layer: "below", x0: high, x1: high, yref: "paper", y0: 0, y1: 1,
      line: { color: colour("budget"), width: 1.5, dash: "dash" }, label: { text: escaped(`budget: ${text}`), font: { size: 12, color: colour("budget") } } }));
    const traces = sides => [{ type: "scatter", mode: "markers+text", name: "published", cliponaxis: false, showlegend: false,
      x: models.map(one => one.values[cost.name]), y: models.map(percent), hoverinfo: "text", hovertext: models.map(one => words(one).map(escaped).join("<br>")),
      marker: { size: 8, symbol: "diamond-open", color: tone, line: { width: 1.2 } }, text: models.map((one, i) => sides[i] ? escaped(one.name) : ""),
      textposition: models.map((_, i) => sides[i] || "top center"), textfont: { color: tone, size: 11 } }];
    show("published", traces([]), view);
    const { xaxis, yaxis } = byId("published")._fullLayout;
    const box = [0, -8, xaxis._length, yaxis._length];
    const named = new Set(isNarrow() ? near.slice(0, 6) : near);
    const sides = placed(models.map(one => {
      const y = yaxis.d2p(percent(one));
      return { x: xaxis.d2p(one.values[cost.name]), y, low: y, high: y, width: named.has(one) ? 6.2 * one.name.length : 0 };
    }), box, { must: true });
    show("published", traces(sides), view);
  }
  return { draw };
}
