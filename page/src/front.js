// Candidates on two axes. Plotly draws axes, front, names and limits; the many points lie on a canvas below it, because
// ten thousand marks in SVG take half a second and the canvas a few milliseconds.
import { describe } from "./describe.js";
import { byId, element, tooltip } from "./dom.js";
import { colour, escaped, isNarrow, isPrinting, layout, mixed, placed, show } from "./plot.js";
import { formatCount, formatMetric, isKnown, significant } from "./words.js";

const REACH = 14; // pixels between pointer and mark
const CLOUD = 500; // dominated points
const BARRED = 200; // points of a kind that have bars, at most: more make a wall
const NAMED = 26; // letters at most, the best first
const SPARE = 0.06; // of the axis, beyond the outermost trained candidate
const BEYOND = 0.35; // of the axis, given to candidates that were not trained

// Shares and the ends of their intervals are shown in percent.
const scaled = ({ form }, value) => !isKnown(value) ? null : form === "share" ? 100 * value : value;

// 1, 2 and 5 of each power of ten: Plotly's own leave out which power it is.
function logarithmicTicks({ form }, [low, high]) {
  const powers = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
  const tickvals = powers.flatMap(power => [1, 2, 5].map(digit => Number(`${digit}e${power}`)));
  return { tickmode: "array", tickvals, ticktext: tickvals.map(number => form === "count" ? formatCount(number) : significant(number)) };
}

