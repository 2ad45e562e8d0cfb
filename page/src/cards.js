// A card for each chosen architecture: a drawing, what it costs stage by stage, its commands; two show what differs.
import { differences } from "./compare-architectures.js";
import { byId, copy, element, svg } from "./dom.js";
import { commands } from "./files.js";
import { againstPresets, difference, giveUp, intervalOf, whyOnFront } from "./headline.js";
import { isNarrow } from "./plot.js";
import { factorName } from "./study.js";
import { afterWords, formatCount, formatMetric, isKnown, plural } from "./words.js";

const DRAWN = { width: 560, height: 178, gap: 8, least: 0 };
const NARROW = { width: 330, height: 178, gap: 5, least: 38 }; // as wide as a phone, so that its words are not shrunk

export function architectureCards(study, { pick }) {
  function draw({ shown, pinned, front, within }) {
    byId("cards").replaceChildren(...shown.map((row, i) => card(row, i, { isPinned: pinned.includes(row), front, within })));
    byId("differs").replaceChildren(...(shown.length === 2 ? compared(...shown) : []).filter(Boolean));
  }

  function card(row, i, { isPinned, front, within }) {
    const parts = study.drawings[row]?.map(part => study.parts[part]) ?? null;
    const metrics = [...study.metrics.values()].filter(({ name }) => isKnown(study.column(name)[row]));
    const release = element("button.small", { type: "button", "aria-label": `Unpin ${study.label(row)}` }, "Unpin");
    release.addEventListener("click", () => pick(row));
    const words = [study.descriptor(row), study.detail(row)].filter(Boolean).join("; ");
    return element("article.card.network", {},
      element("header", {},
        element("p.kicker", {}, `${["First", "Second"][i]} network, ${study.states[study.column("state")[row]]}`),
        isPinned ? release : null),
      element("h3.subject", {}, study.label(row)),
      element("p.note", {}, words),
      element("ul.facts", {}, metrics.map(metric => {
        const { name } = metric;
        const { interval, covers } = intervalOf(study, metric, row);
        return element("li", {}, element("strong", {}, formatMetric(metric, study.column(name)[row])), afterWords(metric), interval ? element("small", {}, `${interval}, ${covers}`) : null);
      })),
      list("What do I give up?", giveUp(study, front, row)), list("Against the presets", againstPresets(study, row)),
      list("Why is this on the front?", whyOnFront(study, within, row), { folded: true }),
      ...(parts ? [picture(parts, study.imageSizes[row], study.label(row)), costTable(parts)]
        : [element("p.note", {}, study.column("arch")[row] ? "Of so many networks, only the best are drawn; its configuration is in results.csv." : "The table does not hold its architecture.")]),
      commandList(row), configuration(row));
  }

  function list(heading, lines, { folded = false } = {}) {
    if (!lines.length) return null;
    const items = element("ul", {}, lines.map(text => element("li", {}, text)));
    return folded ? element("details.trade", {}, element("summary", {}, heading), items) : element("div.trade", {}, element("p.kicker", {}, heading), items);
  }

  // As a YAML file, which JSON is too, it is a choice for `latency` and a base for `ablate`.
  function configuration(row) {
    const arch = architecture(row);
    if (!arch) return null;
    const text = JSON.stringify(arch, null, 1);
    const button = element("button.small", { type: "button", "aria-label": `Copy the configuration of ${study.label(row)}` }, "Copy");
    button.addEventListener("click", () => copy(text, button));
    return element("details.configuration", {}, element("summary", {}, "Configuration"), element("div.code", {}, element("code", { tabindex: 0 }, text), button));
  }

  function architecture(row) {
    try {
      return JSON.parse(study.column("arch")[row] ?? "null");
    } catch {
      return null;
    }
  }

  function commandList(row) {
    const known = commands(study, row);
    return known.length ? element("div.codes", {}, known.map(({ title, text }) => {
      const button = element("button.small", { type: "button", "aria-label": `Copy the command that says ${title}` }, "Copy");
      button.addEventListener("click", () => copy(text, button));
      return element("div.code", {}, element("code", {}, text), button);
    })) : null;
  }

  // Each part is a bar: its height the map's side, its width what it holds; transformers stand in a colour of their own.
  function picture(parts, imageSize, label) {
    const { width, height, gap, least } = isNarrow() ? NARROW : DRAWN;
    const blocks = part => Math.max(1, part.residuals) + (part.transformer ? part.transformer.depth : 0);
    const total = parts.reduce((sum, part) => sum + blocks(part), 0);
    const room = width - gap * (parts.length - 1) - least * parts.length;
    const wide = part => least + room * blocks(part) / total;
    const base = 112;
    const tall = side => 16 + 88 * Math.log2(Math.max(1, side)) / Math.log2(Math.max(2, imageSize));
    const drawn = svg("svg.network", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": inWords(parts, imageSize, label) });
    let x = 0;
    for (const part of parts) {
      const [count, high] = [blocks(part), tall(part.side)];
      const unit = wide(part) / count;
      const transformers = part.transformer?.depth ?? 0;
      for (let i = 0; i < count; i++) {
        const kind = i >= count - transformers ? "transformer" : part.residuals ? "residual" : "plain";
        drawn.append(svg(`rect.${kind}`, { x: x + i * unit + 1, y: base - high, width: Math.max(1, unit - 2), height: high, rx: Math.min(3, unit / 3) }));
      }
      const middle = x + count * unit / 2;
      const text = (words, y, size = 11) => drawn.append(svg("text", { x: middle, y, "text-anchor": "middle", "font-size": size }, words));
      text(part.name.replace("stage ", ""), base + 14, 12);
      text(`${part.side}²`, base + 29);
      text(String(part.channels), base + 43);
      if (part.transformer) text(`p${part.transformer.patch_size}${part.transformer.tiles ? "" : "*"}`, base + 57);
      x += count * unit + gap;
    }
    const untiled = parts.some(part => part.transformer && !part.transformer.tiles);
    return element("figure", {}, drawn, element("figcaption", {},
      element("span.key", {}, element("i.residual"), "inverted residual"), element("span.key", {}, element("i.transformer"), "transformer layer"),
      `Below each stage: side of its map, channels, patch size (p). Images of ${imageSize} px.${untiled ? " * The patches do not tile the map, which is resized." : ""}`));
  }

  function inWords(parts, imageSize, label) {
    const words = parts.map(part => {
      const transformer = part.transformer;
      return `${part.name}: ${part.channels} channels, ${part.side} by ${part.side}${part.residuals ? `, ${plural(part.residuals, "inverted residual")}` : ""}`
        + (transformer ? `, MobileViT block with ${plural(transformer.depth, "layer")} of width ${transformer.dim}, patch ${transformer.patch_size}` : "");
    });
    return `${label}, for images of ${imageSize} pixels. ${words.join("; ")}.`;
  }

  function costTable(parts) {
    const total = name => parts.reduce((sum, part) => sum + part[name], 0);
    const bar = (part, name) => element("td", {}, element("span.meter", { title: `${(100 * part[name] / total(name)).toFixed(1)} %` },
      element("span", { style: `width: ${(100 * part[name] / total(name)).toFixed(1)}%` })), element("span.amount", {}, formatCount(part[name])));
    return element("table.stages", {},
      element("thead", {}, element("tr", {}, ["Part", "Parameters", "MACs"].map(text => element("th", { scope: "col" }, text)))),
      element("tbody", {}, parts.map(part => element("tr", {}, element("th", { scope: "row" }, part.name, element("small", {}, details(part))), bar(part, "params"), bar(part, "macs")))));
  }

  function details(part) {
    const words = part.residuals ? [`${part.residuals} × ${part.kernel_size}×${part.kernel_size}, expansion ${part.expand_ratio}`] : [`${part.kernel_size}×${part.kernel_size} convolution`];
    const block = part.transformer;
    if (block) words.push(`${block.depth} × width ${block.dim}, ${plural(block.heads, "head")}, patch ${block.patch_size} (${plural(block.tokens, "token")}), fusion ${block.fusion}`);
    return words.join("; ");
  }

  function compared(one, other) {
    const [first, second] = [one, other].map(study.label);
    const rows = one === other ? [] : study.factors.filter(name => study.column(name)[one] !== study.column(name)[other])
      .map(name => [factorName(name), study.column(name)[one], study.column(name)[other]]);
    const configs = [one, other].map(architecture);
    const changes = configs.every(Boolean) ? differences(...configs) : [];
    const words = value => value === null || value === undefined ? "–" : typeof value === "object" ? "there" : String(value);
    const table = (heading, entries) => element("table.differs", {},
      element("caption", {}, heading),
      element("thead", {}, element("tr", {}, ["", first, second].map(text => element("th", { scope: "col" }, text)))),
      element("tbody", {}, entries.map(([name, a, b]) => element("tr", {}, element("th", { scope: "row" }, breakable(name)), element("td", {}, words(a)), element("td", {}, words(b))))));
    const nothing = rows.length === 0 && changes.length === 0;
    return [
      element("h3", {}, "What differs"),
      element("p", {}, `${second} against ${first}: ${difference(study, other, one) || "nothing that was measured of both"}.`),
      element("div.pair", {}, rows.length ? table("Choices", rows) : null,
        changes.length ? table("Configuration", changes.map(({ path, one: a, other: b }) => [path.replace(/^stages\.(\d+)\.?/, (_, place) => `stage ${Number(place) + 1}, `).replace(/, $/, ""), a, b])) : null),
      nothing ? element("p.note", {}, configs.every(Boolean) ? "The two are the same network." : "The table does not hold both architectures.") : null,
    ];
  }

  return { draw };
}

// A path may be broken before its dots, where a column is narrow.
const breakable = path => path.split(".").flatMap((part, i) => i ? [element("wbr"), `.${part}`] : [part]);
