"use strict";
// What all pages share: data, colours, layout, tables that sort. Pages draw what Python computed: no number is made here.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
let printing = false;

function layout(x, y) {
  const axis = title => ({
    title: { text: title, standoff: 12, font: { size: 13 } }, automargin: true, gridcolor: colour("line"),
    linecolor: colour("line"), zeroline: false, tickfont: { color: colour("quiet") },
  });
  return {
    xaxis: axis(x), yaxis: axis(y), paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 13, color: colour("text") },
    margin: { l: 56, r: 16, t: 44, b: 48 }, hovermode: "closest", dragmode: "zoom",
    hoverlabel: { align: "left", bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("text") } },
    modebar: { bgcolor: "transparent", color: colour("quiet"), activecolor: colour("text") },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 13 } },
    width: printing ? 680 : undefined,
  };
}

function show(id, traces, view) {
  byId(id).hidden = false;
  Plotly.react(id, traces, view, { responsive: true, displaylogo: false,
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]] });
}

function sortBy(header) {
  const column = header.cellIndex;
  const headers = [...header.parentNode.children];
  const descending = header.getAttribute("aria-sort") === "ascending";
  headers.forEach(cell => cell.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = header.closest("table").tBodies[0];
  const key = row => row.cells[column].dataset.sort;
  const compare = (a, b) => a !== "" && b !== "" && !isNaN(a) && !isNaN(b) ? a - b : a.localeCompare(b);
  const rows = [...body.rows].sort((first, second) => {
    const [a, b] = [key(first), key(second)];
    if (a === "" || b === "") return (a === "") - (b === "");  // what is missing comes last both ways
    return descending ? compare(b, a) : compare(a, b);
  });
  body.append(...rows);
}

document.querySelectorAll(".sortable thead th").forEach(header => {
  const button = document.createElement("button");
  button.append(...header.childNodes);
  button.addEventListener("click", () => sortBy(header));
  header.append(button);
});

// Draw now and whenever the colours change.
function start(draw) {
  byId("unscripted").hidden = true;
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  for (const [event, state] of [["beforeprint", true], ["afterprint", false]]) {
    addEventListener(event, () => {  // paper is white, and narrower than most windows
      printing = state;
      document.documentElement.toggleAttribute("data-print", state);
      draw();
    });
  }
}
