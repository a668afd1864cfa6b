// The selected sequence: its tracks, one under the other, to zoom and to move through.
const LEFT = 70, RIGHT = 10, OVERVIEW = 30, RULER = 20, TITLE = 19, GAP = 8, LANE_ROW = 17, LANE_GAP = 5;
const SHORTEST = 8; // bases in view at least
const PAPER = 900; // pixels: what is wider is scaled down in a print until its words can't be read

class View {
  constructor(host, { step, moved }) {
    this.host = host;
    this.moved = moved; // called whenever another stretch is in view
    this.current = null;
    this.a = 0; // what is in view: from a to b, in bases, with fractions
    this.b = 1;
    this.cursor = null;
    this.notice = ""; // what is told while no base is chosen
    this.hypothetical = false;
    this.scale = "track";
    this.hiddenTracks = new Set();
    this.asked = 0;
    this.pointers = new Map();
    this.build(step);
    this.listen();
    new ResizeObserver(() => this.later()).observe(this.stage);
    repaints.push((now) => (now ? this.current && this.draw() : this.later()));
  }

  build(step) {
    const button = (text, title, act) => el("button", { type: "button", title, onclick: act }, text);
    this.title = el("h2");
    this.facts = el("span", { class: "facts" });
    this.canvas = el("canvas", { tabIndex: 0, role: "application", "aria-describedby": "readout" });
    this.readout = el("output", { class: "readout", id: "readout", "aria-live": "polite" });
    this.stage = el("div", { class: "stage" }, this.canvas);
    this.toggle = el("button", { type: "button", "aria-pressed": "false", title: "What each of the four bases would contribute (h)", onclick: () => this.setHypothetical(!this.hypothetical) }, "Hypothetical");
    this.toggle.disabled = !DATA.tracks.some((track) => track.hypotheticalRange);
    if (this.toggle.disabled) this.toggle.title = "No method here has hypothetical contributions, or they were left out";
    const scales = { track: "each track, whole sequence", view: "each track, what is in view", tracks: "one for all tracks", all: "each track, all sequences" };
    this.scales = el("select", { "aria-label": "Scale of the axes", onchange: () => { this.scale = this.scales.value; this.later(); } },
      ...Object.entries(scales).map(([value, text]) => el("option", { value }, `scale: ${text}`)));
    const controls = el("div", { class: "bar" },
      button("\u25C0 Previous", "The sequence before (p)", () => step(-1)), button("Next \u25B6", "The next sequence (n)", () => step(1)),
      button("\u2212", "Zoom out (-)", () => this.zoom(1.6)), button("+", "Zoom in (+)", () => this.zoom(1 / 1.6)),
      button("Whole", "The whole sequence (0)", () => this.fit()), button("Peak", "Zoom to the strongest place (m)", () => this.toPeak()),
      this.toggle, this.scales, button("Save picture", "Save what is drawn as a PNG", () => this.savePicture()));
    this.choice = el("div", { class: "tracks" });
    if (DATA.tracks.length > 1) {
      DATA.tracks.forEach((track, t) => this.choice.append(el("label", { title: shown(track.note) },
        el("input", { type: "checkbox", checked: true, onchange: (event) => this.setTrack(t, event.target.checked) }), name(track.title))));
    }
    this.host.replaceChildren(el("div", { class: "viewhead" }, this.title, this.facts), controls, this.choice, this.stage, this.readout, legend(),
      el("p", { class: "note noprint" }, "Drag to move. Click a track, then turn the wheel to zoom (or hold Ctrl); Shift and drag to zoom to a stretch. With the track in focus, the arrow keys go from base to base. Positions are 0-based."));
  }

  /** Show a sequence; the one that was asked for last wins. */
  async show(number, from = null, to = null) {
    const asked = ++this.asked;
    const found = await sequence(number);
    if (asked !== this.asked) return;
    this.current = found;
    this.cursor = null;
    this.marks = lanesOf(number);
    this.title.replaceChildren(name(DATA.ids[number]));
    this.facts.replaceChildren(...factsOf(number));
    this.canvas.setAttribute("aria-label", `Relevance along ${shown(DATA.ids[number])}, ${found.length} bases`);
    this.see(from ?? 0, to ?? found.length);
    this.tell();
  }

