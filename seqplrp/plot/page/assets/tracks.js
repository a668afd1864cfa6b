// The page of explained sequences: what its parts have to do with each other.
function strip() {
  return {
    key: "at-a-glance", label: DATA.tracks.length > 1 ? "at a glance, track 1" : "at a glance", number: false, width: 190,
    note: "Relevance along the sequence: the strongest value of each of 64 stretches, on a scale of its own", values: [],
    paint(canvas, row) {
      const context = prepared(canvas, 170, 22);
      canvas.style.width = "170px";
      drawProfile(context, DATA.tracks[0].profile.subarray(row * DATA.bins, (row + 1) * DATA.bins), 170, 21, colour("--accent"), colour("--against"));
    },
  };
}

function filters() {
  const search = el("input", { type: "search", class: "grow", id: "search", placeholder: "Filter: a name, a motif, score>2, class=GATA1, chr1:1,000-2,000 \u2026", "aria-label": "Filter sequences", autocomplete: "off", spellcheck: false });
  const count = el("span", { class: "count", id: "count", role: "status" });
  const choices = DATA.columns.filter((column) => !column.number && ["class", "status"].includes(column.key)).map((column) => chooser(column.label, [...new Set(column.values)].filter(Boolean).sort(), (value) => (row) => column.values[row] === value));
  const motifs = tally();
  if (motifs.length > 1) choices.push(chooser("motif", motifs.map(([text]) => text), (value) => (row) => DATA.marks[row].some((mark) => DATA.names[mark[3]] === value), new Map(motifs)));
  const apply = () => {
    const { keeps, problem } = readFilter(search.value, DATA.columns);
    search.classList.toggle("bad", Boolean(problem));
    search.title = problem || "";
    const tests = [keeps, ...choices.map((choice) => choice.test())].filter(Boolean);
    grid.filter(tests.length ? (row) => tests.every((test) => test(row)) : null);
    count.textContent = problem || `${grouped(grid.order.length)} of ${several(DATA.ids.length, "sequence")}`;
  };
  search.addEventListener("input", apply);
  search.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === "ArrowDown") { event.preventDefault(); grid.scroll.focus(); if (!grid.order.includes(grid.selected)) grid.step(0); } });
  for (const choice of choices) choice.select.addEventListener("change", apply);
  byId("filters").append(el("h2", {}, "Sequences"), search, ...choices.map((choice) => choice.select), count,
    el("button", { type: "button", class: "right", title: "Save the rows of this filter as a table", onclick: () => save("sequences.tsv", new Blob([grid.asText()], { type: "text/tab-separated-values" })) }, "Save table"));
  apply();
  return search;
}

/** A choice of one value, of which nothing stands for all. */
function chooser(label, values, test, counts = null) {
  const select = el("select", { "aria-label": label, hidden: values.length < 2 }, el("option", { value: "" }, `any ${label}`),
    ...values.map((value, i) => el("option", { value: String(i) }, shown(value) + (counts ? ` (${grouped(counts.get(value))})` : ""))));
  return { select, test: () => (select.value === "" ? null : test(values[Number(select.value)])) };
}

/** Names of marks, and on how many sequences they are. */
function tally() {
  const found = new Map();
  for (const marks of DATA.marks) {
    const named = new Set(marks.filter((mark) => DATA.lanes[mark[0]].style !== "seqlet").map((mark) => DATA.names[mark[3]]));
    for (const one of named) found.set(one, (found.get(one) || 0) + 1);
  }
  return [...found].sort((one, other) => other[1] - one[1]).slice(0, 200);
}

const KEYS = [
  ["/", "go to the filter"], ["n  p", "next, previous sequence"], ["\u2191 \u2193", "in the table: one row further; Enter goes to the track"],
  ["\u2190 \u2192", "in the track: one base further (with Shift, ten)"], ["+  \u2212", "zoom in, out"], ["0", "the whole sequence"], ["m", "the strongest place"],
  ["h", "hypothetical contributions"], ["Esc", "leave the base"], ["d", "light or dark"], ["?", "these keys"],
];
function help() {
  const dialog = byId("keys");
  dialog.replaceChildren(el("h2", {}, "Keys"), el("dl", { class: "pairs" }, ...KEYS.flatMap(([keys, text]) => [el("dt", {}, ...keys.split("  ").flatMap((key, i) => [i ? " " : "", el("kbd", {}, key)])), el("dd", {}, text)])),
    el("form", { method: "dialog" }, el("button", {}, "Close")));
  const open = () => { if (!dialog.open) dialog.showModal(); };
  byId("help").addEventListener("click", open);
  return open;
}

