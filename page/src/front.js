// Candidates on two axes. Plotly draws axes, front, names and limits; the many points lie on a canvas below it, because
// ten thousand marks in SVG take half a second and the canvas a few milliseconds.
import { describe } from "./describe.js";
import { byId, element, tooltip } from "./dom.js";
import { colour, escaped, isNarrow, isPrinting, layout, placed, show } from "./plot.js";
import { afterWords, formatCount, formatMetric, isKnown, significant } from "./words.js";

const REACH = 14; // pixels between pointer and mark
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
  function range(name, other, published, logarithmic) {
    const key = [name, other, published.length, logarithmic].join();
    if (!ranges.has(key)) ranges.set(key, extent(name, other, published, logarithmic));
    return ranges.get(key);
  }
  function extent(name, other, published, logarithmic) {
    const at = row => value(name, row);
    const known = rows => rows.filter(row => at(row) !== null && value(other, row) !== null);
    const move = numbers => logarithmic ? numbers.filter(number => number > 0).map(Math.log10) : numbers;
    const shown = known(study.trained);
    // Of thousands the intervals are not drawn.
    const ends = shown.length < 300 ? shown.flatMap(row => [end(name, row, "low"), end(name, row, "high")]).filter(isKnown) : [];
    const over = move(known(study.overBudget).map(at));
    let inner = move([...shown.map(at), ...ends, ...published.map(one => scaled(study.metric(name), one.values[name]))].filter(isKnown));
    if (!inner.length) inner = over;
    if (!inner.length) return undefined;
    const [low, top] = [inner.reduce((a, b) => Math.min(a, b)), inner.reduce((a, b) => Math.max(a, b))];
    const span = top - low || Math.abs(top) * 0.2 || 1;
    const high = Math.max(top, Math.min(over.reduce((a, b) => Math.max(a, b), top), top + BEYOND * span));
    return [low - SPARE * span, high + SPARE * span];
  }

  // Published models that cost no more than what is drawn here: others would press the study into a corner.
  function comparable(x, y) {
    const costly = [[x, y], [y, x]].filter(([name]) => study.metrics.get(name).cost).map(([name, other]) => [name, range(name, other, [], false)]);
    return study.published.filter(one => isKnown(one.values[x]) && isKnown(one.values[y]) && costly.every(([name, ends]) => ends && one.values[name] <= ends[1]));
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
  function draw({ x, y, log, published, limits, within, highlighted, pinned, brushedRows, rows = null, marked = [], mark = "" }) {
    const metric = { x: study.metrics.get(x), y: study.metrics.get(y) };
    const found = groups({ x, y, within, highlighted, rows });
    const faint = row => brushedRows && !brushedRows.has(row);
    const others = published && !rows ? comparable(x, y) : [];
    const tones = Object.fromEntries(["front", "shared", "preset", "budget", "grey", "text", "page", "published"].map(name => [name, colour(name)]));
    const at = list => ({ x: list.map(row => value(x, row)), y: list.map(row => value(y, row)) });
    const named = [...new Set([...found.presets, ...pinned.filter(row => value(x, row) !== null && value(y, row) !== null)])];
    const trace = (name, list, marker, more) => ({ name, type: "scatter", mode: "markers", ...at(list), marker, hoverinfo: "skip",
      cliponaxis: false, visible: list.length > 0, ...more });
    const inLegend = (name, list, marker) => ({ name, type: "scatter", mode: "markers", x: [null], y: [null], marker, hoverinfo: "skip", visible: list.length > 0 });
    const bothBars = (list, tone, without = () => false) => ({ error_x: bars(x, list, tone, without), error_y: bars(y, list, tone, without) });
    const opacity = list => brushedRows ? list.map(row => faint(row) ? 0.25 : 1) : 1;
    const grey = { size: 8, color: tones.grey };
    const traces = () => [
      inLegend("over budget", found.over, { ...grey, symbol: "circle-open", line: { width: 1.5 } }),
      inLegend("outside the limits", found.outside, { ...grey, size: 5 }),
      inLegend("dominated", found.dominated, grey),
      inLegend("best trade-offs over all goals", found.shared, { size: 9, color: tones.shared }),
      // What a point dominates lies on its costly side: the step leaves the point towards more cost.
      trace("front of these axes", found.line, { size: found.line.map(row => study.isPreset(row) ? 0 : 10), color: tones.front, opacity: opacity(found.line) }, {
        mode: "lines+markers", line: { shape: metric.x.cost ? "hv" : "vh", width: 2, color: tones.front }, ...bothBars(found.line, tones.front, study.isPreset) }),
      trace("published on ImageNet", [], { size: 8, symbol: "diamond-open", color: tones.published, line: { width: 1.2 } }, {
        x: others.map(one => scaled(metric.x, one.values[x])), y: others.map(one => scaled(metric.y, one.values[y])), visible: others.length > 0, mode: "markers+text",
        text: others.map((one, i) => sides[`published ${i}`] ? escaped(one.name) : ""),
        textposition: others.map((one, i) => sides[`published ${i}`] || "top left"), textfont: { color: tones.published, size: 11 } }),
      trace("preset", found.presets, { size: 13, symbol: "diamond", color: tones.preset, line: { width: 1.5, color: tones.page }, opacity: opacity(found.presets) },
        bothBars(found.presets, tones.preset)),
      trace(mark, marked, { size: 19, symbol: "circle-open", color: tones.text, line: { width: 1.5 } }),
      trace("pinned", named.filter(row => pinned.includes(row)), { size: 17, symbol: "circle-open", color: tones.text, line: { width: 2 } }),
      { ...trace("names", named, { size: 15, opacity: 0 }), showlegend: false, mode: "markers+text",
        text: named.map(row => sides[row] ? `&nbsp;${escaped(study.label(row))}&nbsp;` : ""),
        textposition: named.map(row => sides[row] || "top left"),
        textfont: { color: named.map(row => pinned.includes(row) ? tones.text : tones.preset), size: 13 } },
    ];
    const view = layout(escaped(metric.x.label), escaped(metric.y.label));
    view.hovermode = false;
    view.uirevision = [x, y, log, others.length].join();
    for (const [axis, name, other] of [[view.xaxis, x, y], [view.yaxis, y, x]]) {
      axis.type = log && study.metrics.get(name).cost ? "log" : "linear";
      if (study.metric(name).form === "count") axis.tickformat = "~s";
      axis.range = range(name, other, others, axis.type === "log");
      if (axis.type === "log" && axis.range) Object.assign(axis, logarithmicTicks(study.metric(name), axis.range));
    }
    view.shapes = lines({ x, y, limits, tones });
    const put = () => show(id, traces(), view, { modeBarButtons: [["zoom2d", "pan2d", "resetScale2d"]] });
    put();
    seen = { ...found, x, y, faint, tones, others, named };
    // Where there is room for names is known once the axes are.
    const room = roomFor(named, others);
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

  function roomFor(named, others) {
    const { xaxis, yaxis } = axes();
    const { x, y } = seen;
    const all = [...seen.line, ...seen.shared, ...seen.dominated, ...seen.presets, ...named.filter(row => !seen.insideSet.has(row))];
    const boxes = [...new Set(all)].map(row => {
      const height = pixel(yaxis, value(y, row));
      const bar = seen.line.includes(row) || study.isPreset(row);
      return { key: row, x: pixel(xaxis, value(x, row)), y: height, low: bar ? pixel(yaxis, end(y, row, "low") ?? value(y, row)) : height,
        high: bar ? pixel(yaxis, end(y, row, "high") ?? value(y, row)) : height, width: named.includes(row) ? 7.5 * study.label(row).length + 10 : 0 };
    });
    const inside = [0, -16, xaxis._length, yaxis._length];
    const names = placed(boxes, inside, { must: true });
    const result = Object.fromEntries(boxes.map((box, i) => [box.key, names[i]]).filter(([, side]) => side));
    const strangers = (isNarrow() ? [] : others).map(one => {
      const height = pixel(yaxis, scaled(study.metric(y), one.values[y]));
      return { x: pixel(xaxis, scaled(study.metric(x), one.values[x])), y: height, low: height, high: height, width: 6.2 * one.name.length };
    });
    placed([...strangers, ...boxes.map(box => ({ ...box, width: 0 }))], inside).slice(0, strangers.length).forEach((side, i) => {
      if (side) result[`published ${i}`] = side;
    });
    return result;
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
    const place = row => [xaxis._offset + pixel(xaxis, value(x, row)), yaxis._offset + pixel(yaxis, value(y, row))];
    const dots = (rows, radius, tone, opacity, hollow) => {
      pen[hollow ? "strokeStyle" : "fillStyle"] = tone;
      pen.lineWidth = 1.5;
      for (const row of rows) {
        const [left, top] = place(row);
        pen.globalAlpha = seen.faint(row) ? opacity * 0.25 : opacity;
        // So small, nobody tells a square from a disc, which is more work.
        if (radius <= 2 && !hollow) pen.fillRect(left - radius, top - radius, 2 * radius, 2 * radius);
        else {
          pen.beginPath();
          pen.arc(left, top, radius, 0, 2 * Math.PI);
          hollow ? pen.stroke() : pen.fill();
        }
      }
    };
    // Many points are drawn smaller, or they hide one another.
    const size = seen.dominated.length + seen.outside.length > 2000 ? 2 : 4;
    dots(seen.over, size, tones.grey, 0.9, true);
    dots(seen.outside, Math.max(1.5, size - 1.5), tones.grey, 0.4, false);
    dots(seen.dominated, size, tones.grey, 0.75, false);
    if (seen.shared.length < 200) whiskers(pen, seen.shared, place);
    dots(seen.shared, size > 2 ? 4.5 : 3, tones.shared, 1, false);
    seen.marks = [...seen.over, ...seen.outside, ...seen.dominated, ...seen.shared, ...seen.line, ...seen.presets];
    seen.places = seen.marks.map(place);
  }

  function whiskers(pen, rows, place) {
    const { xaxis, yaxis } = axes();
    pen.globalAlpha = 1;
    pen.strokeStyle = seen.tones.shared;
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
    const other = seen.others.findIndex(one => {
      const { xaxis, yaxis } = axes();
      return Math.hypot(xaxis._offset + pixel(xaxis, scaled(study.metric(seen.x), one.values[seen.x])) - x, yaxis._offset + pixel(yaxis, scaled(study.metric(seen.y), one.values[seen.y])) - y) < 8;
    });
    return { row: best === null ? null : seen.marks[best], place: best === null ? [x, y] : seen.places[best], other: seen.others[other] };
  }

  const stated = ({ values }) => Object.keys(values).filter(name => isKnown(values[name])).map(name => {
    const metric = study.metric(name);
    return formatMetric(metric, values[name]) + (metric.words ? " top-1 on ImageNet, as its source states it" : afterWords(metric));
  });

  function listen() {
    frame.dataset.listens = "yes";
    const plot = byId(id);
    plot.on("plotly_afterplot", paint);
    plot.on("plotly_relayouting", paint);
    let down = null;
    let walked = -1;
    frame.addEventListener("pointermove", event => {
      const { row, place, other } = nearest(event);
      plot.style.cursor = row === null ? "" : "pointer";
      if (row !== null) tip.show(describe(study, row), ...place);
      else if (other) tip.show([other.name, ...stated(other), other.source], ...place);
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
        tip.show(describe(study, seen.line[walked]), ...seen.places[seen.marks.lastIndexOf(seen.line[walked])]);
      } else if (["Enter", " "].includes(event.key) && seen.line[walked] !== undefined) pick(seen.line[walked]);
      else if (event.key === "Escape") tip.hide();
      else return;
      event.preventDefault();
    });
  }

  return { draw };
}
