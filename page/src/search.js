// The page of a search. One state, one way: a change makes a new state, from which everything is drawn again.
import { architectureCards } from "./cards.js";
import { confirmedPlot } from "./confirmed.js";
import { parallelAxes } from "./axes.js";
import { learningCurves } from "./curves.js";
import { byId, download, element, whenNear } from "./dom.js";
import { csvOf, jsonOf } from "./files.js";
import { frontPlot } from "./front.js";
import { findings, giveUp, limitWords } from "./headline.js";
import { limitSliders } from "./limits.js";
import { whatMatters } from "./matters.js";
import { parallelPlot } from "./parallel.js";
import { start } from "./plot.js";
import { hypervolumePlot, spendingPlot } from "./progress.js";
import { fromHash, pin, toHash } from "./state.js";
import { brushed, frontOfAll, openStudy, withinLimits } from "./study.js";
import { candidateTable } from "./table.js";
import { plural } from "./words.js";

const SETTLE = 140; // milliseconds after the last change until table, cards and link follow

export function searchPage(document_) {
  const study = openStudy(document_);
  const order = study.order;
  const axes = parallelAxes(study, order);
  let state = fromHash(location.hash, study);
  let derived = derive();
  let frame = 0;
  let later = 0;

  function derive() {
    const within = withinLimits(study, state.limits);
    const inside = new Set(within);
    const front = frontOfAll(study, row => inside.has(row));
    const found = findings(study, state.limits, within);
    const best = [...new Set(found.map(({ row }) => row).filter(row => row !== null && row !== undefined))];
    return {
      state, ...state, within, inside, highlighted: new Set(front), found, brushedRows: brushed(study, state.brush, axes.axes),
      // Without a choice of the reader's, the best and the knee stand side by side.
      shown: state.pinned.length ? state.pinned : best.slice(0, 2),
    };
  }

  function change(changes) {
    state = { ...state, ...changes };
    document.documentElement.dataset.settled = "no"; // for tests
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      derived = derive();
      drawNow();
      clearTimeout(later);
      later = setTimeout(drawLater, SETTLE);
    });
  }
  const pick = row => change({ pinned: pin(state.pinned, row) });
  const limit = (name, value) => {
    const { [name]: _, ...others } = state.limits;
    change({ limits: value === null ? others : { ...others, [name]: value } });
  };
  const brush = (name, range) => {
    const { [name]: _, ...others } = state.brush;
    change({ brush: range === null ? others : { ...others, [name]: range } });
  };

  const sliders = limitSliders(study, limit);
  const plot = study.metrics.size > 1 ? frontPlot("front", study, pick) : null;
  const further = study.further.map(({ runtime, x, rows, marked, mark }) => ({ rows, marked, mark, x, y: study.score, plot: frontPlot(`further-${runtime}`, study, pick) }));
  const cards = byId("cards") ? architectureCards(study, { pick }) : null;
  const lazily = [];

  function headline() {
    if (!study.trained.length) return; // Python has said why
    const limited = Object.keys(state.limits).length > 0;
    const cardOf = ({ title, subject, facts, comparisons, row = null }) => element(`article.card${subject ? "" : ".slim"}`, {},
      ...(subject ? [element("p.kicker", {}, title), element("p.subject", {}, subject)] : [element("p.subject", {}, title)]),
      ...facts.map(text => element("p", {}, text)),
      comparisons.length ? element("ul", {}, comparisons.map(text => element("li", {}, text))) : null,
      ...(row === null ? [] : [trade(row)]));
    byId("headline").replaceChildren(...[...derived.found, ...study.findings].map(cardOf));
    const count = derived.highlighted.size;
    byId("left").textContent = limited
      ? `${derived.within.length} of ${plural(study.trained.length, "trained candidate")} keep the limits (${limitWords(study, state.limits).join(", ")}); ${count === 1 ? "1 is" : `${count} are`} on the front.`
      : `No limit is set: move a slider, and front, knee and headline follow. ${plural(count, "candidate")} with the best trade-offs over all ${study.objectives.length} goals.`;
    byId("left").classList.toggle("limited", limited);
    byId("reset").hidden = !limited;
  }

  function trade(row) {
    const words = giveUp(study, state.limits, row);
    return words.length ? element("div.trade", {}, element("p.kicker", {}, "What do I give up?"), element("ul", {}, words.map(text => element("li", {}, text)))) : null;
  }

  // What a slider moves is drawn in its frame, the rest once it rests.
  function drawNow() {
    sliders.draw(derived);
    headline();
    if (plot) plot.draw(derived);
    byId("x").value = state.x;
    byId("y").value = state.y;
    byId("log").checked = state.log;
    byId("published").checked = state.published;
    byId("imagenet").hidden = !state.published;
    if (byId("find").value !== state.find) byId("find").value = state.find;
    byId("only").value = state.only;
  }
  function drawLater() {
    cards?.draw(derived);
    for (const view of lazily) if (view.follow) view.draw();
    const hash = toHash(state, study);
    if (hash !== location.hash.slice(1)) history.replaceState(null, "", `#${hash}`);
    if (byId("unbrush")) byId("unbrush").hidden = !Object.keys(state.brush).length;
    document.documentElement.dataset.settled = "yes";
  }
  const drawFurther = () => further.forEach(({ plot: one, ...what }) =>
    one.draw({ ...derived, ...what, log: false, published: false, limits: {}, pinned: [], brushedRows: null, within: study.trained, highlighted: new Set() }));

  // Views further down are made when they are looked at. Those that ``follow`` are drawn again when the state changes.
  const near = (id, make, { follow = false } = {}) => {
    const target = byId(id);
    if (!target) return;
    const entry = { follow, draw: () => {} };
    lazily.push(entry);
    // A hidden plot is never near, but its section is.
    whenNear(target.hidden ? target.closest("section") : target, () => {
      const view = make();
      entry.draw = () => view.draw(derived);
      entry.draw();
    });
  };

  function controls() {
    for (const id of ["x", "y"]) {
      for (const { name, title } of study.metrics.values()) byId(id).add(new Option(title, name));
      byId(id).addEventListener("change", () => {
        const [other, value] = [id === "x" ? "y" : "x", byId(id).value];
        change(value === state[other] ? { [id]: value, [other]: state[id] } : { [id]: value }); // the two swap
      });
    }
    byId("log").addEventListener("change", () => change({ log: byId("log").checked }));
    byId("published").addEventListener("change", () => change({ published: byId("published").checked }));
    const name = study.study.replace(/[^\w.-]+/g, "-").replace(/^[-.]+|-+$/g, "") || "study";
    byId("csv").addEventListener("click", () => download(`${name}.csv`, csvOf(study.columns, study.rows), "text/csv"));
    byId("json").addEventListener("click", () => download(`${name}.json`, jsonOf(study.columns, study.rows), "application/json"));
    byId("find").addEventListener("input", () => change({ find: byId("find").value }));
    byId("only").addEventListener("change", () => change({ only: byId("only").value }));
    byId("reset").addEventListener("click", () => change({ limits: {} }));
    byId("unbrush")?.addEventListener("click", () => change({ brush: {} }));
    byId("front-controls").hidden = !plot;
    byId("limits-panel").hidden = !sliders.any;
    addEventListener("hashchange", () => {
      state = fromHash(location.hash, study);
      change({});
    });
  }

  for (const part of document.querySelectorAll(".scripted")) part.hidden = false;
  controls();
  near("parallel", () => {
    const view = parallelPlot("parallel", study, axes, { pick, brush });
    byId("parallel-note").textContent = view.notes.join(" ");
    return view;
  }, { follow: true });
  near("candidates", () => {
    const view = candidateTable(study, { order, pick, change });
    view.controls(() => state);
    return view;
  }, { follow: true });
  near("matters", () => whatMatters(study));
  near("learning", () => learningCurves(study), { follow: true });
  if (study.confirmed?.networks.some(({ accuracy }) => accuracy !== null)) confirmedPlot(study);
  if (study.history) near("history", () => hypervolumePlot(study));
  if (!study.view) near("trials", () => spendingPlot(study));
  start(() => {
    drawNow();
    drawFurther();
    for (const view of lazily) if (!view.follow) view.draw();
    drawLater();
  });
}
