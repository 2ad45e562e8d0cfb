// Parallel coordinates on a canvas: a line a candidate. Dragging along an axis brushes, a click on a line pins.
import { describe } from "./describe.js";
import { byId, element, tooltip } from "./dom.js";
import { colour, isPrinting } from "./plot.js";

const TOP = 56;
const BOTTOM = 14;
const SIDE = 46;
const HEIGHT = 380;
const LEAST_GAP = 84; // between two axes; narrower windows scroll
const MOST_LINES = 1500; // behind the front; more only make a grey wall

export function parallelPlot(id, study, { axes, hidden }, { pick, brush }) {
  const frame = byId(id);
  const canvas = element("canvas", { "aria-hidden": "true" });
  const inner = element("div.parallel", {}, canvas);
  frame.append(inner);
  const tip = tooltip(inner);
  const tracks = axes.map(track);
  let state = null;
  let drawn = [];

  const size = () => isPrinting() ? 9 : 12;
  const width = () => Math.max(isPrinting() ? 680 : frame.clientWidth, 2 * SIDE + (axes.length - 1) * (isPrinting() ? 50 : LEAST_GAP));
  const left = i => SIDE + i * (width() - 2 * SIDE) / Math.max(1, axes.length - 1);
  const top = (axis, at) => TOP + (1 - (at - axis.low) / (axis.high - axis.low)) * (HEIGHT - TOP - BOTTOM);
  const at = (axis, pixel) => axis.low + (1 - (pixel - TOP) / (HEIGHT - TOP - BOTTOM)) * (axis.high - axis.low);

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
      const move = { ArrowUp: axis.step, ArrowDown: -axis.step }[event.key];
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

  function strokes(pen, rows, tone, opacity, thickness) {
    pen.strokeStyle = tone;
    pen.globalAlpha = opacity;
    pen.lineWidth = thickness;
    for (const row of rows) {
      pen.beginPath();
      line(pen, row);
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  function draw(next) {
    state = next;
    const { within, highlighted, pinned, brushedRows } = state;
    const ratio = isPrinting() ? 3 : devicePixelRatio || 1;
    inner.style.width = `${width()}px`;
    inner.style.height = `${HEIGHT}px`;
    canvas.width = width() * ratio;
    canvas.height = HEIGHT * ratio;
    canvas.style.width = `${width()}px`;
    canvas.style.height = `${HEIGHT}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const inside = new Set(within);
    const chosen = row => inside.has(row) && (!brushedRows || brushedRows.has(row));
    const thinned = rows => rows.length <= MOST_LINES ? rows : rows.filter((_, i) => Math.floor(i * MOST_LINES / rows.length) !== Math.floor((i - 1) * MOST_LINES / rows.length));
    const plain = study.trained.filter(row => !highlighted.has(row));
    const behind = thinned(plain.filter(row => !chosen(row)));
    const before = thinned(plain.filter(chosen));
    const front = [...highlighted];
    strokes(pen, behind, colour("grey"), 0.12, 1);
    strokes(pen, before, brushedRows ? colour("shared") : colour("grey"), Math.max(0.12, Math.min(0.7, 80 / before.length)), 1);
    strokes(pen, front.filter(row => !chosen(row)), colour("front"), 0.12, 1);
    strokes(pen, front.filter(chosen), colour("front"), Math.max(0.35, Math.min(0.9, 40 / front.length)), 1.6);
    strokes(pen, pinned, colour("preset"), 1, 2.6);
    drawn = [...before, ...front, ...pinned];
    scales(pen);
    tracks.forEach(({ made, band }, i) => place(made, band, axes[i], i));
  }

  function scales(pen) {
    pen.font = `${size()}px system-ui, sans-serif`;
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
      const room = left(1) - left(0) - 6;
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
    band.style.top = `${top(axis, range[1]) - TOP}px`;
    band.style.height = `${Math.max(2, top(axis, range[0]) - top(axis, range[1]))}px`;
  }

  function nearest(event) {
    const box = inner.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
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

  if (axes.length > 1) {
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
  }
  const notes = [];
  if (study.trained.length > MOST_LINES) notes.push(`Of many candidates ${MOST_LINES.toLocaleString("en")} are drawn behind the front.`);
  if (hidden) notes.push(`${hidden} more factors that vary have no axis; the table has them.`);
  return { draw, notes };
}
