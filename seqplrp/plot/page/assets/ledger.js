// Where the relevance went, from the score down to the bases: a waterfall over the layers.
class Ledger {
  constructor(host) {
    this.host = host;
    this.sequence = null;
    this.mean = false;
    this.kept = DATA.tracks.map((track, t) => t).filter((t) => DATA.tracks[t].accounts);
    this.track = this.kept[0];
    this.label = 0;
    this.asked = 0;
    this.build();
  }

  build() {
    const heading = el("h2", {}, "Where the relevance went");
    if (!this.kept.length) {
      this.host.replaceChildren(heading, el("p", { class: "note" }, "No ledger: this run kept none (gradients and peers have none), or its ledger.tsv is not there. `seqplrp export DIR --to tsv` writes it of the run's parts."));
      return;
    }
    this.tracks = el("select", { class: "kept", "aria-label": "Method", hidden: this.kept.length < 2, onchange: () => { this.track = Number(this.tracks.value); this.label = 0; this.fillLabels(); this.draw(); } },
      ...this.kept.map((t) => el("option", { value: String(t) }, shown(DATA.tracks[t].title))));
    this.labels = el("select", { class: "kept", "aria-label": "Strand or model", onchange: () => { this.label = Number(this.labels.value); this.draw(); } });
    this.means = el("button", { type: "button", "aria-pressed": "false", onclick: () => { this.mean = !this.mean; this.means.setAttribute("aria-pressed", String(this.mean)); this.draw(); } }, "Mean of all sequences");
    this.words = el("p", { class: "note" });
    this.body = el("tbody");
    this.head = el("tr", {}, ...["step", "rule", "", "relevance", "bias", "stabiliser", "other", "pruned"].map((text, i) => el("th", { scope: "col", class: i > 2 ? "number" : null }, text)));
    this.host.replaceChildren(el("div", { class: "bar" }, heading, el("span", { class: "right" }), this.tracks, this.labels, this.means),
      this.words, el("div", { class: "scroll", tabIndex: 0, "aria-label": "The ledger, layer by layer" }, el("table", {}, el("thead", {}, this.head), this.body)), key());
    this.fillLabels();
  }

  fillLabels() {
    const { labels } = DATA.tracks[this.track].accounts;
    this.labels.replaceChildren(...labels.map((text, i) => el("option", { value: String(i) }, shown(text))));
    this.labels.hidden = labels.length < 2;
  }

  show(number) {
    this.sequence = number;
    if (this.kept.length) this.draw();
  }

  async draw() {
    const asked = ++this.asked;
    const accounts = DATA.tracks[this.track].accounts;
    let found = null;
    if (this.mean) {
      const count = {};
      for (const row of accounts.which) if (row[this.label] >= 0) count[row[this.label]] = (count[row[this.label]] || 0) + 1;
      const pattern = Object.keys(count).map(Number).sort((p, q) => count[q] - count[p])[0];
      if (pattern !== undefined) found = { pattern, values: accounts.patterns[pattern].mean, of: count[pattern] };
    } else found = await account(this.track, this.sequence, this.label);
    if (asked !== this.asked) return;
    if (!found) { this.body.replaceChildren(); this.words.textContent = "There is no ledger of this sequence by this method."; return; }
    this.fill(accounts.patterns[found.pattern], found);
  }

  fill(pattern, { values, of }) {
    const steps = pattern.steps.map(([layer, op, rule]) => ({ layer, op, rule }));
    pattern.cells.forEach(([step, column], i) => { if (Number.isFinite(values[i])) steps[step][DATA.accountColumns[column]] = values[i]; });
    const score = steps[0].relevance_out ?? 0;
    const levels = steps.flatMap((step) => [step.relevance_out ?? 0, step.relevance_in ?? 0]);
    const span = [Math.min(0, ...levels), Math.max(0, ...levels)];
    const end = steps.at(-1).relevance_in ?? 0;
    const rows = [whole("score", score, span), ...steps.map((step) => rowOf(step, span)), whole("the bases", end, span)];
    this.body.replaceChildren(...rows);
    this.words.textContent = told(steps, score, end, of);
  }
}

