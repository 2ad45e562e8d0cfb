// Which factors matter for an objective, and what each value does: bars and dots with their intervals.
import { byId, element, svg } from "./dom.js";
import { offerToSave, pictureOf } from "./save.js";
import { factorName } from "./study.js";
import { fixed, formatMetric, plural } from "./words.js";

const SHOWN = 12; // factors with a bar
const EFFECTS = 6; // of which the effects are drawn

export function whatMatters(study) {
  const { objectives } = study.importance;
  const choice = byId("matter");
  for (const { objective } of objectives) choice.add(new Option(study.metric(objective)?.title ?? objective, objective));
  choice.addEventListener("change", draw);
  byId("matter-note").textContent = study.importance.note;

  function draw() {
    const explained = objectives.find(({ objective }) => objective === choice.value) ?? objectives[0];
    if (!explained) {
      byId("shares").replaceChildren(element("p.note", {}, "No objective was measured, so nothing can be said of the factors."));
      return;
    }
    if (!explained.share) {
      byId("shares").replaceChildren(element("p.note", {}, `Nothing is known of the factors: ${explained.reason}.`));
      byId("effects").replaceChildren();
      return;
    }
    const known = explained.factors.filter(({ share }) => share);
    const unknown = explained.factors.filter(({ share }) => !share);
    const whole = share => fixed(100 * share, 0).replace(/^-0$/, "0");
    const within = share => Math.max(0, Math.min(1, share)); // a resample can come out below nothing or above all
    const percent = ({ value, low, high }) => `${whole(within(value))} % (${whole(within(low))} to ${whole(within(high))})`;
    const words = ({ share, shown }) => shown ? percent(share) : `none shown${share.high > 0 ? ` (at most ${whole(within(share.high))} %)` : ""}`;
    byId("shares").replaceChildren(...[
      element("p", {}, explained.shown
        ? `From ${plural(explained.networks, "network")}, the factors together explain ${percent(explained.share)} of the differences.`
        : `${plural(explained.networks, "network")} do not tell yet what matters: what some of them teach explains nothing that shows of the differences among the others. What follows is a guess.`),
      element("table.shares", {},
        element("thead", {}, element("tr", {}, ["Factor", "Share explained", "with its 95 % interval"].map(text => element("th", { scope: "col" }, text)))),
        element("tbody", {}, known.slice(0, SHOWN).map(factor => element("tr", {},
          element("th", { scope: "row" }, factorName(factor.name)), element("td.track", {}, shareBar(factor)), element("td", {}, words(factor)))))),
      rest(known.slice(SHOWN), unknown)].filter(Boolean));
    const drawn = known.filter(({ effects }) => effects.length > 1).slice(0, EFFECTS);
    const means = drawn.flatMap(({ effects }) => effects.map(({ mean }) => mean));
    const range = [Math.min(...means.map(mean => mean.low)), Math.max(...means.map(mean => mean.high))]; // one for all, to compare by eye
    byId("effects").replaceChildren(...drawn.map(factor => effectPlot(factor, explained.objective, range)));
    offerToSave("matters", () => pictureOf(byId("matters")));
  }

  function rest(more, unknown) {
    const words = [];
    if (more.length) words.push(`${plural(more.length, "further factor")} explain less.`);
    if (unknown.length) {
      const shown = unknown.slice(0, 3).map(({ name, reason }) => `${factorName(name)} (${reason})`).join("; ");
      words.push(`Not judged: ${shown}${unknown.length > 3 ? `; and ${unknown.length - 3} more` : ""}.`);
    }
    return words.length ? element("p.note", {}, words.join(" ")) : null;
  }

  function shareBar({ share: { value, low, high }, shown }) {
    const at = share => 100 * Math.max(0, Math.min(1, share));
    return svg("svg.share", { viewBox: "0 0 100 14", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect.ground", { x: 0, y: 3, width: 100, height: 8 }), svg("rect.value", { x: 0, y: 3, width: shown ? at(value) : 0, height: 8 }),
      svg("line", { x1: at(low), x2: at(high), y1: 7, y2: 7, "vector-effect": "non-scaling-stroke" }));
  }

  function effectPlot({ name, effects }, objective_, [low, high]) {
    const objective = study.metric(objective_);
    const [wide, step, label, side] = [340, 24, 92, 12];
    const at = value => label + side + (wide - label - 2 * side) * (high > low ? (value - low) / (high - low) : 0.5);
    const height = effects.length * step + 22;
    const drawn = svg("svg", { viewBox: `0 0 ${wide} ${height}`, role: "img",
      "aria-label": `${factorName(name)}: ${effects.map(effect => `${effect.label}: ${formatMetric(objective, effect.mean.value)}`).join("; ")}` });
    effects.forEach(({ label: text, mean, networks }, i) => {
      const y = i * step + step / 2;
      drawn.append(svg("g", {}, svg("title", {}, `${text}: ${formatMetric(objective, mean.value)} (95 % interval ${formatMetric(objective, mean.low)} to ${formatMetric(objective, mean.high)}), ${plural(networks, "network")}`),
        svg("rect.catch", { x: 0, y: y - step / 2, width: wide, height: step }),
        svg("text", { x: label, y: y + 4, "text-anchor": "end", "font-size": 12 }, text.length > 14 ? `${text.slice(0, 13)}…` : text),
        svg("line.interval", { x1: at(mean.low), x2: at(mean.high), y1: y, y2: y }), svg("circle", { cx: at(mean.value), cy: y, r: 4.5 })));
    });
    drawn.append(svg("text.end", { x: label + side, y: height - 4, "font-size": 11 }, formatMetric(objective, low)),
      svg("text.end", { x: wide - side, y: height - 4, "font-size": 11, "text-anchor": "end" }, formatMetric(objective, high)));
    return element("figure.effect", {}, element("figcaption", {}, factorName(name)), drawn);
  }

  return { draw };
}
