// The limits as sliders: costs at most, scores at least. At its end a slider limits nothing.
import { byId, element } from "./dom.js";
import { stepOf } from "./headline.js";
import { formatMetric, isKnown } from "./words.js";

export function limitSliders(study, change) {
  // What is looked at aside has a slider where a device limits it.
  const limited = new Set((study.devices ?? []).flatMap(({ limits }) => Object.keys(limits)));
  const sliders = [...study.metrics.values()].filter(({ name, aside }) => !aside || limited.has(name)).flatMap(metric => {
    const values = study.trained.map(row => study.column(metric.name)[row]).filter(isKnown);
    if (!values.length) return [];
    const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    const step = stepOf([low, high], 0.005);
    return step ? [slider(metric, low, high, step)] : [];
  });

  // Whole steps, so that a limit is a round number.
  function slider(metric, low, high, step) {
    const [first, last] = metric.maximise ? [Math.floor(low / step + 1e-9), Math.floor(high / step + 1e-9)] : [Math.ceil(low / step - 1e-9), Math.ceil(high / step - 1e-9)];
    const free = metric.maximise ? first : last;
    const output = element("output", {});
    const input = element("input", { type: "range", min: first, max: last, step: 1, "data-unit": step, id: `limit-${metric.name}` });
    const label = element("label.limit", { for: input.id }, element("span", {}, metric.title), output);
    const number = () => Number((Number(input.value) * step).toPrecision(12));
    input.addEventListener("input", () => change(metric.name, Number(input.value) === free ? null : number()));
    byId("limits").append(element("div.slider", {}, label, input));
    return limits => {
      const limit = limits[metric.name];
      const at = limit === undefined ? free : Math.round(limit / step);
      if (Number(input.value) !== at) input.value = at;
      const words = limit === undefined ? "any" : `at ${metric.maximise ? "least" : "most"} ${formatMetric(metric, limit)}`;
      output.textContent = words;
      input.setAttribute("aria-valuetext", words);
      input.closest(".slider").classList.toggle("active", limit !== undefined);
    };
  }

  return { draw: ({ state }) => sliders.forEach(update => update(state.limits)), any: sliders.length > 0 };
}
