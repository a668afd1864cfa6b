// What one types over the table: words, comparisons and places of the genome, all of which must fit.
const TERM = /"([^"]*)"|(\S+)/g;
const COMPARISON = /^([\p{L}_][\p{L}\p{N}_.-]*)(<=|>=|!=|=|<|>)(.+)$/u;
const REGION = /^(.+):([\d,]+)-([\d,]+)$/;
const COMPARE = {
  "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b, "=": (a, b) => a === b, "!=": (a, b) => a !== b,
};

/** Read a filter: {keeps: row -> bool, problem: text or null}. */
function readFilter(text, columns) {
  const tests = [];
  for (const match of text.matchAll(TERM)) {
    const quoted = match[1] !== undefined;
    const term = quoted ? match[1] : match[2];
    const comparison = quoted ? null : COMPARISON.exec(term);
    const region = quoted ? null : REGION.exec(term);
    if (comparison) {
      const [, key, sign, wanted] = comparison;
      const column = columns.find((one) => one.key.toLowerCase() === key.toLowerCase());
      if (!column) return { keeps: null, problem: `no column is called ${key}: try ${columns.map((one) => one.key).join(", ")}` };
      const test = column.number ? compareNumber(column, sign, wanted) : compareText(column, sign, wanted);
      if (!test) return { keeps: null, problem: column.number ? `${wanted} is no number` : `${key} holds text: use = or !=` };
      tests.push(test);
    } else if (region && DATA.contigs.includes(region[1])) tests.push(overlaps(region));
    else if (term) tests.push(holds(term));
  }
  return { keeps: tests.length ? (row) => tests.every((test) => test(row)) : null, problem: null };
}

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
