// The page of a search. One state, one way: a change makes a new state, from which everything is drawn again.
import { architectureCards } from "./cards.js";
import { confirmedPlot } from "./confirmed.js";
import { parallelAxes } from "./axes.js";
import { learningCurves } from "./curves.js";
import { byId, copy, download, element, whenNear } from "./dom.js";
import { decisionForm, readSaved, savedText } from "./decision.js";
import { csvOf, jsonOf } from "./files.js";
import { frontPlot } from "./front.js";
import { findings, fitting, limitWords } from "./headline.js";
import { limitSliders } from "./limits.js";
import { whatMatters } from "./matters.js";
import { parallelPlot } from "./parallel.js";
import { start } from "./plot.js";
import { hypervolumePlot, spendingPlot } from "./progress.js";
import { publishedPlot } from "./published.js";
import { slug } from "./save.js";
import { fromHash, pin, toHash } from "./state.js";
import { brushed, frontOfAll, openStudy, withinLimits } from "./study.js";
import { chances } from "./sure.js";
import { candidateTable } from "./table.js";
import { plural, whole } from "./words.js";

const SETTLE = 140; // milliseconds after the last change until table, cards, link and who may be the best follow

// ``untouched`` is the page's root as it came.
export function searchPage(document_, untouched) {
  const study = openStudy(document_);
  const order = study.order;
  const axes = parallelAxes(study, order);
  const saved = readSaved(byId("saved").textContent);
  let state = fromHash(location.hash.length > 1 ? location.hash : saved.hash, study);
  let likely = { limits: null, best: null }; // who may be the best within these limits: 0.1 s of 10,000, so once they rest
  let derived = derive();
  let frame = 0;
  let later = 0;

  function derive() {
    const within = withinLimits(study, state.limits);
    const inside = new Set(within);
    const front = frontOfAll(study, row => inside.has(row));
    const known = likely.limits === state.limits ? likely.best : null;
    const found = findings(study, state.limits, within, known);
    const best = [...new Set(found.map(({ row }) => row).filter(row => row !== null && row !== undefined))];
    return {
      state, ...state, within, inside, front, highlighted: new Set(front), found, chances: known, brushedRows: brushed(study, state.brush, axes.axes),
      // Without a choice of the reader's, what is recommended stands beside the cheapest that is nearly as good.
      shown: state.pinned.length ? state.pinned : best.slice(0, 2), answers: best,
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

  const name = slug(study.study);
  const copyOf = decision => {
    const whole = untouched.cloneNode(true);
    whole.querySelector("#saved").textContent = savedText(toHash(state, study), decision);
    return `<!doctype html>\n${whole.outerHTML}`;
  };
  const decision = byId("decision") ? decisionForm(study, saved.decision, { fileName: name, copyOf,
    rowsOf: () => [...new Set([...derived.front, ...state.pinned.filter(row => study.trained.includes(row))])] }) : null;

  const sliders = limitSliders(study, limit);
  const plot = study.metrics.size > 1 ? frontPlot("front", study, pick) : null;
  const further = study.further.map(({ runtime, x, rows, marked, mark }) => ({ rows, marked, mark, x, y: study.score, plot: frontPlot(`further-${runtime}`, study, pick) }));
  const cards = byId("cards") ? architectureCards(study, { pick }) : null;
  const lazily = [];

  function headline() {
    if (!study.trained.length) return; // Python has said why
    const limited = Object.keys(state.limits).length > 0;
    byId("headline").replaceChildren(...derived.found.map(answer));
    const count = derived.highlighted.size;
    const goals = study.objectives.length === 1 ? "the one goal" : `all ${study.objectives.length} goals`;
    byId("left").textContent = limited
      ? `${whole(derived.within.length)} of ${plural(study.trained.length, "trained network")} ${derived.within.length === 1 ? "keeps" : "keep"} the limits (${limitWords(study, state.limits).join(", ")}); ${count === 1 ? "1 is" : `${count} are`} on the front.`
      : `No limit is set: move a slider, and the answer follows. ${plural(count, "network")} ${count === 1 ? "is the best trade-off" : "are the best trade-offs"} over ${goals}.`;
    byId("left").classList.toggle("limited", limited);
    byId("reset").hidden = !limited;
  }

  function answer({ title, subject, is_choice: isChoice, detail, facts, command, row = null }, i) {
    const small = [row === null ? "" : study.descriptor(row), detail].filter(Boolean).join("; ");
    const lead = subject ? [element("strong", {}, `${isChoice ? "Take " : ""}${subject}`), ": "] : [];
    return element(i ? "article.second" : "article.answer", {}, element("p.kicker", {}, title),
      ...facts.map((text, at) => element(i || at ? "p" : "p.take", {}, ...(at ? [] : lead), text)),
      command ? confirmation(command) : null, small ? element("p.note", {}, small) : null);
  }

  function confirmation(command) {
    if (study.confirmed) return element("p.confirmed", {}, `Confirmed: ${study.confirmed.verdict}`);
    const button = element("button.small", { type: "button", "aria-label": "Copy the command that confirms" }, "Copy");
    button.addEventListener("click", () => copy(command, button));
    return element("p.confirmed", {}, "Not confirmed: ", element("code", {}, command), " ", button);
  }

  // What a slider moves is drawn in its frame, the rest once it rests.
  function drawNow() {
    sliders.draw(derived);
    headline();
    if (plot) plot.draw(derived);
    byId("x").value = state.x;
    byId("y").value = state.y;
    byId("log").checked = state.log;
    if (byId("find").value !== state.find) byId("find").value = state.find;
    byId("only").value = state.only;
  }
  function drawLater() {
    if (!derived.chances) {
      likely = { limits: state.limits, best: chances(study, fitting(study, derived.within)) };
      derived = derive();
      headline();
    }
    cards?.draw(derived);
    decision?.draw();
    for (const view of lazily) if (view.follow) view.draw();
    const hash = toHash(state, study);
    if (hash !== location.hash.slice(1)) history.replaceState(null, "", `#${hash}`);
    if (byId("unbrush")) byId("unbrush").hidden = !Object.keys(state.brush).length;
    document.documentElement.dataset.settled = "yes";
  }
  const drawFurther = () => further.forEach(({ plot: one, ...what }) =>
    one.draw({ ...derived, ...what, log: false, limits: {}, pinned: [], answers: [], brushedRows: null, within: study.trained, highlighted: new Set() }));

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
    byId("csv").addEventListener("click", () => download(`${name}.csv`, csvOf(study.columns, study.rows), "text/csv"));
    byId("json").addEventListener("click", () => download(`${name}.json`, jsonOf(study.columns, study.rows), "application/json"));
    byId("find").addEventListener("input", () => change({ find: byId("find").value }));
    byId("only").addEventListener("change", () => change({ only: byId("only").value }));
    byId("reset").addEventListener("click", () => change({ limits: {} }));
    byId("unbrush")?.addEventListener("click", () => change({ brush: {} }));
    byId("front-controls").hidden = !plot;
    byId("limits-panel").hidden = !sliders.any;
    for (const { name: device, limits, words } of study.devices ?? []) {
      // What was not measured of any cannot be limited.
      const known = Object.fromEntries(Object.entries(limits).filter(([each]) => study.metrics.has(each)));
      const missing = Object.keys(limits).filter(each => !study.metrics.has(each)).map(each => study.metric(each).noun);
      const button = element("button.small", { type: "button", title: words }, missing.length ? `${device} (${missing.join(", ")} not measured)` : device);
      button.addEventListener("click", () => change({ limits: known }));
      byId("devices").append(button);
    }
    addEventListener("hashchange", () => {
      state = fromHash(location.hash, study);
      change({});
    });
  }

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
  near("published", () => publishedPlot(study));
  if (study.history) near("history", () => hypervolumePlot(study));
  if (!study.view) near("trials", () => spendingPlot(study));
  start(() => {
    drawNow();
    drawFurther();
    for (const view of lazily) if (!view.follow) view.draw();
    drawLater();
  });
}
