// Tables that stand in the page: sorted by a click on a header, narrowed by a word.
const NUMBER = /^[\s*<>=~]*([+\-\u2212]?\d[\d,]*(?:\.\d+)?(?:e[+\-\u2212]?\d+)?|[+\-\u2212]?\.\d+)/i;
const AFTER = /^\s*(\[[^\]]*\])?\s*(%|s|ms|min|h|x|\u00D7)?\s*\*?$/;

/** The number that a cell begins with, or NaN: 0.861 [0.837, 0.883] is 0.861. */
function numberIn(text) {
  const found = NUMBER.exec(text);
  if (!found) return NaN;
  const value = Number(found[1].replaceAll(",", "").replaceAll("\u2212", "-"));
  return text.trim().startsWith("<") ? value * 0.999 : value;
}

/** Whether a cell is a number, with its interval and unit at most: a count of something is text. */
function isNumber(text) {
  const found = NUMBER.exec(text);
  return found !== null && AFTER.test(text.slice(found[0].length));
}

function sortable(scroll) {
  const table = scroll.querySelector("table"), body = table.tBodies[0], first = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const texts = first.map((row) => row.cells[column]?.textContent ?? "");
    const filled = texts.filter((text) => text.trim() !== "");
    const numeric = filled.length > 0 && filled.filter(isNumber).length >= 0.8 * filled.length && column > 0;
    const button = el("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    if (numeric) { head.classList.add("number"); for (const row of first) row.cells[column]?.classList.add("number"); }
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const next = before === null ? (numeric ? "descending" : "ascending") : before === "descending" ? (numeric ? "ascending" : null) : numeric ? null : "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      if (next) head.setAttribute("aria-sort", next);
      body.append(...(next ? arranged(first, column, numeric, next === "descending" ? -1 : 1) : first));
    });
  });
  if (first.length > 14) narrowed(scroll, first);
}

function arranged(rows, column, numeric, turn) {
  const text = (row) => row.cells[column]?.textContent.trim() ?? "";
  const collator = new Intl.Collator("en", { numeric: true });
  return [...rows].sort((one, other) => {
    const a = text(one), b = text(other);
    if (!a || !b) return !a - !b;
    if (!numeric) return turn * collator.compare(a, b);
    const p = numberIn(a), q = numberIn(b);
    if (Number.isNaN(p) || Number.isNaN(q)) return Number.isNaN(p) - Number.isNaN(q);
    return turn * (p - q);
  });
}

function narrowed(scroll, rows) {
  const input = el("input", { type: "search", class: "narrow", placeholder: `Narrow ${several(rows.length, "row")}\u2026`, "aria-label": "Narrow the rows of this table" });
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  });
  scroll.before(input);
}
