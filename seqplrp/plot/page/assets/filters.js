// What one types over the table: words, comparisons and places of the genome, all of which must fit.
const NAME = /[\p{L}_][\p{L}\p{N}_.-]*/u.source, SIGN = /<=|>=|!=|=|<|>/.source;
// a column and a value, either in quotes or not; a text in quotes; a word
const TERM = new RegExp(`(?:(${NAME})|"([^"]+)")(${SIGN})(?:"([^"]*)"|(\\S+))|"([^"]*)"|(\\S+)`, "gu");
const REGION = /^(.+):([\d,]+)-([\d,]+)$/;
const COMPARE = {
  "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b, "=": (a, b) => a === b, "!=": (a, b) => a !== b,
};

/** Read a filter: {keeps: row -> bool, problem: text or null}. */
function readFilter(text, columns) {
  const tests = [];
  for (const match of text.matchAll(TERM)) {
    const [, bare, named, sign, within, value, quoted, word] = match;
    const region = word === undefined ? null : REGION.exec(word);
    if (sign) {
      const key = bare ?? named, wanted = within ?? value;
      const column = columnOf(key, columns);
      if (!column) return { keeps: null, problem: `no column is called ${key}: try ${columns.map(typed).join(", ")}` };
      const test = column.number ? compareNumber(column, sign, wanted) : compareText(column, sign, wanted);
      if (!test) return { keeps: null, problem: column.number ? `${wanted} is no number` : `${key} holds text: use = or !=` };
      tests.push(test);
    } else if (region && DATA.contigs.includes(region[1])) tests.push(overlaps(region));
    else if (quoted || word) tests.push(holds(quoted || word));
  }
  return { keeps: tests.length ? (row) => tests.every((test) => test(row)) : null, problem: null };
}

/** The column of that name in the saved table, or with that header. */
function columnOf(name, columns) {
  const same = (text) => text.toLowerCase() === name.toLowerCase();
  return columns.find((one) => same(one.key)) ?? columns.find((one) => same(one.label));
}

/** How a column may be typed: as its header has it, where that is one word. */
const typed = (column) => (new RegExp(`^${NAME}$`, "u").test(column.label) ? column.label : column.key);

function compareNumber(column, sign, wanted) {
  const bound = Number(wanted.replace("\u2212", "-"));
  if (wanted.trim() === "" || Number.isNaN(bound)) return null;
  return (row) => column.values[row] !== null && COMPARE[sign](column.values[row], bound);
}

function compareText(column, sign, wanted) {
  if (sign !== "=" && sign !== "!=") return null;
  const word = wanted.toLowerCase();
  return (row) => (column.values[row].toLowerCase() === word) === (sign === "=");
}

function overlaps([, contig, from, to]) {
  const start = Number(from.replaceAll(",", "")), end = Number(to.replaceAll(",", ""));
  return (row) => DATA.contigs[row] === contig && DATA.starts[row] < end && DATA.ends[row] > start;
}

let haystacks = null;
function holds(word) {
  if (!haystacks) {
    const texts = DATA.columns.filter((column) => !column.number);
    haystacks = DATA.ids.map((id, row) => {
      const marks = DATA.marks[row].map((mark) => DATA.names[mark[3]]);
      return [id, DATA.contigs[row], ...texts.map((column) => column.values[row]), ...marks].join("\n").toLowerCase();
    });
  }
  const wanted = word.toLowerCase();
  return (row) => haystacks[row].includes(wanted);
}
