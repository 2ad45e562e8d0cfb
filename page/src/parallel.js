// Parallel coordinates on a canvas: a line a candidate. Dragging along an axis brushes, a click on a line pins.
import { describe } from "./describe.js";
import { byId, element, tooltip } from "./dom.js";
import { colour, isPrinting, mixed } from "./plot.js";
import { offerToSave, svgPen } from "./save.js";
import { plural } from "./words.js";

const TOP = 56;
const BOTTOM = 14;
const SIDE = 46;
const HEIGHT = 380;
const LEAST_GAP = 84; // between two axes; narrower windows scroll
const MOST_LINES = 1500; // behind the front; more only make a grey wall

// Which axes are shown, which way up they are and what colours the lines is the reader's choice, and goes with the window.
export function parallelPlot(id, study, { axes: all, shown }, { pick, brush }) {
  const kept = new Set(shown);
  const inverted = new Set();
  let tone = "";
  let axes = all.filter(axis => kept.has(axis.name));
  const frame = byId(id);
  const canvas = element("canvas", { "aria-hidden": "true" });
  const inner = element("div.parallel", {}, canvas);
  frame.append(inner);
  const tip = tooltip(inner);
  let tracks = axes.map(track);
  let state = null;
  let drawn = [];

  const size = () => isPrinting() ? 9 : 12;
  const width = () => Math.max(isPrinting() ? 680 : frame.clientWidth, 2 * SIDE + (axes.length - 1) * (isPrinting() ? 50 : LEAST_GAP));
  const left = i => SIDE + i * (width() - 2 * SIDE) / Math.max(1, axes.length - 1);
  const turned = (axis, share) => inverted.has(axis.name) ? share : 1 - share;
  const top = (axis, at) => TOP + turned(axis, (at - axis.low) / (axis.high - axis.low)) * (HEIGHT - TOP - BOTTOM);
  const at = (axis, pixel) => axis.low + turned(axis, (pixel - TOP) / (HEIGHT - TOP - BOTTOM)) * (axis.high - axis.low);

  function track(axis) {
    const made = element("div.track", { tabindex: 0, role: "slider", "aria-orientation": "vertical", "aria-label": `${axis.label}: range`,
      "aria-valuemin": axis.low, "aria-valuemax": axis.high, title: "Drag to choose a range; click to clear it" });
    const band = element("div.band");
    made.append(band);
    inner.append(made);
    let from = null;
    const number = event => Math.min(axis.high, Math.max(axis.low, at(axis, event.clientY - inner.getBoundingClientRect().top)));
    made.addEventListener("pointerdown", event => {
      from = { at: number(event), y: event.clientY };
      made.setPointerCapture(event.pointerId);
      event.preventDefault();
      made.focus({ preventScroll: true });
    });
    made.addEventListener("pointermove", event => {
      if (from && Math.abs(event.clientY - from.y) > 3) brush(axis.name, [from.at, number(event)].sort((a, b) => a - b));
    });
    made.addEventListener("pointerup", event => {
      if (from && Math.abs(event.clientY - from.y) <= 3) brush(axis.name, null);
      from = null;
    });
    // From the top third on, arrows move the whole range, with Shift its lower end alone.
    made.addEventListener("keydown", event => {
      const up = inverted.has(axis.name) ? -axis.step : axis.step;
      const move = { ArrowUp: up, ArrowDown: -up }[event.key];
      if (event.key === "Escape" || event.key === "Delete") brush(axis.name, null);
      else if (move) {
        const [low, high] = state.brush[axis.name] ?? [axis.high - (axis.high - axis.low) / 3, axis.high];
        const next = event.shiftKey ? [low + move, high] : [low + move, high + move];
        if (next[0] >= axis.low - 1e-9 && next[1] <= axis.high + 1e-9 && next[0] < next[1]) brush(axis.name, next);
      } else return;
      event.preventDefault();
    });
    return { made, band };
  }

  function line(pen, row) {
    let begun = false;
    axes.forEach((axis, i) => {
      const where = axis.position(row);
      if (where === null) begun = false; // a gap where nothing was measured
      else {
        pen[begun ? "lineTo" : "moveTo"](left(i), top(axis, where));
        begun = true;
      }
    });
  }

  // ``stroke`` is a colour, or gives that of a row.
  function strokes(pen, rows, stroke, opacity, thickness) {
    pen.globalAlpha = opacity;
    pen.lineWidth = thickness;
    for (const row of rows) {
      pen.strokeStyle = typeof stroke === "string" ? stroke : stroke(row);
      pen.beginPath();
      line(pen, row);
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  function draw(next) {
    state = next;
    const ratio = isPrinting() ? 3 : devicePixelRatio || 1;
    inner.style.width = `${width()}px`;
    inner.style.height = `${HEIGHT}px`;
    canvas.width = width() * ratio;
    canvas.height = HEIGHT * ratio;
    canvas.style.width = `${width()}px`;
    canvas.style.height = `${HEIGHT}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    paint(pen);
    tracks.forEach(({ made, band }, i) => place(made, band, axes[i], i));
  }

  function paint(pen) {
    const { within, highlighted, pinned, brushedRows } = state;
    const inside = new Set(within);
    const chosen = row => inside.has(row) && (!brushedRows || brushedRows.has(row));
    const thinned = rows => rows.length <= MOST_LINES ? rows : rows.filter((_, i) => Math.floor(i * MOST_LINES / rows.length) !== Math.floor((i - 1) * MOST_LINES / rows.length));
    const plain = study.trained.filter(row => !highlighted.has(row));
    const behind = thinned(plain.filter(row => !chosen(row)));
    const before = thinned(plain.filter(chosen));
    const front = [...highlighted];
    strokes(pen, behind, colour("grey"), 0.12, 1);
    const scale = toned();
    if (scale) {
      strokes(pen, front.filter(row => !chosen(row)), colour("grey"), 0.12, 1);
      strokes(pen, before, scale, 0.55, 1.2);
      strokes(pen, front.filter(chosen), scale, 1, 2);
    } else {
      strokes(pen, before, brushedRows ? colour("shared") : colour("grey"), Math.max(0.12, Math.min(0.7, 80 / before.length)), 1);
      strokes(pen, front.filter(row => !chosen(row)), colour("front"), 0.12, 1);
      strokes(pen, front.filter(chosen), colour("front"), Math.max(0.35, Math.min(0.9, 40 / front.length)), 1.6);
    }
    strokes(pen, pinned, colour("preset"), 1, 2.6);
    drawn = [...before, ...front, ...pinned];
    scales(pen);
  }

  function picture() {
    const pen = svgPen(width(), HEIGHT);
    paint(pen);
    return pen.picture();
  }

  // The colour of a row by the chosen metric, from blue, the least, to orange, the most; null where none is chosen.
  function toned() {
    if (!tone) return null;
    const column = study.column(tone);
    const sorted = study.trained.map(row => column[row]).filter(value => value !== null).sort((a, b) => a - b);
    const place = new Map(sorted.map((value, i) => [value, i / Math.max(1, sorted.length - 1)])); // by rank: costs are far apart
    const [least, most, unknown] = ["front", "preset", "grey"].map(colour);
    return row => column[row] === null ? unknown : mixed(least, most, place.get(column[row]));
  }

  function scales(pen) {
    pen.font = `400 ${size()}px system-ui, sans-serif`;
    axes.forEach((axis, i) => {
      pen.strokeStyle = colour("quiet");
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(left(i), TOP);
      pen.lineTo(left(i), HEIGHT - BOTTOM);
      pen.stroke();
      const gap = (HEIGHT - TOP - BOTTOM) / axis.ticks.length;
      const every = Math.ceil(16 / gap); // so that labels do not touch
      axis.ticks.forEach(({ at: where, text }, k) => { if (k % every === 0) label(pen, clipped(pen, text, 5 * size()), left(i) + 6, top(axis, where), "left", "middle", colour("text")); });
      const room = axes.length > 1 ? left(1) - left(0) - 6 : width() - SIDE;
      const words = wrapped(pen, axis.label, room);
      words.forEach((text, k) => label(pen, text, left(i), TOP - 12 - 1.25 * size() * (words.length - 1 - k), "center", "alphabetic", colour("text"), 600, room));
    });
  }

  // On a halo of the page's colour, over the lines; condensed where it is wider than ``room``.
  function label(pen, text, x, y, align, base, tone, weight = 400, room = undefined) {
    pen.font = `${weight} ${size()}px system-ui, sans-serif`;
    pen.textAlign = align;
    pen.textBaseline = base;
    pen.strokeStyle = colour("page");
    pen.lineWidth = 4;
    pen.lineJoin = "round";
    pen.strokeText(text, x, y, room);
    pen.fillStyle = tone;
    pen.fillText(text, x, y, room);
  }

  function clipped(pen, text, room) {
    if (pen.measureText(text).width <= room) return text;
    let kept = text;
    while (kept.length > 1 && pen.measureText(`${kept}…`).width > room) kept = kept.slice(0, -1);
    return `${kept}…`;
  }

  function wrapped(pen, text, room) {
    pen.font = `600 ${size()}px system-ui, sans-serif`;
    const lines = [];
    for (const word of text.split(/(?<=[ .])/)) {
      const longer = (lines.at(-1) ?? "") + word;
      if (lines.length && pen.measureText(longer).width <= room) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    return lines.slice(0, 3);
  }

  function place(made, band, axis, i) {
    made.style.left = `${left(i) - 14}px`;
    made.style.top = `${TOP}px`;
    made.style.height = `${HEIGHT - TOP - BOTTOM}px`;
    const range = state.brush[axis.name];
    band.hidden = !range;
    made.setAttribute("aria-valuenow", range ? range[0] : axis.low);
    made.setAttribute("aria-valuetext", range ? axis.words(range) : "everything");
    if (!range) return;
    const [upper, lower] = range.map(end => top(axis, end)).sort((a, b) => a - b);
    band.style.top = `${upper - TOP}px`;
    band.style.height = `${Math.max(2, lower - upper)}px`;
  }

  function nearest(event) {
    const box = inner.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (axes.length < 2) return { row: null, x, y };
    const i = Math.min(axes.length - 2, Math.max(0, Math.floor((x - SIDE) / (left(1) - left(0)))));
    let best = null;
    let least = 7;
    for (const row of drawn) {
      const [a, b] = [axes[i].position(row), axes[i + 1].position(row)];
      if (a === null || b === null) continue;
      const share = (x - left(i)) / (left(i + 1) - left(i));
      const height = top(axes[i], a) * (1 - share) + top(axes[i + 1], b) * share;
      if (Math.abs(height - y) <= least) [best, least] = [row, Math.abs(height - y)];
    }
    return { row: best, x, y };
  }

  function controls() {
    const colours = element("select", {}, new Option("the front", ""), ...[...study.metrics.values()].map(({ title, name }) => new Option(title, name)));
    colours.addEventListener("change", () => { tone = colours.value; again(); });
    const switches = all.map(axis => {
      const show = element("input", { type: "checkbox" });
      const turn = element("input", { type: "checkbox", "aria-label": `Invert ${axis.label}` });
      show.checked = kept.has(axis.name);
      show.addEventListener("change", () => {
        kept[show.checked ? "add" : "delete"](axis.name);
        if (!show.checked) brush(axis.name, null); // nothing is kept out by what is not seen
        choose();
      });
      turn.addEventListener("change", () => { inverted[turn.checked ? "add" : "delete"](axis.name); again(); });
      return element("div", {}, element("label", {}, show, ` ${axis.label}`), element("label.quiet", {}, turn, " inverted"));
    });
    frame.before(element("details.axes", {}, element("summary", {}, "Choose and invert axes"), element("div", {}, ...switches)),
      element("div.controls", {}, element("label", {}, "Colour by ", colours)));
  }

  function choose() {
    axes = all.filter(axis => kept.has(axis.name));
    for (const { made } of tracks) made.remove();
    tracks = axes.map(track);
    again();
  }
  const again = () => state && draw(state);

  controls();
  offerToSave(id, picture);
  canvas.addEventListener("pointermove", event => {
    const { row, x, y } = nearest(event);
    canvas.style.cursor = row === null ? "" : "pointer";
    row === null ? tip.hide() : tip.show(describe(study, row), x, y);
  });
  canvas.addEventListener("pointerleave", () => tip.hide());
  canvas.addEventListener("click", event => {
    const { row } = nearest(event);
    if (row !== null) pick(row);
  });
  new ResizeObserver(() => state && draw(state)).observe(frame);
  const notes = [];
  if (study.trained.length > MOST_LINES) notes.push(`Of many candidates ${MOST_LINES.toLocaleString("en")} are drawn behind the front.`);
  const hidden = all.length - kept.size;
  if (hidden) notes.push(`${plural(hidden, "more factor")} can be chosen below.`);
  return { draw, notes };
}
