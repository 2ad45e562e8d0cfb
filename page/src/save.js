// Charts saved as pictures for a document: as they are on the screen, on the colour of the page, as SVG and as PNG.
/* global Plotly */
import { byId, download, element, svg } from "./dom.js";

const SHARPER = 2; // pixels of a PNG for one of the screen
// What a stylesheet says of a drawing, and a picture must say itself.
const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "opacity", "font-family", "font-size", "font-weight", "text-anchor"];

const pageColour = () => getComputedStyle(document.documentElement).getPropertyValue("--page").trim();

// A name for files.
export const slug = text => text.replace(/[^\w.-]+/g, "-").replace(/^[-.]+|-+$/g, "") || "study";

// Puts the two buttons above the chart ``id``, once. ``picture`` gives { text, width, height }, the text being SVG.
export function offerToSave(id, picture) {
  if (document.querySelector(`[data-save="${CSS.escape(id)}"]`)) return;
  const host = byId(id).closest(".layered") ?? byId(id);
  const words = host.closest("section")?.querySelector("h2")?.textContent ?? "the front";
  const buttons = ["svg", "png"].map(kind => {
    const button = element("button.small", { type: "button", title: `Save the chart as ${kind.toUpperCase()}`, "aria-label": `Save ${words} (${id}) as ${kind.toUpperCase()}` }, kind.toUpperCase());
    button.addEventListener("click", async () => save(`${slug(document.querySelector("h1").textContent)}-${id}`, kind, await picture()));
    return button;
  });
  const above = host.previousElementSibling;
  const place = above?.matches(".controls:not([hidden])") ? above : element("div.controls.saving", {});
  if (place !== above) host.before(place);
  place.append(element("span.spread", { "data-save": id }, buttons));
}

async function save(name, kind, { text, width, height }) {
  if (kind === "svg") return download(`${name}.svg`, text, "image/svg+xml");
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = element("canvas", { width: Math.round(width * SHARPER), height: Math.round(height * SHARPER) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  canvas.toBlob(blob => download(`${name}.png`, blob, "image/png"));
}

// Of a chart of Plotly's; ``figure`` gives what is saved instead of what is shown, where they are not the same.
export async function pictureOfPlot(id, figure = null) {
  const plot = byId(id);
  const { width, height } = plot._fullLayout;
  const { data, layout } = figure ? figure() : plot;
  const whole = { data, layout: { ...layout, width, height, paper_bgcolor: pageColour(), plot_bgcolor: pageColour() } };
  return { text: await Plotly.toImage(whole, { format: "svg", width, height, imageDataOnly: true }), width, height };
}

const ground = (width, height) => svg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` },
  svg("rect", { width, height, fill: pageColour() }));
const finished = (root, width, height) => ({ text: new XMLSerializer().serializeToString(root), width, height });

// Of an element: its drawings, and its text where it stands.
export function pictureOf(host) {
  const box = host.getBoundingClientRect();
  const [width, height] = [Math.ceil(box.width), Math.ceil(box.height)];
  const root = ground(width, height);
  const walk = document.createTreeWalker(host, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT,
    node => node.parentElement.closest("svg") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (node.nodeType === Node.TEXT_NODE) root.append(...linesOf(node, box));
    else if (node.localName === "svg") root.append(copyOf(node, box));
  }
  return finished(root, width, height);
}

function copyOf(drawing, box) {
  const [copy, at] = [drawing.cloneNode(true), drawing.getBoundingClientRect()];
  const [from, to] = [drawing, copy].map(one => [...one.querySelectorAll("*")]);
  from.forEach((one, i) => {
    const style = getComputedStyle(one);
    for (const name of STYLES) to[i].setAttribute(name, style.getPropertyValue(name));
  });
  for (const [name, value] of Object.entries({ x: at.left - box.left, y: at.top - box.top, width: at.width, height: at.height })) copy.setAttribute(name, value);
  return copy;
}

// The text of one node, a piece for each line that it is broken into.
function linesOf(node, box) {
  const style = getComputedStyle(node.parentElement);
  const size = parseFloat(style.fontSize);
  const lines = [];
  for (const { 0: word, index } of node.data.matchAll(/\S+/g)) {
    const range = document.createRange();
    range.setStart(node, index);
    range.setEnd(node, index + word.length);
    const at = range.getBoundingClientRect();
    if (!at.width) continue; // not shown
    if (lines.length && Math.abs(lines.at(-1).top - at.top) < 2) lines.at(-1).words += ` ${word}`;
    else lines.push({ words: word, left: at.left, top: at.top, height: at.height });
  }
  return lines.map(({ words, left, top, height }) => svg("text", { x: left - box.left, y: top - box.top + height / 2 + 0.35 * size, fill: style.color,
    "font-family": style.fontFamily, "font-size": size, "font-weight": style.fontWeight }, words));
}

// What a canvas' pen can, as far as the charts use it, into SVG.
export function svgPen(width, height) {
  const root = ground(width, height);
  const ruler = element("canvas").getContext("2d");
  let path = "";
  const near = number => Math.round(10 * number) / 10;
  const measure = (words, font) => { ruler.font = font; return ruler.measureText(words); };
  const text = (pen, words, x, y, room, paint) => {
    const [, weight, size, family] = /^(\d+) ([\d.]+)px (.+)$/.exec(pen.font);
    const squeezed = room !== undefined && measure(words, pen.font).width > room ? { textLength: near(room), lengthAdjust: "spacingAndGlyphs" } : {};
    root.append(svg("text", { x: near(x), y: near(y + (pen.textBaseline === "middle" ? 0.35 * size : 0)), "font-weight": weight, "font-size": size, "font-family": family,
      "text-anchor": pen.textAlign === "center" ? "middle" : "start", ...squeezed, ...paint }, words));
  };
  return {
    globalAlpha: 1,
    beginPath() { path = ""; },
    moveTo(x, y) { path += `M${near(x)} ${near(y)}`; },
    lineTo(x, y) { path += `L${near(x)} ${near(y)}`; },
    stroke() { if (path) root.append(svg("path", { d: path, fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth, opacity: this.globalAlpha })); },
    measureText(words) { return measure(words, this.font); },
    strokeText(words, x, y, room) { text(this, words, x, y, room, { fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth, "stroke-linejoin": this.lineJoin }); },
    fillText(words, x, y, room) { text(this, words, x, y, room, { fill: this.fillStyle }); },
    picture: () => finished(root, width, height),
  };
}
