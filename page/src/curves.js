// How the shown candidates learned, against all that were trained with them.
import { byId } from "./dom.js";
import { colour, escaped, layout, show } from "./plot.js";
import { fixed, isKnown } from "./words.js";

const MOST = 400; // trainings behind, evenly chosen

export function learningCurves(study) {
  const [rungs, epochs, score] = ["rungs", "epochs", study.score].map(study.column);
  const read = row => {
    try {
      const found = JSON.parse(rungs[row] || "[]").filter(rung => isKnown(rung.epoch) && rung.images > 0).map(rung => [rung.epoch, 100 * rung.correct / rung.images]);
      if (!isKnown(score[row]) || !isKnown(epochs[row])) return found.sort((a, b) => a[0] - b[0]);
      // At the end all validation images count, not the part that was looked at on the way.
      return [...found.filter(([epoch]) => epoch < epochs[row]), [epochs[row], 100 * score[row]]].sort((a, b) => a[0] - b[0]);
    } catch {
      return []; // a table that people edited
    }
  };
  const known = study.rows.filter(row => rungs[row]);
  const chosen = known.filter((_, i) => Math.floor(i * MOST / known.length) !== Math.floor((i - 1) * MOST / known.length) || known.length <= MOST);
  const field = chosen.map(read).filter(curve => curve.length > 1);
  byId("learning").hidden = !field.length;

  // All of the field is one line with gaps, so that it costs no more than one.
  function draw({ shown }) {
    if (!field.length) return;
    const x = field.flatMap(curve => [...curve.map(([epoch]) => epoch), null]);
    const y = field.flatMap(curve => [...curve.map(([, percent]) => percent), null]);
    const tones = [colour("preset"), colour("front")];
    const traces = [{ type: "scatter", mode: "lines", name: "all trainings", x, y, line: { color: colour("grey"), width: 1 }, opacity: Math.max(0.25, Math.min(0.5, 30 / field.length)), hoverinfo: "skip" },
      ...shown.map((row, i) => {
        const curve = read(row);
        return { type: "scatter", mode: "lines+markers", name: escaped(study.label(row)), x: curve.map(([epoch]) => epoch), y: curve.map(([, percent]) => percent),
          line: { color: tones[i], width: 2.5, dash: i ? "dash" : "solid" }, marker: { size: 7 }, hoverinfo: "text",
          text: curve.map(([epoch, percent]) => `${escaped(study.label(row))}<br>after epoch ${epoch}: ${fixed(percent, 1)} %`), visible: curve.length > 0 };
      })];
    const view = layout("Epoch", `${study.metric(study.score).title} (%)`, { printed: 220 });
    view.showlegend = true;
    show("curves", traces, view, { displayModeBar: false });
  }
  return { draw };
}
