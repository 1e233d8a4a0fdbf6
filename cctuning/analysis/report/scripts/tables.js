// Tables that sort by a click or a key on a column's heading, and show only the rows that are asked for.

const cellKey = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
};

// Numbers by size, then texts by the alphabet; cells without a value last, whichever way.
function compareKeys(one, other, sign) {
  if (one === "–" || other === "–") return (one === "–") - (other === "–");
  if (typeof one === "number" && typeof other === "number") return sign * (one - other);
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
  return sign * one.localeCompare(other, "en", { numeric: true });
}

function sortBy(table, column) {
  const heading = table.tHead.rows[0].cells[column];
  const descending = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  const keys = new Map(rows.map((row) => [row, cellKey(row, column)]));
  rows.sort((one, other) => compareKeys(keys.get(one), keys.get(other), descending ? -1 : 1));
  table.tBodies[0].append(...rows);
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = element("button", { type: "button" }, ...heading.childNodes);
    button.addEventListener("click", () => sortBy(table, column));
    heading.append(button);
  });
}

// Each word has to be the beginning of one of a row's cells.
function showOnly(words) {
  for (const row of document.querySelectorAll("table.sortable tbody tr")) {
    const cells = [...row.cells].map((cell) => cell.textContent.toLowerCase());
    row.hidden = !words.every((word) => cells.some((cell) => cell.startsWith(word)));
  }
}

at("only").addEventListener("input", () => showOnly(at("only").value.toLowerCase().match(/\S+/g) ?? []));
document.querySelectorAll("table.sortable").forEach(makeSortable);