  see(a, b) {
    const length = this.current.length;
    const span = Math.min(length, Math.max(Math.min(SHORTEST, length), b - a));
    this.a = Math.max(0, Math.min(length - span, a + (b - a - span) / 2));
    this.b = this.a + span;
    this.later();
    this.moved();
  }

  fit() { if (this.current) this.see(0, this.current.length); }

  zoom(factor, at = null) {
    if (!this.current) return;
    const centre = at ?? (this.cursor !== null && this.cursor >= this.a && this.cursor < this.b ? this.cursor + 0.5 : (this.a + this.b) / 2);
    const span = Math.min(this.current.length, Math.max(Math.min(SHORTEST, this.current.length), (this.b - this.a) * factor));
    const part = (centre - this.a) / (this.b - this.a);
    this.see(centre - part * span, centre + (1 - part) * span);
  }

  pan(bases) { if (this.current) this.see(this.a + bases, this.b + bases); }

  toPeak() {
    const track = this.tracks()[0];
    if (track === undefined) return;
    const { relevance } = this.current.tracks[track];
    let best = 0;
    for (let i = 1; i < relevance.length; i++) if (Math.abs(relevance[i]) > Math.abs(relevance[best])) best = i;
    this.cursor = best;
    this.see(best + 0.5 - 30, best + 0.5 + 30);
    this.tell();
  }

  setHypothetical(on) {
    if (this.toggle.disabled) return;
    this.hypothetical = on;
    this.toggle.setAttribute("aria-pressed", String(on));
    this.later();
  }

  setTrack(t, on) {
    if (on) this.hiddenTracks.delete(t); else this.hiddenTracks.add(t);
    this.later();
  }

  tracks() {
    return DATA.tracks.map((_, t) => t).filter((t) => !this.hiddenTracks.has(t) && this.current.tracks[t]);
  }

  /** The lanes, but those of tracks that are hidden or lack this sequence. */
  lanes() {
    const shown = this.tracks();
    return this.marks.filter((lane) => lane.track === null || shown.includes(lane.track));
  }

  // --- drawing

