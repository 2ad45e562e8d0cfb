import { ablationPage } from "./ablation.js";
import { comparisonPage } from "./comparison.js";
import { byId } from "./dom.js";
import { searchPage } from "./search.js";
import { makeSortable } from "./sortable.js";
import { inflate } from "./study.js";

const PAGES = { search: searchPage, ablation: ablationPage, comparison: comparisonPage };

// As it was before anything was drawn into it, for a copy with a decision in it.
const untouched = document.documentElement.cloneNode(true);

async function open() {
  const data = await inflate(byId("data").textContent);
  PAGES[data.page](data, untouched);
  document.documentElement.dataset.ready = "yes"; // for tests and benchmarks
}

makeSortable();
if (typeof DecompressionStream === "undefined") byId("unscripted").textContent = "The plots need a browser from 2023 or later.";
else open();
