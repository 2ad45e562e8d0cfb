// Tables that Python wrote: a click on a heading sorts them.

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
    if (a === "" || b === "") return (a === "") - (b === ""); // what is missing comes last both ways
    return descending ? compare(b, a) : compare(a, b);
  });
  body.append(...rows);
}

export function makeSortable() {
  document.querySelectorAll(".sortable thead th").forEach(header => {
    const button = document.createElement("button");
    button.append(...header.childNodes);
    button.addEventListener("click", () => sortBy(header));
    header.append(button);
  });
}