  later() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; if (this.current) this.draw(); });
  }

  get width() { return Math.min(this.stage.clientWidth, printing ? PAPER : Infinity); }
  get step() { return (this.width - LEFT - RIGHT) / (this.b - this.a); }
  x(position) { return LEFT + (position - this.a) * this.step; }
  position(x) { return this.a + (x - LEFT) / this.step; }

  layout() {
    const shown = this.tracks();
    const each = shown.length > 4 ? 74 : shown.length > 2 ? 92 : 118;
    const onGenome = placed(this.current.number);
    let y = OVERVIEW + GAP + RULER * (onGenome ? 2 : 1) + 4;
    const tracks = shown.map((t) => { const box = { t, title: y, top: y + TITLE, height: each }; y += TITLE + each + GAP; return box; });
    const lanes = this.lanes().map((lane) => { const box = { ...lane, top: y }; y += LANE_ROW * Math.max(1, lane.rows.length) + LANE_GAP; return box; });
    return { tracks, lanes, height: y + 2, onGenome };
  }

  draw() {
    const width = this.width;
    if (width < LEFT + RIGHT + 20) return;
    const plan = this.plan = this.layout();
    const context = this.context = prepared(this.canvas, width, plan.height);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    this.drawOverview(context, width);
    this.drawRuler(context, width, plan);
    const from = Math.max(0, Math.floor(this.a)), to = Math.min(this.current.length, Math.ceil(this.b));
    this.shade(context, plan);
    const ranges = this.ranges(plan.tracks, from, to);
    plan.tracks.forEach((box, i) => this.drawTrack(context, box, ranges[i], from, to));
    for (const lane of plan.lanes) this.drawLane(context, lane, width);
    if (!plan.tracks.length) this.words(context, "No track is chosen.", LEFT, OVERVIEW + 60, "--soft");
    if (this.cursor !== null) this.drawCursor(context, plan);
  }

  words(context, text, x, y, ink, align = "left") {
    context.fillStyle = colour(ink);
    context.textAlign = align;
    context.fillText(text, x, y);
  }

  drawOverview(context, width) {
    const inner = width - LEFT - RIGHT, length = this.current.length, track = this.tracks()[0];
    context.fillStyle = colour("--row");
    context.fillRect(LEFT, 0, inner, OVERVIEW);
    this.words(context, "whole", LEFT - 8, OVERVIEW / 2, "--soft", "right");
    if (track !== undefined) {
      context.save();
      context.translate(LEFT, 2);
      drawProfile(context, this.overview(track, Math.floor(inner)), inner, OVERVIEW - 4, colour("--accent"), colour("--against"));
      context.restore();
    }
    const x0 = LEFT + (this.a / length) * inner, x1 = LEFT + (this.b / length) * inner;
    context.fillStyle = colour("--panel");
    context.globalAlpha = 0.4;
    context.fillRect(LEFT, 0, x0 - LEFT, OVERVIEW);
    context.fillRect(x1, 0, LEFT + inner - x1, OVERVIEW);
    context.globalAlpha = 1;
    context.strokeStyle = colour("--accent");
    context.lineWidth = 1.5;
    context.strokeRect(x0 + 0.75, 0.75, Math.max(x1 - x0 - 1.5, 2), OVERVIEW - 1.5);
  }

  /** The strongest value under each pixel of the overview, kept until the sequence or the width changes. */
  overview(t, bins) {
    const key = `${this.current.number} ${t} ${bins}`;
    if (this.glance?.key !== key) {
      const { relevance } = this.current.tracks[t], length = relevance.length, count = Math.min(bins, length);
      const values = new Float32Array(count);
      for (let i = 0; i < length; i++) {
        const bin = Math.floor((i * count) / length);
        if (Math.abs(relevance[i]) > Math.abs(values[bin])) values[bin] = relevance[i];
      }
      let top = 0;
      for (const value of values) top = Math.max(top, Math.abs(value));
      if (top) for (let i = 0; i < count; i++) values[i] *= 127 / top;
      this.glance = { key, values };
    }
    return this.glance.values;
  }

  drawRuler(context, width, plan) {
    const y = OVERVIEW + GAP;
    const step = Math.max(1, niceStep(this.b - this.a, (width - LEFT - RIGHT) / 95));
    this.words(context, "position", LEFT - 8, y + 7, "--soft", "right");
    for (let at = Math.ceil(this.a / step) * step; at < this.b; at += step) this.tick(context, at, grouped(at), y, width);
    if (!plan.onGenome) return;
    const number = this.current.number, turned = DATA.strands[number] === "-";
    const genome = (i) => (turned ? DATA.ends[number] - 1 - i : DATA.starts[number] + i);
    const wide = Math.max(1, niceStep(this.b - this.a, (width - LEFT - RIGHT) / 150));
    const low = Math.min(genome(Math.floor(this.a)), genome(Math.ceil(this.b) - 1)), high = Math.max(genome(Math.floor(this.a)), genome(Math.ceil(this.b) - 1));
    this.words(context, fitted(context, shown(DATA.contigs[number]), LEFT - 12), LEFT - 8, y + RULER + 7, "--soft", "right");
    for (let at = Math.ceil(low / wide) * wide; at <= high; at += wide) {
      this.tick(context, turned ? DATA.ends[number] - 1 - at : at - DATA.starts[number], grouped(at), y + RULER, width);
    }
  }

  tick(context, at, text, y, width) {
    const x = this.x(at + 0.5);
    const half = context.measureText(text).width / 2;
    context.fillStyle = colour("--faint");
    context.fillRect(x - 0.5, y + 14, 1, 4);
    if (x - half > LEFT - 4 && x + half < width) this.words(context, text, x, y + 7, "--soft", "center");
  }

  shade(context, plan) {
    const last = plan.tracks.at(-1);
    if (!last) return;
    const top = plan.tracks[0].top, bottom = last.top + last.height;
    context.fillStyle = colour("--shade");
    for (const lane of this.marks) {
      if (lane.style !== "truth") continue;
      for (const mark of lane.rows.flat()) {
        if (!mark.strong) continue;
        const x0 = Math.max(LEFT, this.x(mark.start)), x1 = Math.min(this.width - RIGHT, this.x(mark.end));
        if (x1 > x0) context.fillRect(x0, top, x1 - x0, bottom - top);
      }
    }
  }

  ranges(boxes, from, to) {
    const wide = (t) => this.hypothetical && this.current.tracks[t].bases;
    const own = (t) => {
      const track = this.current.tracks[t];
      if (this.scale === "all") return wide(t) ? DATA.tracks[t].hypotheticalRange : DATA.tracks[t].range;
      if (this.scale === "view") return wide(t) ? rangeOf(track.bases.map((row) => row.subarray(from, to))) : reach(track.relevance.subarray(from, to), track.spread?.subarray(from, to));
      return wide(t) ? track.wide : track.range;
    };
    let found = boxes.map((box) => own(box.t));
    if (this.scale === "tracks") {
      const both = [Math.min(0, ...found.map((range) => range[0])), Math.max(0, ...found.map((range) => range[1]))];
      found = found.map(() => both);
    }
    return found.map(([low, high]) => (low === high ? [-1, 1] : [low - (low < 0 ? 0.05 * (high - low) : 0), high + (high > 0 ? 0.05 * (high - low) : 0)]));
  }

  drawTrack(context, box, range, from, to) {
    const track = this.current.tracks[box.t], about = DATA.tracks[box.t];
    const lacks = this.hypothetical && !track.bases;
    const title = shown(about.title) + (this.hypothetical ? (lacks ? " (has no hypothetical contributions: relevance)" : ", hypothetical contributions") : "");
    context.save();
    context.font = "600 12px system-ui, sans-serif";
    this.words(context, fitted(context, title, this.width - LEFT - RIGHT), LEFT, box.title + 9, "--ink");
    context.restore();
    context.save();
    context.beginPath();
    context.rect(LEFT, box.top - 1, this.width - LEFT - RIGHT, box.height + 2);
    context.clip();
    const zero = drawTrack(context, track, this.current.codes, { x: (i) => this.x(i), top: box.top, height: box.height, step: this.step }, from, to, range, this.hypothetical);
    context.fillStyle = colour("--faint");
    context.fillRect(LEFT, zero - 0.5, this.width - LEFT - RIGHT, 1);
    context.restore();
    this.drawAxis(context, box, range);
    box.range = range;
    if (track.range[0] === 0 && track.range[1] === 0 && !this.hypothetical) this.words(context, "no relevance here", this.width / 2, box.top + box.height * 0.3, "--soft", "center");
  }

  drawAxis(context, box, [low, high]) {
    const scale = box.height / (high - low);
    const nonzero = (step) => Math.max(Math.floor(high / step), Math.floor(-low / step)) > 0;
    let count = box.height / 30, step = niceStep(high - low, count);
    while (!nonzero(step)) step = niceStep(high - low, (count *= 2)); // a 0 alone is no scale
    box.ticks = [];
    context.fillStyle = colour("--faint");
    context.fillRect(LEFT - 1, box.top, 1, box.height);
    for (let k = Math.ceil(low / step); k * step <= high; k++) {
      const y = box.top + (high - k * step) * scale;
      context.fillStyle = colour("--faint");
      context.fillRect(LEFT - 5, y - 0.5, 4, 1);
      const text = figure(k * step, 3);
      this.words(context, text, LEFT - 8, y, "--soft", "right");
      box.ticks.push(text);
    }
  }

  drawLane(context, lane, width) {
    context.save();
    context.font = "11.5px system-ui, sans-serif";
    this.words(context, fitted(context, lane.short, LEFT - 10), LEFT - 8, lane.top + LANE_ROW / 2, "--soft", "right");
    context.beginPath();
    context.rect(LEFT, lane.top - 1, width - LEFT - RIGHT, LANE_ROW * Math.max(1, lane.rows.length) + 2);
    context.clip();
    if (!lane.rows.length) this.words(context, "none here", LEFT + 4, lane.top + LANE_ROW / 2, "--faint");
    lane.rows.forEach((row, r) => row.forEach((mark, m) => this.drawMark(context, lane, mark, lane.top + r * LANE_ROW + 2, row[m + 1])));
    context.restore();
  }

  drawMark(context, lane, mark, y, next) {
    const x0 = this.x(mark.start), x1 = Math.max(this.x(mark.end), x0 + 2), height = LANE_ROW - 4;
    if (x1 < LEFT || x0 > this.width - RIGHT) return;
    const ink = colour(lane.style === "truth" ? (mark.strong ? "--truth" : "--decoy") : lane.style === "hit" ? "--accent" : mark.strong ? "--seqlet" : "--against");
    context.fillStyle = context.strokeStyle = ink;
    context.lineWidth = 1.3;
    if (mark.strong) context.fillRect(x0, y, x1 - x0, height);
    else {
      context.setLineDash(lane.style === "truth" ? [4, 2] : []);
      context.strokeRect(x0 + 0.65, y + 0.65, Math.max(x1 - x0 - 1.3, 0.7), height - 1.3);
      context.setLineDash([]);
    }
    const text = mark.label, wide = context.measureText(text).width + 6;
    const left = Math.max(x0, LEFT), right = Math.min(x1, this.width - RIGHT);
    context.fillStyle = mark.strong ? colour("--panel") : ink;
    context.textAlign = "center";
    if (wide <= right - left) context.fillText(text, (left + right) / 2, y + height / 2 + 0.5);
    else if (x1 + wide < (next ? this.x(next.start) : this.width - RIGHT)) {
      context.fillStyle = ink;
      context.textAlign = "left";
      context.fillText(text, x1 + 4, y + height / 2 + 0.5);
    }
  }

  drawCursor(context, plan) {
    const x = this.x(this.cursor), last = plan.tracks.at(-1);
    if (x + this.step < LEFT || x > this.width - RIGHT || !last) return;
    const left = Math.max(LEFT, x), right = Math.min(this.width - RIGHT, x + Math.max(this.step, 1));
    context.strokeStyle = colour("--focus");
    context.lineWidth = 1;
    context.strokeRect(left - 0.5, plan.tracks[0].top - 0.5, right - left + 1, last.top + last.height - plan.tracks[0].top + 1);
  }

  savePicture() {
    if (!this.context) return;
    const copy = el("canvas", { width: this.canvas.width, height: this.canvas.height });
    const context = copy.getContext("2d");
    context.fillStyle = colour("--panel");
    context.fillRect(0, 0, copy.width, copy.height);
    context.drawImage(this.canvas, 0, 0);
    const file = DATA.ids[this.current.number].replace(/[^\w.-]+/g, "_").slice(0, 80) || "sequence";
    copy.toBlob((blob) => save(`${file}.png`, blob));
  }

  // --- what stands at a position

  tell() {
    this.readout.textContent = this.cursor === null ? this.notice : this.linesAt(this.cursor).map((line) => (Array.isArray(line) ? line.join(" ") : line)).join("  \u00B7  ");
  }

  /** Position, genome, base, relevance by each method, and the marks there. */
  linesAt(i) {
    const { number, codes } = this.current;
    const lines = [`position ${grouped(i)}${placed(number) ? `, ${shown(DATA.contigs[number])}:${grouped(genomic(number, i))} (${DATA.strands[number]})` : ""}`, `base ${"ACGTN"[codes[i]]}`];
    for (const t of this.tracks()) {
      const track = this.current.tracks[t];
      const spread = track.spread ? ` \u00B1 ${figure(track.spread[i], 3)}` : "";
      lines.push([shown(DATA.tracks[t].title), signed(track.relevance[i]) + spread]);
      if (this.hypothetical && track.bases) lines.push("   " + [0, 1, 2, 3].map((b) => `${LETTERS[b]} ${signed(track.bases[b][i], 3)}`).join("   "));
    }
    for (const lane of this.lanes()) for (const mark of lane.rows.flat()) if (i >= mark.start && i < mark.end) lines.push(markText(lane, mark));
    return lines;
  }

  moveCursor(to) {
    const length = this.current.length, span = this.b - this.a;
    this.cursor = Math.max(0, Math.min(length - 1, to));
    if (this.cursor < this.a) this.see(this.cursor - span * 0.1, this.cursor - span * 0.1 + span);
    else if (this.cursor + 1 > this.b) this.see(this.cursor + 1 + span * 0.1 - span, this.cursor + 1 + span * 0.1);
    this.later();
    this.tell();
  }

  // --- mouse, finger, keys

  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.release(event));
    canvas.addEventListener("pointerleave", () => showTip(0, 0, null));
    canvas.addEventListener("dblclick", (event) => this.zoom(0.4, this.position(event.offsetX)));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  wheel(event) {
    if (!this.current) return;
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!sideways && !event.ctrlKey && !event.metaKey && document.activeElement !== this.canvas) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    if (sideways || event.shiftKey) this.pan(((event.deltaX || event.deltaY) * unit) / this.step);
    else this.zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY * unit * 0.002))), this.position(event.offsetX));
  }

  press(event) {
    if (!this.current || event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event.offsetX);
    this.drag = { x: event.offsetX, y: event.offsetY, a: this.a, b: this.b, moved: false, brush: event.shiftKey, overview: event.offsetY < OVERVIEW, finger: event.pointerType === "touch" };
    if (this.drag.overview) this.centreOverview(event.offsetX);
  }

  centreOverview(x) {
    const at = ((x - LEFT) / (this.width - LEFT - RIGHT)) * this.current.length, half = (this.b - this.a) / 2;
    this.see(at - half, at + half);
  }

  move(event) {
    if (!this.current) return;
    const drag = this.drag;
    if (!drag || !this.pointers.has(event.pointerId)) return this.hover(event);
    if (this.pointers.size > 1) return this.pinch(event);
    if (Math.abs(event.offsetX - drag.x) > 3) drag.moved = true;
    if (!drag.moved) return;
    showTip(0, 0, null);
    this.canvas.classList.add("dragging");
    if (drag.overview) this.centreOverview(event.offsetX);
    else if (drag.brush) this.paintBrush(event.offsetX);
    else {
      const by = (drag.x - event.offsetX) * (drag.b - drag.a) / (this.width - LEFT - RIGHT);
      this.see(drag.a + by, drag.b + by);
    }
  }

  pinch(event) {
    const [one, two] = [...this.pointers.values()];
    this.pointers.set(event.pointerId, event.offsetX);
    const [a, b] = [...this.pointers.values()];
    this.zoom(Math.abs(one - two) / Math.max(8, Math.abs(a - b)), this.position((a + b) / 2));
  }

  paintBrush(x) {
    this.draw();
    this.context.fillStyle = colour("--focus");
    this.context.globalAlpha = 0.22;
    this.context.fillRect(Math.min(x, this.drag.x), OVERVIEW, Math.abs(x - this.drag.x), this.plan.height - OVERVIEW);
    this.context.globalAlpha = 1;
  }

  release(event) {
    const drag = this.drag;
    this.pointers.delete(event.pointerId);
    this.canvas.classList.remove("dragging");
    if (!drag || this.pointers.size) return;
    this.drag = null;
    if (event.type === "pointercancel" || drag.overview) return;
    if (drag.moved && drag.brush) {
      const [from, to] = [drag.x, event.offsetX].map((x) => this.position(x)).sort((p, q) => p - q);
      this.see(from, to);
    } else if (!drag.moved) {
      const at = Math.floor(this.position(event.offsetX));
      this.moveCursor(at);
      if (drag.finger) this.hover(event);
    }
  }

  hover(event) {
    const at = Math.floor(this.position(event.offsetX));
    const inside = event.offsetY > OVERVIEW && event.offsetX >= LEFT && event.offsetX <= this.width - RIGHT && at >= 0 && at < this.current.length;
    showTip(event.clientX, event.clientY, inside ? this.linesAt(at) : null, this.lettersAt(event));
  }

  /** Where letters stand in the window, while the mouse is on them: from the first title to the last track's foot. */
  lettersAt(event) {
    const first = this.plan?.tracks[0], last = this.plan?.tracks.at(-1);
    if (!first || event.offsetY < first.title || event.offsetY > last.top + last.height) return null;
    const offset = event.clientY - event.offsetY;
    return { top: offset + first.title, bottom: offset + last.top + last.height };
  }

  key(event) {
    if (!this.current || event.ctrlKey || event.metaKey || event.altKey) return;
    const from = this.cursor ?? Math.floor((this.a + this.b) / 2), far = event.shiftKey ? 10 : 1, span = this.b - this.a;
    const acts = {
      ArrowLeft: () => this.moveCursor(this.cursor === null ? from : from - far), ArrowRight: () => this.moveCursor(this.cursor === null ? from : from + far),
      Home: () => this.moveCursor(0), End: () => this.moveCursor(this.current.length - 1),
      PageUp: () => this.pan(-span * 0.8), PageDown: () => this.pan(span * 0.8),
      Escape: () => { this.cursor = null; showTip(0, 0, null); this.tell(); this.later(); },
    };
    if (event.key in acts) { event.preventDefault(); acts[event.key](); }
  }
}

