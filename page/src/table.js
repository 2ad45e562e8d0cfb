// All candidates in a table that draws only the rows that are looked at.
/* global Tabulator */
import { byId, copy, element } from "./dom.js";
import { commands } from "./files.js";
import { isPrinting } from "./plot.js";
import { factorName } from "./study.js";
import { chanceWords, fixed, formatCell, intervalWords, isKnown, plural, whole } from "./words.js";

const SHOWN_FACTORS = 8;
const LISTED = 60; // columns to choose from at once; more are found by their name
const PRINTED = 40;
const PRINTED_COLUMNS = 8; // as many as fit on A4
// Pixels with their lines, so that no row is cut where the table ends.
const HEAD = 36;
const ROW = 45;
const SHOWN_ROWS = 12;

export function candidateTable(study, { order, pick, change }) {
  const definitions = columnDefinitions(study);
  const byName = new Map(definitions.map(definition => [definition.name, definition]));
  const usual = ["candidate", "front", "p_best", "p_front", ...[...study.metrics.values()].filter(({ aside }) => !aside).map(({ name }) => name), ...order.slice(0, SHOWN_FACTORS), "state", "seconds", "trial", "commands"].filter(name => byName.has(name));
  let derived = null;
  let built = false;
  let shownColumns = "";
  let shownFilter = null;
  let sortedBy = null;

  const table = new Tabulator("#candidates", {
    data: startOrder(study).map(row => ({ row })), index: "row", height: HEAD + ROW * Math.min(SHOWN_ROWS, Math.max(3, study.size)),
    columns: [], layout: "fitDataFill", nestedFieldSeparator: false, headerSortElement: "", movableColumns: false, rowHeight: ROW - 1,
    placeholder: "No candidate is left: loosen the limits, the ranges or the search.", columnDefaults: { headerHozAlign: "left", resizable: false },
    rowFormatter: row => {
      const each = row.getData().row;
      const place = row.getElement();
      place.classList.toggle("front", derived.highlighted.has(each));
      place.classList.toggle("quiet", study.column("state")[each] !== "complete" || !derived.inside.has(each));
      place.classList.toggle("pinned", derived.pinned.includes(each));
      place.setAttribute("aria-selected", derived.pinned.includes(each));
    },
  });
  const ready = new Promise(resolve => { table.on("tableBuilt", resolve); });
  table.on("rowClick", (event, row) => { if (!event.target.closest("button")) pick(row.getData().row); });
  table.on("headerClick", () => setTimeout(tellSort));
  ready.then(() => {
    built = true;
    // A group of rows may not hold another one.
    for (const group of document.querySelectorAll("#candidates .tabulator-header [role=rowgroup], #candidates .tabulator-table")) group.setAttribute("role", "presentation");
    document.querySelector("#candidates .tabulator-tableholder").setAttribute("role", "rowgroup");
    if (derived) draw(derived);
  });

  function tellSort() {
    const [sorter] = table.getSorters();
    change({ sort: sorter ? [sorter.field, sorter.dir] : null });
  }

  function chosenColumns(state) {
    return (state.columns ?? usual).filter(name => byName.has(name));
  }

  function keeps(next) {
    const { state, inside, brushedRows, highlighted } = next;
    const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
    const only = { all: () => true, trained: row => study.column("state")[row] === "complete", limits: row => inside.has(row), front: row => highlighted.has(row) }[state.only];
    return row => only(row) && (!brushedRows || brushedRows.has(row)) && words.every(word => textOf(row).includes(word));
  }
  const texts = new Map();
  function textOf(row) {
    if (!texts.has(row)) texts.set(row, definitions.map(definition => definition.text(row)).join(" ").toLowerCase());
    return texts.get(row);
  }

  function draw(next) {
    derived = next;
    if (isPrinting()) print();
    if (!built) return;
    const { state } = next;
    const columns = chosenColumns(state);
    if (columns.join("\n") !== shownColumns) {
      shownColumns = columns.join("\n");
      table.setColumns(columns.map(name => tabulatorColumn(byName.get(name))));
      if (state.sort && columns.includes(state.sort[0])) table.setSort(...state.sort);
    }
    // The chances follow the limits, and the order with them.
    if (state.sort?.[0] === "p_best" && next.chances !== sortedBy) table.setSort(...state.sort);
    sortedBy = next.chances;
    const keep = keeps(next);
    const kept = study.rows.filter(keep);
    const filter = kept.length === study.size ? "" : kept.join();
    if (filter !== shownFilter) {
      shownFilter = filter;
      const set = new Set(kept);
      filter ? table.setFilter(data => set.has(data.row)) : table.clearFilter();
    }
    for (const row of table.getRows("visible")) row.reformat();
    byId("shown").textContent = kept.length === study.size ? plural(study.size, "candidate") : `${whole(kept.length)} of ${plural(study.size, "candidate")}`;
  }

  function tabulatorColumn({ name, title, hint, numeric, cell, compare }) {
    return {
      field: name, title: "", hozAlign: numeric ? "right" : "left", headerHozAlign: numeric ? "right" : "left", frozen: name === "candidate" && innerWidth > 640,
      headerSort: name !== "commands", minWidth: name === "candidate" ? 130 : 70, maxWidth: 320,
      // Text goes into nodes: Tabulator reads strings as HTML.
      titleFormatter: () => element("button.plain", { type: "button", title: hint, tabindex: name === "commands" ? -1 : 0 }, title),
      formatter: each => cell(each.getData().row, derived),
      sorter: (_a, _b, one, other, _column, direction) => {
        const [a, b] = [one, other].map(each => compare(each.getData().row, derived));
        if (a === null || b === null) return ((a === null) - (b === null)) * (direction === "asc" ? 1 : -1); // what is missing comes last both ways
        return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
      },
    };
  }

  function chooser(state) {
    const list = element("div.choices");
    const fill = text => {
      const fitting = definitions.filter(({ title }) => title.toLowerCase().includes(text.toLowerCase()));
      list.replaceChildren(...fitting.slice(0, LISTED).map(({ name, title }) => {
        const box = element("input", { type: "checkbox", checked: chosenColumns(state()).includes(name) });
        box.addEventListener("change", () => {
          const now = new Set(chosenColumns(state()));
          now[box.checked ? "add" : "delete"](name);
          const columns = definitions.map(definition => definition.name).filter(each => now.has(each));
          change({ columns: columns.join("\n") === usual.join("\n") ? null : columns });
        });
        return element("label", {}, box, title);
      }), ...(fitting.length > LISTED ? [element("p.note", {}, `and ${fitting.length - LISTED} more: find them by name`)] : []));
    };
    const find = element("input", { type: "search", placeholder: "Find a column", "aria-label": "Find a column" });
    find.addEventListener("input", () => fill(find.value));
    fill("");
    return [...(definitions.length > 30 ? [find] : []), list];
  }

  function controls(state) {
    const details = byId("columns");
    details.addEventListener("toggle", () => { if (details.open) byId("choices").replaceChildren(...chooser(state)); });
    document.addEventListener("click", event => { if (!details.contains(event.target)) details.open = false; });
    document.addEventListener("keydown", event => { if (event.key === "Escape") details.open = false; });
  }

  // On paper stands what can be read there: the front, then what was chosen.
  function print() {
    const columns = chosenColumns(derived.state).filter(name => name !== "commands").map(name => byName.get(name)).slice(0, PRINTED_COLUMNS);
    const keep = keeps(derived);
    const rows = startOrder(study, derived.highlighted).filter(keep);
    byId("printed").replaceChildren(
      element("table.sortable", {},
        element("thead", {}, element("tr", {}, columns.map(({ title, numeric }) => element("th", { class: numeric ? "number" : "", scope: "col" }, title)))),
        element("tbody", {}, rows.slice(0, PRINTED).map(row => element("tr", { class: derived.highlighted.has(row) ? "front" : "" },
          columns.map(({ numeric, cell }) => element("td", { class: numeric ? "number" : "" }, cell(row, derived))))))),
      ...(rows.length > PRINTED ? [element("p.note", {}, `and ${rows.length - PRINTED} more, in results.csv`)] : []));
  }
  return { draw, controls };
}

