// All means of a benchmark: choose a place and a measure, see every method beside the others.
const KEYS = ["group", "task", "architecture", "measure"];

class Explorer {
  constructor(host, data) {
    Object.assign(this, { host, data, sort: { key: "mean", turn: null } });
    this.selects = Object.fromEntries(KEYS.map((key) => [key, el("select", { "aria-label": key, onchange: () => this.fill(key) })]));
    this.word = el("input", { type: "search", placeholder: "Methods\u2026", "aria-label": "Only methods with this in their name", oninput: () => this.draw() });
    this.body = el("tbody");
    this.head = el("tr");
    this.words = el("p", { class: "note" });
    host.replaceChildren(el("h2", {}, "Explorer"), el("div", { class: "bar" }, ...KEYS.map((key) => this.selects[key]), this.word), this.words,
      el("div", { class: "scroll", tabIndex: 0, "aria-label": "Methods" }, el("table", {}, el("thead", {}, this.head), this.body)));
    this.fill(null);
  }

  /** The rows that the choices before a key leave, and for it and those after it what there is to choose. */
  fill(changed) {
    const { names, codes, first } = this.data;
    let rows = codes.method.map((_, row) => row);
    for (const key of KEYS) {
      const select = this.selects[key];
      const there = new Set(rows.map((row) => codes[key][row]));
      const chosen = select.value === "" ? -1 : Number(select.value);
      const order = [...there].sort((a, b) => a - b);
      const wanted = there.has(chosen) ? chosen : key === "measure" && there.has(names.measure.indexOf(first)) ? names.measure.indexOf(first) : order[0];
      select.replaceChildren(...order.map((code) => el("option", { value: String(code), selected: code === wanted }, this.called(key, code))));
      select.hidden = order.length < 2;
      rows = rows.filter((row) => codes[key][row] === wanted);
    }
    this.rows = rows;
    if (changed === "measure" || changed === null) this.sort = { key: "mean", turn: null };
    this.draw();
  }

  called(key, code) {
    const text = this.data.names[key][code];
    if (key === "measure") return shown(this.data.labels[text] || text);
    return shown({ group: `${text} tasks`, task: text === "all" ? "all tasks" : text, architecture: text === "all" ? "all architectures" : text }[key]);
  }

  get columns() {
    const { numbers } = this.data;
    const filled = (key) => numbers[key] && this.rows.some((row) => numbers[key][row] !== null);
    return [["method", "method"], ["range", ""], ["mean", "mean"], ["low", "95 % from"], ["high", "to"], ["n", "n"], ["cost_ratio", "\u00D7 gradient"], ["tested", "tested"], ["difference", this.tested().length === 1 ? `lead of ${this.tested()[0]}` : "its lead"],
      ["p_holm", "p"], ["p_models_holm", "p, models"], ["verdict", "verdict"]].filter(([key]) => key === "method" || key === "range" || (key === "verdict" ? this.tested().length > 0 : key === "tested" ? this.tested().length > 1 : filled(key)));
  }

  /** The methods that are tested against others here. */
  tested() {
    const { names, codes } = this.data;
    if (!names.tested) return [];
    return [...new Set(this.rows.map((row) => names.tested[codes.tested[row]]))].filter(Boolean).map(shown);
  }

  draw() {
    const { names, codes, numbers, better, strong } = this.data;
    const measure = names.measure[Number(this.selects.measure.value)], direction = better[measure] || "unknown";
    const text = (key, row) => names[key]?.[codes[key]?.[row]] ?? "";
    const words = this.word.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = this.rows.filter((row) => words.every((word) => text("method", row).toLowerCase().includes(word)));
    const turn = this.sort.turn ?? (direction === "lower" ? 1 : -1), { key } = this.sort;
    rows.sort((a, b) => {
      if (!numbers[key]) return turn * text(key, a).localeCompare(text(key, b), "en", { numeric: true });
      const p = numbers[key][a], q = numbers[key][b];
      return p === null || q === null ? (p === null) - (q === null) : turn * (p - q);
    });
    this.drawHead(turn);
    const ends = this.rows.flatMap((row) => ["low", "high", "mean"].map((one) => numbers[one]?.[row])).filter(Number.isFinite);
    const span = [Math.min(...ends), Math.max(...ends)];
    this.words.textContent = `${this.called("measure", names.measure.indexOf(measure))}: ${{ higher: "higher is better", lower: "lower is better", neither: "neither way is better", unknown: "which way is better is not known here" }[direction]}. ${several(rows.length, "method")}; means with 95 % intervals.`
      + (this.tested().length ? ` Tests: ${this.tested().join(" and ")} against others, after Holm's correction.` : "");
    this.body.replaceChildren(...rows.map((row) => this.rowOf(row, span, text, text("method", row) === strong)));
  }

  drawHead(turn) {
    this.head.replaceChildren(...this.columns.map(([key, label]) => {
      const head = el("th", { scope: "col", class: this.data.numbers[key] ? "number" : null });
      if (key === "range") return head;
      if (key === this.sort.key) head.setAttribute("aria-sort", turn < 0 ? "descending" : "ascending");
      head.append(el("button", { type: "button", onclick: () => { this.sort = { key, turn: this.sort.key === key ? -turn : this.data.numbers[key] ? -1 : 1 }; this.draw(); } }, label));
      return head;
    }));
  }

  rowOf(row, span, text, isStrong) {
    const { numbers } = this.data;
    return el("tr", { class: isStrong ? "strong" : null }, ...this.columns.map(([key]) => {
      if (key === "method") return el("td", { title: shown(text("method", row)) }, name(text("method", row)));
      if (key === "tested") return el("td", {}, name(text("tested", row)));
      if (key === "verdict") { const verdict = text("verdict", row); return el("td", { class: `verdict ${verdict.split(" ")[0] === "better" ? "better" : verdict.split(" ")[0] === "worse" ? "worse" : ""}` }, shown(verdict)); }
      if (key === "range") return el("td", { class: "range" }, this.picture(row, span));
      const value = numbers[key][row];
      return el("td", { class: "number" }, key === "difference" ? signed(value ?? NaN, 3) : figure(value, key.startsWith("p_") ? 2 : 4));
    }));
  }

  picture(row, [low, high]) {
    const { numbers } = this.data, place = (value) => (100 * (value - low)) / Math.max(high - low, 1e-30);
    const made = svg("svg", { viewBox: "0 0 100 18", preserveAspectRatio: "none", "aria-hidden": "true" });
    if (low <= 0 && high >= 0) made.append(svg("line", { x1: place(0), x2: place(0), y1: 0, y2: 18, class: "grid", "vector-effect": "non-scaling-stroke" }));
    const [mean, a, b] = ["mean", "low", "high"].map((key) => numbers[key]?.[row]);
    if (Number.isFinite(a) && Number.isFinite(b)) made.append(svg("line", { x1: place(a), x2: place(b), y1: 9, y2: 9, class: "span", "vector-effect": "non-scaling-stroke" }));
    if (Number.isFinite(mean)) made.append(svg("rect", { x: place(mean) - 0.35, width: 0.7, y: 4, height: 10, class: "dot" }));
    return made;
  }
}