// --- what is known of a sequence beside its maps

const placed = (number) => DATA.contigs[number] !== DATA.ids[number];
const genomic = (number, i) => (DATA.strands[number] === "-" ? DATA.ends[number] - 1 - i : DATA.starts[number] + i);

function factsOf(number) {
  const place = placed(number) ? [`${shown(DATA.contigs[number])}:${grouped(DATA.starts[number])}-${grouped(DATA.ends[number])} (${DATA.strands[number]})`] : [];
  const facts = [...place, `${grouped(DATA.lengths[number])} bp`];
  for (const column of DATA.columns) {
    const value = column.values[number];
    if (["id", "place", "length"].includes(column.key) || value === null || value === "" || facts.length > 8) continue;
    facts.push(`${column.label} ${column.number ? figure(value, 3) : shown(value)}`);
  }
  return facts.flatMap((fact, i) => [i ? " \u00B7 " : "", el("bdi", {}, fact)]);
}

/** The marks of a sequence, lane by lane, in as few rows as keep them apart (first fit, from the left). */
function lanesOf(number) {
  return DATA.lanes.map((lane, l) => {
    const marks = DATA.marks[number].filter((mark) => mark[0] === l)
      .map(([, start, end, label, strand, strong, note]) => ({ start, end, name: shown(DATA.names[label]), label: shown(DATA.names[label]) + ({ "+": " \u2192", "-": " \u2190" }[strand] || ""), strong: Boolean(strong), note: shown(DATA.names[note]) }))
      .sort((one, other) => one.start - other.start || one.end - other.end);
    const rows = [];
    for (const mark of marks) {
      const row = rows.find((others) => others.at(-1).end <= mark.start);
      if (row) row.push(mark); else rows.push([mark]);
    }
    return { ...lane, title: shown(lane.title), short: shown(lane.title), rows };
  });
}

const markText = (lane, mark) => `${lane.title}: ${mark.label} ${mark.start}-${mark.end}${mark.note ? `, ${mark.note}` : ""}`;

function legend() {
  const item = (kind, text) => el("span", {}, el("i", { class: kind }), text);
  const styles = new Set(DATA.lanes.map((lane) => lane.style));
  const items = [];
  if (styles.has("truth")) items.push(item("truth", "motif of the explained class"), item("decoy", "other motif"));
  const whose = DATA.lanes.filter((lane) => lane.style === "seqlet").length > 1 ? " of the first track" : "";
  if (styles.has("hit")) items.push(item("hit", `match of a motif, with a seqlet${whose} on it`), item("bare", "match without one"));
  if (styles.has("seqlet")) items.push(item("seqlet", "positive seqlet"), item("against", "negative seqlet"));
  return el("div", { class: "legend", hidden: !items.length }, ...items);
}

/** A text cut so that it fits a width. */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let cut = [...text];
  while (cut.length > 1 && context.measureText(cut.join("") + "\u2026").width > width) cut = cut.slice(0, Math.floor(cut.length * 0.85));
  return cut.join("") + "\u2026";
}