// ``id`` is the plot's element, in a frame with a canvas; ``pick`` is called with the row that was clicked on.
export function frontPlot(id, study, pick) {
  const frame = byId(id).parentElement;
  const canvas = element("canvas", { "aria-hidden": "true" });
  frame.prepend(canvas);
  const tip = tooltip(frame);
  const values = new Map();
  const value = (name, row, column = name) => {
    if (!values.has(column)) values.set(column, study.column(column).map(each => scaled(study.metric(name), each)));
    return values.get(column)[row];
  };
  let seen = null; // what is shown, and where
  let sides = {};

  function end(name, row, which) {
    if (name === study.score) return scaled(study.metric(name), study.sure[which][row]); // as the headline says it
    const column = study.metrics.get(name)[which];
    return column ? value(name, row, column) : null;
  }
  function bars(name, rows, tone, without) {
    if (!study.metrics.get(name).low) return undefined;
    const distance = (row, which) => without(row) ? 0 : Math.abs((end(name, row, which) ?? value(name, row)) - value(name, row));
    return { type: "data", symmetric: false, thickness: 1, width: 0, color: tone,
      arrayminus: rows.map(row => distance(row, "low")), array: rows.map(row => distance(row, "high")) };
  }

  // The same for all limits, so that nothing jumps while a slider moves.
  const ranges = new Map();
  function range(name, other, logarithmic) {
    const key = [name, other, logarithmic].join();
    if (!ranges.has(key)) ranges.set(key, extent(name, other, logarithmic));
    return ranges.get(key);
  }
  function extent(name, other, logarithmic) {
    const at = row => value(name, row);
    const known = rows => rows.filter(row => at(row) !== null && value(other, row) !== null);
    const move = numbers => logarithmic ? numbers.filter(number => number > 0).map(Math.log10) : numbers;
    const shown = known(study.trained);
    // Of thousands the intervals are not drawn.
    const ends = shown.length < 300 ? shown.flatMap(row => [end(name, row, "low"), end(name, row, "high")]).filter(isKnown) : [];
    const over = move(known(study.overBudget).map(at));
    let inner = move([...shown.map(at), ...ends].filter(isKnown));
    if (!inner.length) inner = over;
    if (!inner.length) return undefined;
    const [low, top] = [inner.reduce((a, b) => Math.min(a, b)), inner.reduce((a, b) => Math.max(a, b))];
    const span = top - low || Math.abs(top) * 0.2 || 1;
    const high = Math.max(top, Math.min(over.reduce((a, b) => Math.max(a, b), top), top + BEYOND * span));
    return [low - SPARE * span, high + SPARE * span];
  }

  function groups({ x, y, within, highlighted, rows }) {
    const both = row => value(x, row) !== null && value(y, row) !== null;
    const subset = rows ? new Set(rows) : null;
    const inside = within.filter(row => both(row) && (!subset || subset.has(row)));
    const insideSet = new Set(inside);
    const line = study.front([x, y], row => insideSet.has(row));
    line.sort((a, b) => value(x, a) - value(x, b) || value(y, a) - value(y, b));
    const lineSet = new Set(line);
    const presets = inside.filter(study.isPreset);
    const rest = inside.filter(row => !lineSet.has(row) && !study.isPreset(row));
    return {
      line, presets, insideSet,
      shared: rest.filter(row => highlighted.has(row)),
      dominated: rest.filter(row => !highlighted.has(row)),
      outside: subset ? [] : study.trained.filter(row => both(row) && !insideSet.has(row)),
      over: subset ? [] : study.overBudget.filter(both),
    };
  }

  // ``marked`` rows get a ring, which ``mark`` explains.
  function draw({ x, y, log, limits, within, highlighted, answers = [], pinned, brushedRows, rows = null, marked = [], mark = "" }) {
    const metric = { x: study.metrics.get(x), y: study.metrics.get(y) };
    const found = groups({ x, y, within, highlighted, rows });
    const faint = row => brushedRows && !brushedRows.has(row);
    const tones = Object.fromEntries(["front", "shared", "preset", "budget", "grey", "text", "page", "line"].map(name => [name, colour(name)]));
    const at = list => ({ x: list.map(row => value(x, row)), y: list.map(row => value(y, row)) });
    const drawn = row => value(x, row) !== null && value(y, row) !== null;
    const lettered = [...highlighted].filter(row => study.letter(row) && drawn(row) && found.insideSet.has(row)).slice(0, NAMED);
    // Plotly never writes again at a point that had no name once.
    const told = () => named.filter(row => sides[row]);
    const named = [...new Set([...pinned.filter(drawn), ...found.presets, ...answers.filter(row => drawn(row) && found.insideSet.has(row)), ...lettered])];
    const trace = (name, list, marker, more) => ({ name, type: "scatter", mode: "markers", ...at(list), marker, hoverinfo: "skip",
      cliponaxis: false, visible: list.length > 0, ...more });
    const inLegend = (name, list, marker) => ({ name, type: "scatter", mode: "markers", x: [null], y: [null], marker, hoverinfo: "skip", visible: list.length > 0 });
    const bothBars = (list, tone, without = () => false) => ({ error_x: bars(x, list, tone, without), error_y: bars(y, list, tone, without) });
    const opacity = list => brushedRows ? list.map(row => faint(row) ? 0.25 : 1) : 1;
    // A point is the fuller the likelier its network is on the front over all goals: of other axes that says nothing.
    const judged = [x, y].every(name => study.objectives.includes(name)) && study.sure.front.some(isKnown);
    const fill = (row, tone) => judged ? mixed(tones.page, tone, study.sure.front[row] ?? 0) : tone;
    const filled = (list, tone) => ({ color: list.map(row => fill(row, tone)), line: { width: 1.5, color: tone } });
    const grey = { size: 8, color: tones.grey };
    const traces = () => [
      inLegend("over budget", found.over, { ...grey, symbol: "circle-open", line: { width: 1.5 } }),
      inLegend("outside the limits", found.outside, { ...grey, size: 5 }),
      inLegend("dominated", found.dominated, grey),
      inLegend("best trade-offs over all goals", found.shared, { size: 9, color: tones.shared }),
      // What a point dominates lies on its costly side: the step leaves the point towards more cost.
      trace("front of these axes", found.line, { size: found.line.map(row => study.isPreset(row) ? 0 : 10), ...filled(found.line, tones.front), opacity: opacity(found.line) }, {
        mode: "lines+markers", line: { shape: metric.x.cost ? "hv" : "vh", width: 2, color: tones.front }, ...bothBars(found.line, tones.front, study.isPreset) }),
      trace("preset", found.presets, { size: 13, symbol: "diamond", color: tones.preset, line: { width: 1.5, color: tones.page }, opacity: opacity(found.presets) },
        bothBars(found.presets, tones.preset)),
      trace(mark, marked, { size: 19, symbol: "circle-open", color: tones.text, line: { width: 1.5 } }),
      trace("pinned", named.filter(row => pinned.includes(row)), { size: 17, symbol: "circle-open", color: tones.text, line: { width: 2 } }),
      { ...trace("names", told(), { size: 15, opacity: 0 }), showlegend: false, mode: "markers+text",
        text: told().map(row => `&nbsp;<b>${escaped(study.label(row))}</b>&nbsp;`), textposition: told().map(row => sides[row]),
        textfont: { color: told().map(row => study.isPreset(row) && !pinned.includes(row) ? tones.preset : tones.text), size: 13 } },
    ];
    const view = layout(escaped(metric.x.label), escaped(metric.y.label));
    view.hovermode = false;
    view.uirevision = [x, y, log].join();
    for (const [axis, name, other] of [[view.xaxis, x, y], [view.yaxis, y, x]]) {
      axis.type = log && study.metrics.get(name).cost ? "log" : "linear";
      if (study.metric(name).form === "count") axis.tickformat = "~s";
      axis.showgrid = false; // the canvas draws the grid, below the points
      axis.range = range(name, other, axis.type === "log");
      if (axis.type === "log" && axis.range) Object.assign(axis, logarithmicTicks(study.metric(name), axis.range));
    }
    view.shapes = lines({ x, y, limits, tones });
    const put = () => show(id, traces(), view, { figure });
    put();
    seen = { ...found, near: judged ? found.dominated.filter(row => isKnown(study.sure.front[row])) : [], x, y, faint, fill, filled, tones, named, pinned, answers, rising: metric.x.maximise !== metric.y.maximise };
    // Where there is room for names is known once the axes are.
    const room = roomFor(named);
    if (JSON.stringify(room) !== JSON.stringify(sides)) {
      sides = room;
      put();
    }
    if (!frame.dataset.listens) listen();
    paint();
  }

  function lines({ x, y, limits, tones }) {
    const line = (name, number, text, dash, tone) => {
      const shape = { type: "line", layer: "below", line: { color: tone, width: 1.5, dash },
        label: { text: escaped(text), font: { size: 12, color: tone }, textposition: "middle" } };
      const at = scaled(study.metric(name), number);
      if (name === x) return [{ ...shape, x0: at, x1: at, yref: "paper", y0: 0, y1: 1 }];
      return name === y ? [{ ...shape, y0: at, y1: at, xref: "paper", x0: 0, x1: 1 }] : [];
    };
    const budgets = study.budgets.flatMap(({ metric, low, high, words }) =>
      [low, high].filter(Boolean).flatMap(number => line(metric, number, `budget: ${words}`, "dash", tones.budget)));
    return [...budgets, ...Object.entries(limits).flatMap(([name, limit]) =>
      line(name, limit, `limit: ${formatMetric(study.metric(name), limit)}`, "solid", tones.text))];
  }

  const axes = () => byId(id)._fullLayout;
  const pixel = (axis, number) => axis.d2p(number);

  // The step line in rectangles, which names keep clear of.
  function steps() {
    const { xaxis, yaxis } = axes();
    const points = seen.line.map(row => [pixel(xaxis, value(seen.x, row)), pixel(yaxis, value(seen.y, row))]);
    const flat = study.metrics.get(seen.x).cost;
    return points.slice(1).flatMap(([x, y], i) => {
      const [x0, y0] = points[i];
      const corner = flat ? [x, y0] : [x0, y];
      return [[[x0, y0], corner], [corner, [x, y]]].map(([[a, b], [c, d]]) => [Math.min(a, c) - 2, Math.min(b, d) - 2, Math.max(a, c) + 2, Math.max(b, d) + 2]);
    });
  }

  function roomFor(named) {
    const { xaxis, yaxis } = axes();
    const { x, y } = seen;
    // In a cloud there is no place without points: names keep clear of the front alone.
    const all = [...named, ...seen.line, ...seen.presets, ...(seen.dominated.length > CLOUD ? [] : [...seen.shared, ...seen.dominated])];
    const [names, line, shared] = [new Set(named), new Set(seen.line), new Set(seen.shared.length < 200 ? seen.shared : [])];
    const boxes = [...new Set(all)].map(row => {
      const height = pixel(yaxis, value(y, row));
      const bar = line.has(row) || study.isPreset(row) || shared.has(row);
      return { key: row, x: pixel(xaxis, value(x, row)), y: height, low: bar ? pixel(yaxis, end(y, row, "low") ?? value(y, row)) : height,
        high: bar ? pixel(yaxis, end(y, row, "high") ?? value(y, row)) : height, width: names.has(row) ? 8 * study.label(row).length + 8 : 0 };
    });
    const inside = [0, -16, xaxis._length, yaxis._length];
    const must = row => seen.pinned.includes(row) || seen.answers.includes(row) || study.isPreset(row);
    const sided = placed(boxes.map(box => ({ ...box, must: must(box.key) })), inside, { lines: steps() });
    return Object.fromEntries(boxes.map((box, i) => [box.key, sided[i]]).filter(([, side]) => side));
  }

  // The many points. Pixels of all rows are kept for the pointer.
  function paint() {
    const { xaxis, yaxis, width, height } = axes();
    const ratio = isPrinting() ? 3 : devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.beginPath();
    pen.rect(xaxis._offset - 6, yaxis._offset - 6, xaxis._length + 12, yaxis._length + 12);
    pen.clip();
    const { x, y, tones } = seen;
    grid(pen, tones.line);
    const place = row => [xaxis._offset + pixel(xaxis, value(x, row)), yaxis._offset + pixel(yaxis, value(y, row))];
    // ``fill`` gives the colour inside the edge, where they are not the same.
    const dots = (rows, radius, tone, opacity, { hollow = false, fill = null } = {}) => {
      pen.strokeStyle = pen.fillStyle = tone;
      pen.lineWidth = 1.5;
      for (const row of rows) {
        const [left, top] = place(row);
        pen.globalAlpha = seen.faint(row) ? opacity * 0.25 : opacity;
        // So small, nobody tells a square from a disc, which is more work.
        if (radius <= 2 && !hollow) pen.fillRect(left - radius, top - radius, 2 * radius, 2 * radius);
        else {
          pen.beginPath();
          pen.arc(left, top, radius, 0, 2 * Math.PI);
          if (fill) pen.fillStyle = fill(row, tone);
          if (!hollow) pen.fill();
          if (hollow || fill) pen.stroke();
        }
      }
    };
    // Many points are drawn smaller, or they hide one another.
    const size = seen.dominated.length + seen.outside.length > 2000 ? 2 : 4;
    dots(seen.over, size, tones.grey, 0.9, { hollow: true });
    dots(seen.outside, Math.max(1.5, size - 1.5), tones.grey, 0.4);
    whiskers(pen, seen.near, place, tones.grey);
    dots(seen.dominated, size, tones.grey, 0.75);
    whiskers(pen, seen.shared, place, tones.shared);
    dots(seen.shared, size > 2 ? 4.5 : 3, tones.shared, 1, { fill: seen.fill });
    seen.marks = [...seen.over, ...seen.outside, ...seen.dominated, ...seen.shared, ...seen.line, ...seen.presets];
    seen.places = seen.marks.map(place);
  }

  function grid(pen, tone) {
    const { xaxis, yaxis } = axes();
    pen.strokeStyle = tone;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const { x } of xaxis._vals ?? []) {
      const at = Math.round(xaxis._offset + xaxis.l2p(x)) + 0.5;
      if (at >= xaxis._offset && at <= xaxis._offset + xaxis._length) { pen.moveTo(at, yaxis._offset); pen.lineTo(at, yaxis._offset + yaxis._length); }
    }
    for (const { x } of yaxis._vals ?? []) {
      const at = Math.round(yaxis._offset + yaxis.l2p(x)) + 0.5;
      if (at >= yaxis._offset && at <= yaxis._offset + yaxis._length) { pen.moveTo(xaxis._offset, at); pen.lineTo(xaxis._offset + xaxis._length, at); }
    }
    pen.stroke();
  }

  // What is saved: the points of the canvas as marks, and the grid that it draws.
  function figure() {
    const plot = byId(id);
    const { x, y, tones } = seen;
    const marks = (rows, marker, bars = {}) => ({ type: "scatter", mode: "markers", showlegend: false, hoverinfo: "skip", x: rows.map(row => value(x, row)), y: rows.map(row => value(y, row)), marker, ...bars });
    const size = seen.dominated.length + seen.outside.length > 2000 ? 4 : 8;
    const both = (rows, tone) => rows.length < BARRED ? { error_x: bars(x, rows, tone, () => false), error_y: bars(y, rows, tone, () => false) } : {};
    const near = new Set(seen.near);
    const points = [
      marks(seen.over, { size, symbol: "circle-open", color: tones.grey, line: { width: 1.5 } }), marks(seen.outside, { size: size - 2, color: tones.grey, opacity: 0.4 }),
      marks(seen.dominated.filter(row => !near.has(row)), { size, color: tones.grey, opacity: 0.75 }),
      marks(seen.near, { size, color: tones.grey, opacity: 0.75 }, both(seen.near, tones.grey)),
      marks(seen.shared, { size: size + 1, ...seen.filled(seen.shared, tones.shared) }, both(seen.shared, tones.shared)),
    ].filter(trace => trace.x.length);
    const { layout: view } = plot;
    return { data: [...points, ...plot.data], layout: { ...view, xaxis: { ...view.xaxis, showgrid: true }, yaxis: { ...view.yaxis, showgrid: true } } };
  }

  function whiskers(pen, rows, place, tone) {
    if (rows.length >= BARRED) return;
    const { xaxis, yaxis } = axes();
    pen.globalAlpha = 1;
    pen.strokeStyle = tone;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const row of rows) {
      const [left, top] = place(row);
      const ends = (name, axis) => ["low", "high"].map(which => axis._offset + pixel(axis, end(name, row, which) ?? value(name, row)));
      const [[a, b], [c, d]] = [ends(seen.x, xaxis), ends(seen.y, yaxis)];
      pen.moveTo(a, top); pen.lineTo(b, top); pen.moveTo(left, c); pen.lineTo(left, d);
    }
    pen.stroke();
  }

  function nearest(event) {
    const box = frame.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = null;
    let least = REACH ** 2;
    // The last drawn lie on top, so among equals they win.
    seen.places.forEach(([left, top], i) => {
      const distance = (left - x) ** 2 + (top - y) ** 2;
      if (distance <= least) [best, least] = [i, distance];
    });
    return { row: best === null ? null : seen.marks[best], place: best === null ? [x, y] : seen.places[best] };
  }

  function listen() {
    frame.dataset.listens = "yes";
    const plot = byId(id);
    plot.on("plotly_afterplot", paint);
    plot.on("plotly_relayouting", paint);
    let down = null;
    let walked = -1;
    frame.addEventListener("pointermove", event => {
      const { row, place } = nearest(event);
      plot.style.cursor = row === null ? "" : "pointer";
      if (row !== null) tip.show(describe(study, row), ...place, seen);
      else tip.hide();
    });
    frame.addEventListener("pointerleave", () => tip.hide());
    frame.addEventListener("pointerdown", event => { down = [event.clientX, event.clientY]; }, { capture: true });
    addEventListener("pointerup", event => {
      // Plotly covers the page while a button is down, so it is the place that tells a click.
      const clicked = down && Math.hypot(event.clientX - down[0], event.clientY - down[1]) <= 4;
      down = null;
      const { row } = clicked ? nearest(event) : { row: null };
      if (row !== null) pick(row);
    });
    frame.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step && seen.line.length) {
        walked = (walked + step + seen.line.length) % seen.line.length;
        tip.show(describe(study, seen.line[walked]), ...seen.places[seen.marks.lastIndexOf(seen.line[walked])], seen);
      } else if (["Enter", " "].includes(event.key) && seen.line[walked] !== undefined) pick(seen.line[walked]);
      else if (event.key === "Escape") tip.hide();
      else return;
      event.preventDefault();
    });
  }

  return { draw };
}
