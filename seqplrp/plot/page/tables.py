"""Tables, texts and pictures as one page: tables to sort, and one explorer over all means."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from seqplrp._version import __version__
from seqplrp.plot.page.document import Document, escaped
from seqplrp.plot.page.packing import number_list
from seqplrp.plot.page.tracks import PageCheck

_FOLDED = 45  # rows from which a table under a heading of its own starts folded


@dataclass(frozen=True)
class PageHeading:
    """A heading; of level 3, what follows can be folded."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class PageText:
    """A paragraph. A warning is set apart."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class PageList:
    """A list of points."""

    items: Sequence[str]


@dataclass(frozen=True)
class PageTable:
    """A table of texts.

    Parameters
    ----------
    head : sequence of str
    rows : sequence of sequence of str
        A cell ``*so*`` is the best of its column.
    strong : frozenset of int
        Rows that are set apart.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: frozenset[int] = frozenset()


@dataclass(frozen=True)
class PagePicture:
    """A picture: the bytes of a file."""

    content: bytes
    kind: Literal["image/png", "image/svg+xml"]
    caption: str


PageBlock = PageHeading | PageText | PageList | PageTable | PagePicture


@dataclass(frozen=True)
class Explorer:
    """Means by place, method and measure, and how one method does against each.

    Parameters
    ----------
    keys : mapping of str to sequence of str
        Texts a row: ``group``, ``task``, ``architecture``, ``method``, ``measure``, ``tested``, ``verdict``.
    numbers : mapping of str to sequence of float
        Numbers a row: ``mean``, ``low``, ``high`` and whatever else there is, NaN where empty.
    labels : mapping of str to str
        What measures are called.
    better : mapping of str to str
        "higher", "lower" or "neither" is better, by measure.
    first : str
        The measure that is shown first.
    strong : str
        The method that is set apart.
    """

    keys: Mapping[str, Sequence[str]]
    numbers: Mapping[str, Sequence[float]]
    labels: Mapping[str, str]
    better: Mapping[str, str]
    first: str = ""
    strong: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the columns as the page reads them: texts as numbers of a list of the different ones."""
        names, codes = {}, {}
        for key, values in self.keys.items():
            different = list(dict.fromkeys(values))
            number = {text: i for i, text in enumerate(different)}
            names[key], codes[key] = different, [number[text] for text in values]
        return {
            "names": names,
            "codes": codes,
            "numbers": {key: number_list(values) for key, values in self.numbers.items()},
            "labels": dict(self.labels),
            "better": dict(self.better),
            "first": self.first,
            "strong": self.strong,
        }


@dataclass(frozen=True)
class TablesPage:
    """All that the page shows.

    Parameters
    ----------
    title, lead : str
    blocks : sequence of PageBlock
        From top to bottom.
    checks : sequence of PageCheck
        What stands above them, in short.
    explorer : Explorer, optional
    details : sequence of (str, str)
        Where it comes from: names and values.
    """

    title: str
    lead: str
    blocks: Sequence[PageBlock]
    checks: Sequence[PageCheck] = ()
    explorer: Explorer | None = None
    details: Sequence[tuple[str, str]] = field(default=())

    def html(self) -> str:
        """Return the page: one file that needs nothing else."""
        sections = list(_sections(self.blocks))
        body = _BODY.format(
            title=escaped(self.title),
            lead=escaped(self.lead),
            warnings=_section(sections[0]) if not sections[0].heading.text else "",
            links="\n".join(_links(sections)),
            sections="\n".join(_section(one) for one in sections if one.heading.text),
        )
        return Document(
            title=self.title,
            body=body,
            data={
                "version": __version__,
                "checks": [{"title": c.title, "state": c.state, "text": c.text} for c in self.checks],
                "explorer": None if self.explorer is None else self.explorer.as_json(),
                "details": [list(pair) for pair in self.details],
            },
            styles=("base.css", "tables.css"),
            scripts=("base.js", "cards.js", "tables.js", "explorer.js", "benchmark.js"),
        ).html()


@dataclass
class _Section:
    number: int
    heading: PageHeading
    blocks: list[PageBlock] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(len(block.rows) for block in self.blocks if isinstance(block, PageTable))


def _sections(blocks: Sequence[PageBlock]) -> Iterator[_Section]:
    current = _Section(0, PageHeading("", 1))
    for block in blocks:
        if isinstance(block, PageHeading):
            if current.blocks or current.heading.text:
                yield current
            current = _Section(current.number + 1, block)
        else:
            current.blocks.append(block)
    yield current


def _links(sections: Sequence[_Section]) -> Iterator[str]:
    for one in sections:
        if one.heading.text and one.heading.level > 1:
            yield f'<a class="l{one.heading.level}" href="#s{one.number}">{escaped(one.heading.text)}</a>'


def _section(one: _Section) -> str:
    inner = "\n".join(map(_block, one.blocks))
    text = inline(one.heading.text)
    if not one.heading.text:
        return f'<section class="panel">{inner}</section>' if inner else ""
    if one.heading.level < 3:
        return f'<section class="panel" id="s{one.number}"><h2>{text}</h2>{inner}</section>'
    is_open = "" if one.rows > _FOLDED else " open"
    return f'<details class="panel" id="s{one.number}"{is_open}><summary>{text}</summary>{inner}</details>'


def _block(block: PageBlock) -> str:
    match block:
        case PageText(text, warning):
            return f'<p class="{"warning" if warning else "said"}">{inline(text)}</p>'
        case PageList(items):
            return "<ul>" + "".join(f"<li>{inline(item)}</li>" for item in items) + "</ul>"
        case PageTable():
            return _table(block)
        case PagePicture(content, kind, caption):
            source = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
            return (
                f'<figure><img loading="lazy" alt="{escaped(caption)}" src="{source}">'
                f"<figcaption>{inline(caption)}</figcaption></figure>"
            )
        case PageHeading(text, level):
            return f"<h{level}>{inline(text)}</h{level}>"


def _table(table: PageTable) -> str:
    head = "".join(f'<th scope="col">{inline(cell)}</th>' for cell in table.head)
    rows = (
        ('<tr class="strong">' if number in table.strong else "<tr>")
        + "".join(f"<td>{inline(cell)}</td>" for cell in row)
        + "</tr>"
        for number, row in enumerate(table.rows)
    )
    body = "".join(rows)
    table_of = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll sortable" tabindex="0">{table_of}</div>'


def inline(text: str) -> str:
    """Escape a text; `code` and *the best of a column* are all the marks that it may hold."""
    shown = escaped(text)
    if len(shown) > 2 and shown.startswith("*") and shown.endswith("*"):
        return f"<em>{shown[1:-1]}</em>"
    parts = shown.split("`")
    if len(parts) % 2 == 0:  # a lone mark is a letter like others
        return shown
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


_BODY = """<header class="top">
<div class="mast"><h1>{title}</h1><p class="lead">{lead}</p></div>
<div class="tools"><button id="theme" type="button"></button></div>
</header>
<main class="tables">
<nav class="panel" aria-label="Sections"><a class="l2" href="#explorer" id="to-explorer" hidden>Explorer</a>
{links}</nav>
<div class="column">
<section class="checks" id="checks" aria-label="In short"></section>
{warnings}
<section class="panel" id="explorer" aria-label="All means and tests" hidden></section>
{sections}
<section class="panel" id="about" aria-label="About this page"></section>
</div>
</main>"""
