// Numbers that lie deflated in the page, unpacked when a sequence of their block is looked at.
const MOST_BLOCKS = 24;
const unpacked = new Map();

async function inflate(id) {
  const stream = new Blob([bytesOf(byId(id).textContent)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Bytes of a pack; those used last stay. */
function pack(id) {
  let found = unpacked.get(id);
  if (found) unpacked.delete(id);
  else {
    found = inflate(id);
    const most = MOST_BLOCKS * (1 + 4 * DATA.tracks.length);
    if (unpacked.size >= most) unpacked.delete(unpacked.keys().next().value);
  }
  unpacked.set(id, found);
  return found;
}

const blockOf = new Int32Array(DATA.ids.length);
const placeInBlock = new Int32Array(DATA.ids.length);
const blockLength = DATA.blocks.map(([first, last], number) => {
  let at = 0;
  for (let i = first; i < last; i++) {
    blockOf[i] = number;
    placeInBlock[i] = at;
    at += DATA.lengths[i];
  }
  return at;
});

const floats = (text) => new Float32Array(bytesOf(text).buffer);
for (const track of DATA.tracks) {
  for (const key of Object.keys(track.steps)) track.steps[key] = floats(track.steps[key]);
  track.profile = new Int8Array(bytesOf(track.profile).buffer);
}

/** Whole numbers of two bytes whose low bytes stand before the high ones. */
function twoBytes(bytes, total, at, length) {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = ((bytes[total + at + i] << 24) >> 16) | bytes[at + i];
  return values;
}

function fourBytes(bytes) {
  const count = bytes.length / 4;
  const turned = new Uint8Array(bytes.length);
  for (let plane = 0; plane < 4; plane++) for (let i = 0; i < count; i++) turned[4 * i + plane] = bytes[plane * count + i];
  return new Float32Array(turned.buffer);
}

/** Letters and maps of a sequence: codes, and for each track its relevance, all four bases, and the spread. */
async function sequence(number) {
  const block = blockOf[number], at = placeInBlock[number], length = DATA.lengths[number], total = blockLength[block];
  const codes = (await pack("c" + block)).subarray(at, at + length);
  const tracks = await Promise.all(DATA.tracks.map((track, t) => trackOf(track, t, { number, block, at, length, total, codes })));
  return { number, length, codes, tracks };
}

async function trackOf(track, t, { number, block, at, length, total, codes }) {
  if (track.there && !track.there[number]) return null;
  const relevance = twoBytes(await pack(`t${t}m${block}`), total, at, length);
  for (let i = 0; i < length; i++) relevance[i] *= track.steps.fine[number];
  let bases = null, spread = null;
  if (track.steps.coarse) {
    const bytes = new Int8Array((await pack(`t${t}h${block}`)).buffer);
    const step = track.steps.coarse[number];
    bases = [0, 1, 2, 3].map(() => new Float32Array(length));
    for (let i = 0; i < length; i++) {
      const letter = codes[i] % 4;
      bases[letter][i] = relevance[i];
      for (let k = 0; k < 3; k++) bases[(letter + 1 + k) % 4][i] = bytes[k * total + at + i] * step;
    }
  }
  for (let i = 0; i < length; i++) if (codes[i] > 3) relevance[i] = 0;
  if (track.steps.spread) {
    const bytes = new Int8Array((await pack(`t${t}s${block}`)).buffer);
    spread = Float32Array.from(bytes.subarray(at, at + length), (value) => value * track.steps.spread[number]);
  }
  return { relevance, bases, spread, range: reach(relevance, spread), wide: bases && rangeOf(bases) };
}

/** Lowest and highest point of stacked letters. */
function rangeOf(rows) {
  let low = 0, high = 0;
  for (let i = 0; i < rows[0].length; i++) {
    let down = 0, up = 0;
    for (const row of rows) { const value = row[i]; if (value < 0) down += value; else up += value; }
    if (down < low) low = down;
    if (up > high) high = up;
  }
  return [low, high];
}

/** Lowest and highest point of relevance, and of the bars of its spread, where there are such. */
function reach(relevance, spread) {
  let [low, high] = rangeOf([relevance]);
  if (spread) for (let i = 0; i < relevance.length; i++) {
    if (!(spread[i] > 0)) continue; // it has no bar
    low = Math.min(low, relevance[i] - spread[i]);
    high = Math.max(high, relevance[i] + spread[i]);
  }
  return [low, high];
}

/** The ledger of a sequence: numbers by step and column; null where there is none. */
async function account(t, number, label) {
  const accounts = DATA.tracks[t].accounts;
  const pattern = accounts.which[number][label];
  if (pattern < 0) return null;
  let at = 0;
  const block = blockOf[number];
  for (let row = DATA.blocks[block][0]; row <= number; row++) {
    for (let other = 0; other < accounts.labels.length; other++) {
      if (row === number && other === label) return { pattern, values: fourBytes(await pack(`t${t}l${block}`)).subarray(at, at + accounts.patterns[pattern].cells.length) };
      const which = accounts.which[row][other];
      if (which >= 0) at += accounts.patterns[which].cells.length;
    }
  }
  return null;
}