function keys(openHelp, search) {
  const acts = {
    "/": () => search.focus(), n: () => grid.step(1), p: () => grid.step(-1), h: () => view.setHypothetical(!view.hypothetical),
    "+": () => view.zoom(1 / 1.6), "=": () => view.zoom(1 / 1.6), "-": () => view.zoom(1.6), 0: () => view.fit(), m: () => view.toPeak(), d: nextTheme, "?": openHelp,
  };
  document.addEventListener("keydown", (event) => {
    if (typing(event) || event.ctrlKey || event.metaKey || event.altKey || byId("keys").open || !(event.key in acts)) return;
    event.preventDefault();
    acts[event.key]();
  });
}

/** Which sequence, and which stretch, the address asks for: #seq=ID&from=10&to=60. */
function askedFor() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const name = asked.get("seq");
  const whole = (key) => (/^\d{1,9}$/.test(asked.get(key) ?? "") ? Number(asked.get(key)) : null);
  const from = whole("from"), to = whole("to");
  return { name, number: DATA.ids.indexOf(name ?? ""), stretch: from !== null && to !== null && from < to ? { from, to } : {} };
}

let addressTimer = 0, address = location.hash;
/** Have the address say what is shown, once the view has come to rest: browsers allow but so many changes a second. */
function addressLater() {
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => {
    if (location.hash !== address) return; // another was asked for just now, and its event is under way
    const { number, length } = view.current, from = Math.round(view.a), to = Math.max(from + 1, Math.round(view.b));
    writeAddress("#seq=" + encodeURIComponent(DATA.ids[number]) + (from > 0 || to < length ? `&from=${from}&to=${to}` : ""));
  }, 250);
}
function writeAddress(hash) {
  if (hash !== location.hash) try { history.replaceState(null, "", hash); } catch { /* some viewers have no address */ }
  address = location.hash;
}

checks();
about("Relevance is kept in steps of 1/32,767 of each sequence's largest |relevance|: every figure here is off by at most 1/65,534 of it, and what is 0 is exactly 0."
  + (DATA.tracks.some((track) => track.steps.coarse) ? " Hypothetical contributions of the bases that are not there are kept in steps of 1/127 of the sequence's largest: off by at most 0.4 % of it." : "")
  + " The files of the run have all digits. The page holds all it needs and loads nothing from anywhere.");
const view = new View(byId("viewer"), { step: (by) => grid.step(by), moved: () => addressLater() });
const ledger = new Ledger(byId("ledger"));
let stretch = {}, notice = ""; // for the sequence that is shown next
const grid = new Grid(byId("table"), [DATA.columns[0], strip(), ...DATA.columns.slice(1)], DATA.ids.length, {
  label: "Sequences",
  chosen(row) {
    view.notice = notice;
    notice = "";
    view.show(row, stretch.from, stretch.to).then(() => requestAnimationFrame(() => { document.documentElement.dataset.ready = String(row); })); // after what is drawn in that frame
    stretch = {};
    ledger.show(row);
    clearTimeout(addressTimer); // of the sequence before
    writeAddress("#seq=" + encodeURIComponent(DATA.ids[row]));
  },
  opened() { view.canvas.focus(); },
});
keys(help(), filters());

/** Show what the address asks for; where it names no sequence of the page, what is shown stays, or the first is. */
function goTo({ name, number, stretch: wanted }) {
  if (number < 0 && name !== null) notice = `No sequence of this page is called ${shown(name)}.`;
  if (number < 0 && grid.selected >= 0) {
    if (notice) { view.cursor = null; view.notice = notice; notice = ""; view.tell(); view.later(); }
    return;
  }
  stretch = wanted;
  grid.select(Math.max(0, number));
}
window.addEventListener("hashchange", () => { clearTimeout(addressTimer); address = location.hash; goTo(askedFor()); });
goTo(askedFor());

// What tests and the curious may ask.
window.seqplrp = {
  ids: DATA.ids,
  view,
  grid,
  get state() {
    return { sequence: view.current && DATA.ids[view.current.number], from: view.a, to: view.b, cursor: view.cursor, hypothetical: view.hypothetical, rows: grid.order.map((row) => DATA.ids[row]), sort: { ...grid.sort }, dark: isDark() };
  },
  at: (position) => view.linesAt(position),
  layout: () => {
    view.draw(); // what was asked for last may wait for its frame
    return view.plan.tracks.map(({ t, top, height, range, ticks }) => ({ track: t, top, height, range, ticks }));
  },
  lanes: () => view.lanes().map((lane) => lane.rows),
};
