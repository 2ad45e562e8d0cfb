// What all plots share: colours, layout, room for labels.
/* global Plotly */
import { byId } from "./dom.js";
import { offerToSave, pictureOfPlot } from "./save.js";

let printing = false;
export const isPrinting = () => printing;
export const isNarrow = () => !printing && innerWidth <= 640;

export const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Between two colours of six hexadecimal digits.
export const mixed = (one, other, share) => {
  const [a, b] = [one, other].map(hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16)));
  return `rgb(${a.map((from, i) => Math.round(from + share * (b[i] - from))).join(",")})`;
};

// Plotly reads some HTML in its texts.
export const escaped = text => text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`);

// A title in lines that a narrow window holds.
function lines(title) {
  if (!isNarrow() || title.includes("<br>")) return title;
  return title.split(" ").reduce((text, word) => (text + " " + word).length - text.lastIndexOf("<br>") > 40 ? text + "<br>" + word : text + " " + word);
}

// Hypervolume is drawn from 0, in percent, on every page.
export const HYPERVOLUME = "Hypervolume (% of the box)";

// ``printed`` is the height on paper, in pixels, as the stylesheet has it.
export function layout(x, y, { printed = 300 } = {}) {
  const axis = title => ({
    title: { text: lines(title), standoff: 12, font: { size: 13 } }, automargin: true, gridcolor: colour("line"),
    linecolor: colour("line"), zeroline: false, tickfont: { color: colour("quiet") },
  });
  return {
    xaxis: axis(x), yaxis: axis(y), paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 13, color: colour("text") },
    margin: { l: 56, r: 16, t: 44, b: 48 }, hovermode: "closest", dragmode: "zoom",
    hoverlabel: { align: "left", bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("text") } },
    modebar: { bgcolor: "transparent", color: colour("quiet"), activecolor: colour("text") },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 13 } },
    width: printing ? 680 : undefined, height: printing ? printed : undefined, autosize: !printing,
  };
}

// A side for each label where it covers neither a mark, nor an upright bar, nor another label; "" where there is none.
// Points without a label have the width 0. A name that ``must`` be there may cross bars, and then marks, where all sides are taken.
// ``lines`` are further rectangles that a name must not cross while there is another side.
export function placed(points, box, { must = false, lines: crossed = [] } = {}) {
  const taken = points.map(({ x, y }) => [x - 7, y - 7, x + 7, y + 7]);
  const labels = [];
  const bars = [...points.map(({ x, low, high }) => [x - 2, high, x + 2, low]), ...crossed];
  const free = ([l, t, r, b], others) => l >= box[0] && r <= box[2] && t >= box[1] && b <= box[3]
    && !others.some(([l2, t2, r2, b2]) => l < r2 && l2 < r && t < b2 && t2 < b);
  return points.map(({ x, y, width, must: wanted = must }) => {
    if (!width) return "";
    const sides = { "middle right": [x + 8, y - 8], "top right": [x + 4, y - 23], "bottom right": [x + 4, y + 7],
      "middle left": [x - 8 - width, y - 8], "top left": [x - 4 - width, y - 23], "bottom left": [x - 4 - width, y + 7] };
    const rectangle = ([left, top]) => [left, top, left + width, top + 16];
    for (const others of wanted ? [[...taken, ...bars], taken, labels] : [[...taken, ...bars]]) {
      const side = Object.keys(sides).find(name => free(rectangle(sides[name]), others));
      if (side) {
        taken.push(rectangle(sides[side]));
        labels.push(rectangle(sides[side]));
        return side;
      }
    }
    return "";
  });
}

// ``figure`` gives what is saved instead of what is shown, where they are not the same.
export function show(id, traces, view, { figure = null, ...more } = {}) {
  byId(id).hidden = false;
  const done = Plotly.react(id, traces, view, { responsive: true, displaylogo: false, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d"]], ...more });
  offerToSave(id, () => pictureOfPlot(id, figure));
  return done;
}

// Draw now and whenever the colours change.
export function start(draw) {
  const note = byId("unscripted");
  if (note) note.hidden = true;
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  for (const [event, state] of [["beforeprint", true], ["afterprint", false]]) {
    addEventListener(event, () => { // paper is white, and narrower than most windows
      printing = state;
      document.documentElement.toggleAttribute("data-print", state);
      draw();
      // A plot keeps the width of the paper until it is told to look at its place again.
      if (!state) for (const plot of document.querySelectorAll(".js-plotly-plot")) if (plot.offsetWidth) Plotly.Plots.resize(plot);
    });
  }
}