function told(steps, score, end, of) {
  const total = (key) => steps.reduce((sum, step) => sum + (step[key] ?? 0), 0);
  const bias = total("bias"), stabiliser = total("stabiliser"), fixed = total("fixed_inputs");
  const pruned = steps.filter((step) => step.pruned !== undefined);
  const share = pruned.length ? pruned.reduce((sum, step) => sum + step.pruned / Math.max(step.size || 0, 1e-30), 0) / pruned.length : 0;
  const text = [`${of ? `On average over ${several(of, "sequence")}, the` : "The"} score of ${figure(score)} went down through ${several(steps.length, "step")}, and ${figure(end)} arrived at the bases.`];
  text.push(`Biases account for ${signed(bias, 3) || "0"}${fixed ? `, further inputs, held fixed, for ${signed(fixed, 3)}` : ""}, stabilisers for ${figure(stabiliser, 2)} of the score.`);
  if (pruned.length) text.push(`Pruning set aside ${figure(100 * share, 3)} % of |relevance| at ${pruned.length === 1 ? "one layer" : `each of ${pruned.length} layers, on average`}, and gave it to what was kept.`);
  if (steps.some((step) => /^Relative/.test(step.rule))) text.push("The relative rule does not claim that sums are kept.");
  return text.join(" ");
}

function rowOf(step, span) {
  const from = step.relevance_out ?? 0, to = step.relevance_in ?? 0;
  const other = (step.fixed_inputs ?? 0) + (step.residue ?? 0) + (step.unexplained ?? 0);
  const parts = [["bias", step.bias ?? 0], ["stabiliser", step.stabiliser ?? 0], ["fixed", step.fixed_inputs ?? 0], ["rest", from - to - (step.bias ?? 0) - (step.stabiliser ?? 0) - (step.fixed_inputs ?? 0)]];
  const cut = step.pruned === undefined ? "" : `${figure((100 * step.pruned) / Math.max(step.size || 0, 1e-30), 3)} %, kept ${figure(100 * (step.kept_share ?? NaN), 3)} % of units, \u00D7 ${figure(step.lambda ?? NaN, 3)}`;
  const layer = shown(step.layer) || "\u2013";
  return el("tr", {},
    el("td", { class: "step", title: `${layer} ${shown(step.op)}` }, el("bdi", {}, `${layer} `), el("span", { class: "count" }, shown(step.op))),
    el("td", { title: shown(step.rule) }, shown(step.rule).replace(/, eps=[^,)]*/, "")),
    el("td", { class: "bars" }, waterfall(from, parts, span)),
    ...[figure(to), signed(step.bias ?? NaN, 3), figure(step.stabiliser ?? NaN, 2), figure(other || NaN, 2), cut].map((text) => el("td", { class: "number" }, text)));
}

function whole(text, value, span) {
  const bar = frame(span);
  bar.append(rect(place(0, span), place(value, span), "whole"));
  return el("tr", { class: "end" }, el("td", { class: "step" }, text), el("td"), el("td", { class: "bars" }, bar), el("td", { class: "number" }, figure(value)), ...[0, 1, 2, 3].map(() => el("td")));
}

const place = (value, [low, high]) => (100 * (value - low)) / Math.max(high - low, 1e-30);

function frame(span) {
  const made = svg("svg", { viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true" });
  const zero = place(0, span);
  made.append(svg("line", { x1: zero, x2: zero, y1: 0, y2: 20, class: "zero", "vector-effect": "non-scaling-stroke" }));
  return made;
}

const rect = (from, to, kind) => svg("rect", { x: Math.min(from, to), width: Math.max(Math.abs(to - from), 0.15), y: 3, height: 14, class: kind });

/** From what arrives at a layer to what leaves it: a piece for each that took of it, or added. */
function waterfall(from, parts, span) {
  const made = frame(span);
  let at = from;
  const start = place(from, span);
  made.append(svg("line", { x1: start, x2: start, y1: -4, y2: 20, class: "link", "vector-effect": "non-scaling-stroke" }));
  for (const [kind, amount] of parts) {
    if (!amount || Math.abs(amount) < 1e-6 * (span[1] - span[0])) continue;
    made.append(rect(place(at, span), place(at - amount, span), kind));
    at -= amount;
  }
  return made;
}

function key() {
  const item = (kind, text) => el("span", {}, el("span", { class: `swatch ${kind}` }), text);
  return el("div", { class: "legend" }, item("whole", "relevance"), item("bias", "bias"), item("stabiliser", "stabiliser"), item("fixed", "further inputs"), item("rest", "rounding, or what a rule does not keep"));
}
