// What was confirmed: test accuracies with their intervals, and beside each what the search had said of the network.
import { byId, element, svg } from "./dom.js";
import { stepOf } from "./headline.js";
import { offerToSave, pictureOf } from "./save.js";
import { fixed, isKnown } from "./words.js";

// Where each network stands on one axis of percent: [low, high] of its interval, its value, the search's and each seed's.
export function confirmedAxis(study) {
  const score = study.column("accuracy");
  const lines = study.confirmed.networks.filter(({ accuracy }) => isKnown(accuracy)).map(({ row, trial, accuracy, low, high, seeds }) => ({
    row, label: study.label(row), trial, value: 100 * accuracy, low: 100 * low, high: 100 * high,
    searched: isKnown(score[row]) ? 100 * score[row] : null, seeds: seeds.map(seed => 100 * seed.accuracy),
  }));
  const ends = lines.flatMap(({ low, high, searched, seeds }) => [low, high, ...seeds, ...(searched === null ? [] : [searched])]);
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  const step = stepOf([least, most]) || 1;
  const [from, to] = [Math.max(0, Math.floor(least / step) * step), Math.min(100, Math.ceil(most / step) * step)];
  const ticks = Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step).filter(tick => tick <= to);
  return { lines, from, to, ticks };
}

export function confirmedPlot(study) {
  const { lines, from, to, ticks } = confirmedAxis(study);
  const host = byId("confirmed-plot");
  host.hidden = false;
  const [left, width, tall] = host.clientWidth < 520 ? [112, 250, 30] : [150, 460, 30]; // letters stay as large on a phone
  const height = lines.length * tall;
  const x = value => left + (width - 20) * (value - from) / Math.max(to - from, 1e-9);
  const drawn = ({ row, label, value, low, high, searched, seeds }, i) => {
    const y = i * tall + tall / 2;
    const words = `${label}: ${fixed(value, 1)} % on the test part (${fixed(low, 1)} to ${fixed(high, 1)} %)${searched === null ? "" : `, ${fixed(searched, 1)} % in the search`}`;
    return svg(`g${row === study.confirmed.take ? ".taken" : ""}`, {}, svg("title", {}, words),
      svg("text", { x: left - 10, y: y + 4, "text-anchor": "end" }, label.length > left / 7.5 ? `${label.slice(0, left / 7.5 - 1)}…` : label),
      svg("line.interval", { x1: x(low), x2: x(high), y1: y, y2: y }),
      ...seeds.map(seed => svg("circle.seed", { cx: x(seed), cy: y, r: 2.5 })),
      searched === null ? null : svg("circle.searched", { cx: x(searched), cy: y, r: 5 }),
      svg("circle.value", { cx: x(value), cy: y, r: 5 }));
  };
  offerToSave("confirmed-plot", () => pictureOf(host));
  host.replaceChildren(
    svg("svg.confirmed", { viewBox: `0 0 ${left + width} ${height + 34}`, role: "img", "aria-label": "Test accuracies with their intervals; the table below has the numbers" },
      ...ticks.flatMap(tick => [svg("line.grid", { x1: x(tick), x2: x(tick), y1: 0, y2: height }),
        svg("text", { x: x(tick), y: height + 18, "text-anchor": "middle" }, fixed(tick, Number.isInteger(tick) ? 0 : 1))]),
      ...lines.map(drawn)),
    element("p.note", {}, `Test accuracy in percent: the mean, its 95 % interval over ${study.confirmed.covers}, and a small dot for each seed. A ring is what the search had.`));
}
