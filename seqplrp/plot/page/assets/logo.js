// Letters and bars of one track on a canvas.
const LETTERS = "ACGT";
const LETTER_FROM = 5, PRINTED_FROM = 2.5; // pixels a base from which letters are drawn, and printed
const outlines = [...LETTERS].map((base) => new Path2D(DATA.glyphs[base]));
const baseColours = () => { const found = DATA.colours[isDark() ? "dark" : "light"]; return [...LETTERS].map((base) => found[base]); };

/** Draw a letter in a box: its foot at y, its top `height` pixels above, or below and upside down if negative. */
function drawLetter(context, base, x, y, width, height) {
  context.save();
  context.translate(x, y);
  context.scale(width, -height);
  context.fill(outlines[base]);
  context.restore();
}

/**
 * Draw a track's values between two positions.
 * box: {x(position), top, height, pixels a base}; range: [low, high]; hypothetical: all four bases.
 */
function drawTrack(context, one, codes, box, from, to, range, hypothetical) {
  const scale = box.height / Math.max(range[1] - range[0], 1e-30);
  const zero = box.top + range[1] * scale;
  const colours = baseColours();
  const letters = box.step >= (printing ? PRINTED_FROM : LETTER_FROM);
  if (box.step < 1) drawEnvelope(context, one, codes, box, from, to, scale, zero, hypothetical);
  else for (let i = from; i < to; i++) {
    const x = box.x(i);
    const width = Math.max(1, box.step * (letters ? 0.94 : 1));
    const stack = hypothetical && one.bases ? stackOf(one.bases, i) : [[codes[i], one.relevance[i]]];
    let up = 0, down = 0;
    for (const [base, value] of stack) {
      if (value === 0 || base > 3) continue;
      const height = value * scale;
      context.fillStyle = colours[base];
      context.globalAlpha = value < 0 ? 0.62 : 1;
      const foot = zero - (value > 0 ? up : down);
      if (letters && Math.abs(height) > 0.7) drawLetter(context, base, x + box.step * 0.03, foot, width, height);
      else context.fillRect(x, Math.min(foot, foot - height), width, Math.max(Math.abs(height), 0.6));
      if (value > 0) up += height; else down += height;
    }
    context.globalAlpha = 1;
    if (one.spread && letters && !hypothetical) drawSpread(context, x + box.step / 2, zero, one.relevance[i], one.spread[i], scale);
  }
  return zero;
}

/** A position's bases, the smallest first: what is largest stands farthest from the axis. */
function stackOf(bases, i) {
  return [0, 1, 2, 3].map((base) => [base, bases[base][i]]).sort((a, b) => Math.abs(a[1]) - Math.abs(b[1]));
}

function drawSpread(context, x, zero, value, spread, scale) {
  if (!(spread > 0)) return;
  context.strokeStyle = colour("--soft");
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, zero - (value - spread) * scale);
  context.lineTo(x, zero - (value + spread) * scale);
  context.stroke();
}

/** Where several positions share a pixel: from the lowest to the highest of them. */
function drawEnvelope(context, one, codes, box, from, to, scale, zero, hypothetical) {
  const colours = baseColours();
  const rows = hypothetical && one.bases ? one.bases : [one.relevance];
  const step = box.step;
  const first = Math.floor(box.x(from)), last = Math.ceil(box.x(to));
  for (let pixel = first; pixel < last; pixel++) {
    const a = Math.max(from, Math.floor((pixel - box.x(0)) / step)), b = Math.min(to, Math.max(a + 1, Math.floor((pixel + 1 - box.x(0)) / step)));
    let low = 0, high = 0, most = 0, which = 4;
    for (let i = a; i < b; i++) {
      for (let row = 0; row < rows.length; row++) {
        const value = rows[row][i];
        if (value < low) low = value;
        if (value > high) high = value;
        if (Math.abs(value) > most) { most = Math.abs(value); which = rows.length > 1 ? row : codes[i]; }
      }
    }
    if (which > 3) continue;
    context.fillStyle = colours[which];
    context.fillRect(pixel, zero - high * scale, 1, Math.max((high - low) * scale, 0.6));
  }
}

/** A sequence at a glance, for the table and the overview: bars of -127 to 127. */
function drawProfile(context, values, width, height, ink, against) {
  let low = 0, high = 1;
  for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
  const scale = height / (high - low), zero = high * scale, step = width / values.length;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (!value) continue;
    context.fillStyle = value > 0 ? ink : against;
    context.fillRect(i * step, value > 0 ? zero - value * scale : zero, Math.max(step, 0.8), Math.abs(value) * scale);
  }
}

/** Set a canvas up for the screen's pixels; returns its context. */
function prepared(canvas, width, height) {
  const ratio = Math.max(window.devicePixelRatio || 1, printing ? 3 : 0); // paper is finer than most screens
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = height + "px";
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Round steps for an axis: 1, 2 or 5 times a power of ten. */
function niceStep(span, count) {
  const raw = span / Math.max(1, count), power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((one) => one * power).find((step) => step >= raw * 0.999);
}
