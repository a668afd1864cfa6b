// A table of any number of rows: only those in view are in the page.
const ROW = 27;
const OVERSCAN = 8;
const MOST_PRINTED = 100; // of thousands of rows a print would be mostly table

/** Row numbers in the order of a column's values; what has none comes last either way. */
function sorted(order, column, descending) {
  const values = column.values;
  const turn = descending ? -1 : 1;
  const compare = column.number ? (a, b) => values[a] - values[b] : (() => {
    const collator = new Intl.Collator("en", { numeric: true });
    return (a, b) => collator.compare(values[a], values[b]);
  })();
  const lacks = (row) => values[row] === null || values[row] === "";
  return order.sort((a, b) => {
    if (lacks(a) || lacks(b)) return lacks(a) - lacks(b) || a - b;
    return turn * compare(a, b) || a - b;
  });
}

class Grid {
  /**
   * host: where it goes; columns: {key, label, note, number, values, paint?(canvas, row), width?};
   * chosen(row): called when a row is selected; opened(): when Enter is pressed on it.
   */
  constructor(host, columns, rows, { label, chosen, opened }) {
    Object.assign(this, { host, columns, rows, chosen, opened });
    this.order = Array.from({ length: rows }, (_, row) => row);
    this.sort = { key: null, descending: false };
    this.selected = -1;
    this.keeps = null;
    this.head = el("tr", { role: "row" });
    this.body = el("tbody");
    this.table = el("table", { role: "grid", "aria-label": label, "aria-colcount": String(columns.length) }, el("thead", {}, this.head), this.body);
    this.scroll = el("div", { class: "scroll", tabIndex: 0, "aria-label": label }, this.table);
    this.nothing = el("p", { class: "empty", hidden: true }, "No sequence fits this filter.");
    this.left = el("p", { class: "note", hidden: true });
    host.replaceChildren(this.scroll, this.nothing, this.left);
    if (rows < 7) this.scroll.style.height = (rows + 2) * ROW + "px"; // no more room than rows need
    this.makeHead();
    this.scroll.addEventListener("scroll", () => this.later());
    this.scroll.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.later()).observe(this.scroll);
    repaints.push((now) => (now ? this.draw() : this.later()));
    this.later();
  }

  makeHead() {
    const group = el("colgroup");
    let whole = 0;
    for (const column of this.columns) {
      const col = el("col");
      const width = column.width || this.widthOf(column);
      col.style.width = width + "px";
      whole += width;
      group.append(col);
      const cell = el("th", { scope: "col", class: column.number ? "number" : null, title: column.note || null });
      if (column.paint) cell.append(el("button", { type: "button", disabled: true }, column.label));
      else cell.append(el("button", { type: "button", onclick: () => this.sortBy(column.key) }, column.label));
      column.head = cell;
      this.head.append(cell);
    }
    this.table.prepend(group);
    this.table.style.width = whole + "px"; // without a width of its own a table is as wide as its longest name
  }

  widthOf(column) {
    let longest = column.label.length + 3;
    const step = Math.max(1, Math.floor(this.rows / 200));
    for (let row = 0; row < this.rows; row += step) longest = Math.max(longest, this.text(column, row).length);
    return Math.min(320, Math.max(70, 26 + 7.4 * longest));
  }

  text(column, row) {
    return column.number ? figure(column.values[row]) : shown(column.values[row]);
  }

  sortBy(key, descending = null) {
    const column = this.columns.find((one) => one.key === key);
    const first = Boolean(column.number); // of numbers the highest are looked for
    if (descending === null) descending = this.sort.key === key ? !this.sort.descending : first;
    this.sort = { key, descending };
    for (const one of this.columns) one.head.removeAttribute("aria-sort");
    column.head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    this.arrange();
    this.scroll.scrollTop = 0;
  }

  filter(keeps) {
    this.keeps = keeps;
    this.arrange();
  }

  arrange() {
    const all = Array.from({ length: this.rows }, (_, row) => row);
    this.order = this.keeps ? all.filter(this.keeps) : all;
    const column = this.columns.find((one) => one.key === this.sort.key);
    if (column) sorted(this.order, column, this.sort.descending);
    this.nothing.hidden = this.order.length > 0;
    this.scroll.hidden = this.order.length === 0;
    this.later();
  }

  select(row, { reveal = true, tell = true } = {}) {
    this.selected = row;
    const at = this.order.indexOf(row);
    if (reveal && at >= 0) {
      const top = at * ROW, headroom = this.head.offsetHeight || ROW;
      const height = this.scroll.clientHeight - headroom;
      if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
      else if (top + ROW > this.scroll.scrollTop + height) this.scroll.scrollTop = top + ROW - height;
    }
    this.later();
    if (tell) this.chosen(row);
  }

  /** Select the row so many places further; from outside of the filter, the first. */
  step(by) {
    if (!this.order.length) return;
    const at = this.order.indexOf(this.selected);
    const next = at < 0 ? 0 : Math.max(0, Math.min(this.order.length - 1, at + by));
    this.select(this.order[next]);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.scroll.clientHeight / ROW) - 2);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.rows, End: this.rows };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) { event.preventDefault(); this.step(moves[event.key]); }
    else if (event.key === "Enter" && event.target === this.scroll) { event.preventDefault(); this.opened(); }
  }

  later() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.draw(); });
  }

  draw() {
    const [first, last] = this.span();
    const rows = [];
    for (let at = first; at < last; at++) rows.push(this.rowOf(this.order[at], at));
    this.body.replaceChildren(...(printing ? rows : [this.space(first), ...rows, this.space(this.order.length - last)]));
    this.left.hidden = !printing || last === this.order.length;
    this.left.textContent = `and ${grouped(this.order.length - last)} more, which are not printed: "Save table" has all`;
    this.table.setAttribute("aria-rowcount", String(this.order.length + 1));
    for (const painted of this.body.querySelectorAll("canvas")) painted.paint();
  }

  /** The rows that are in the page: those in view; in a print the first, as paper can't be scrolled. */
  span() {
    if (printing) return [0, Math.min(this.order.length, MOST_PRINTED)];
    const top = Math.floor(this.scroll.scrollTop / ROW), bottom = Math.ceil((this.scroll.scrollTop + this.scroll.clientHeight) / ROW);
    return [Math.max(0, top - OVERSCAN), Math.min(this.order.length, bottom + OVERSCAN)];
  }

  space(rows) {
    const cell = el("td", { colSpan: this.columns.length });
    cell.style.height = rows * ROW + "px";
    return el("tr", { class: "space", "aria-hidden": "true" }, cell);
  }

  rowOf(row, at) {
    const made = el("tr", {
      role: "row", "aria-rowindex": String(at + 2), "aria-selected": String(row === this.selected),
      onclick: () => this.select(row, { reveal: false }), ondblclick: () => this.opened(),
    });
    for (const column of this.columns) {
      const cell = el("td", { class: column.number ? "number" : null, role: "gridcell" });
      if (column.paint) {
        const canvas = el("canvas");
        canvas.paint = () => column.paint(canvas, row);
        cell.append(canvas);
      } else if (column.number) cell.textContent = this.text(column, row);
      else {
        const text = this.text(column, row);
        cell.append(el("bdi", {}, text));
        cell.title = text;
      }
      made.append(cell);
    }
    return made;
  }

  /** The rows in view of the filter as tab-divided text. */
  asText() {
    const columns = this.columns.filter((column) => !column.paint);
    const lines = [columns.map((column) => column.key)];
    for (const row of this.order) lines.push(columns.map((column) => column.values[row] ?? ""));
    return lines.map((line) => line.map((cell) => String(cell).replace(/[\t\r\n]/g, " ")).join("\t")).join("\n") + "\n";
  }
}