// Those on the front first, then the others that were trained, the best first, then the rest.
function startOrder(study, front = new Set(study.initialFront)) {
  const score = study.column(study.score);
  const rank = row => front.has(row) ? 0 : study.column("state")[row] === "complete" ? 1 : 2;
  const ranks = study.rows.map(rank);
  return [...study.rows].sort((a, b) => ranks[a] - ranks[b] || (score[b] ?? -1) - (score[a] ?? -1) || a - b);
}

function columnDefinitions(study) {
  const value = (name, row) => study.column(name)[row];
  const plain = text => text === "" || text === null || text === undefined ? element("span.missing", {}, "–") : document.createTextNode(text);
  const withDetail = (text, detail) => element("div.cell", {}, text, detail ? element("small", { title: detail }, detail) : null);
  const metric = each => {
    const { name, label, title, form, unit, low, high } = each;
    return {
      name, title: title + (form === "count" ? "" : ` (${unit})`), hint: label, numeric: true,
      cell: row => isKnown(value(name, row)) ? withDetail(formatCell(each, value(name, row)), low ? intervalWords(each, value(low, row), value(high, row)) : "") : plain(null),
      compare: row => value(name, row), text: row => isKnown(value(name, row)) ? formatCell(each, value(name, row)) : "",
    };
  };
  const simple = (name, title, format, numeric) => ({
    name, title, numeric, cell: row => plain(isKnown(value(name, row)) ? format(value(name, row)) : null),
    compare: row => value(name, row), text: row => isKnown(value(name, row)) ? format(value(name, row)) : "",
  });
  const chance = (name, title, hint, of) => ({
    name, title, hint, numeric: true, cell: (row, derived) => plain(chanceWords(of(row, derived))), compare: (row, derived) => of(row, derived) ?? null, text: () => "",
  });
  const state = row => study.states[value("state", row)] + (value("cached", row) ? " (earlier)" : "");
  return [
    { name: "candidate", title: "Candidate", numeric: false, compare: study.label, text: row => `${study.label(row)} ${value("arch_id", row) ?? ""} ${study.descriptor(row)}`,
      cell: row => withDetail(study.label(row), study.label(row) === value("arch_id", row) ? "" : value("arch_id", row)) },
    { name: "front", title: "Front", numeric: false, compare: (row, derived) => derived.highlighted.has(row) ? 0 : null, text: () => "",
      cell: (row, derived) => document.createTextNode(derived.highlighted.has(row) ? "front" : "") },
    chance("p_best", "P(best)", "How likely it has the highest true score of those within the limits", (row, derived) => derived.chances?.get(row)),
    chance("p_front", "P(on the front)", "How likely no network that costs no more has a higher true score; a dash is less than 2.5 %, or not known", row => study.sure.front[row]),
    ...[...study.metrics.values()].map(metric),
    ...study.factors.map(name => simple(name, factorName(name), String, study.kind(name) !== "string" && study.kind(name) !== "boolean")),
    { name: "state", title: "State", numeric: false, compare: state, text: row => `${state(row)} ${value("reason", row) ?? ""}`,
      cell: row => withDetail(state(row), value("reason", row)) },
    simple("seconds", "Cost (s)", number => fixed(number, 1), true),
    simple("proposed_by", "Proposed by", String, false),
    simple("epochs", "Epochs", String, true),
    simple("trial", "Trial", String, true),
    { name: "commands", title: "Copy the command to", numeric: false, compare: () => null, text: () => "",
      cell: row => element("span.commands", {}, commands(study, row).map(({ name, title, text }) => {
        const button = element("button.small", { type: "button", title: text, "aria-label": `Copy the command that says ${title}: ${study.label(row)}` }, name);
        button.addEventListener("click", () => copy(text, button));
        return button;
      })) },
  ].filter(({ name }) => !["proposed_by", "epochs"].includes(name) || study.column(name).some(isKnown))
    .filter(({ name }) => !["p_best", "p_front"].includes(name) || study.sure.mean.some(isKnown));
}
