"""What a page is made of, and the page as GitHub's markdown and as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from seqplrp.benchmark.pictures import Picture


@dataclass(frozen=True)
class Heading:
    """A heading."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """A table of text; rows whose first cell is `strong` are set in bold."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: str = ""


Block = Heading | Text | Points | Grid | Picture


def as_markdown(blocks: Sequence[Block]) -> str:
    """Return the blocks as GitHub's markdown."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Text(text):
            return text
        case Points(items):
            return "\n".join(f"- {item}" for item in items)
        case Grid(head, rows, strong):
            lines = [head, ["---"] * len(head)]
            lines += [[f"**{row[0]}**", *row[1:]] if strong and row[0] == strong else row for row in rows]
            return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        case Picture(file, caption):
            return f"![{caption}](pictures/{file}.png)\n\n{caption}"


def as_html(blocks: Sequence[Block], title: str) -> str:
    """Return the blocks as a page of its own, with pictures beside it."""
    body = "\n".join(_html(block) for block in blocks)
    return _PAGE.format(title=html.escape(title), body=body)


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{_inline(text)}</h{level}>"
        case Text(text):
            return f"<p>{_inline(text)}</p>"
        case Points(items):
            return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ul>"
        case Grid(head, rows, strong):
            top = "".join(f"<th>{_inline(cell)}</th>" for cell in head)
            lines = (
                f"<tr{' class=strong' if strong and row[0] == strong else ''}>"
                + "".join(f"<td>{_inline(cell)}</td>" for cell in row)
                + "</tr>"
                for row in rows
            )
            return f"<div><table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        case Picture(file, caption):
            return (
                f"<figure><img src='pictures/{html.escape(file)}.svg' alt='{html.escape(caption, quote=True)}'>"
                f"<figcaption>{_inline(caption)}</figcaption></figure>"
            )


def _inline(text: str) -> str:
    """Escape text; `code` and *best of a column* are all the marks that it may hold."""
    escaped = html.escape(text)
    parts = escaped.split("`")
    with_code = "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
    if len(escaped) > 2 and escaped.startswith("*") and escaped.endswith("*"):
        return f"<em>{escaped[1:-1]}</em>"
    return with_code


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1200px; margin: 2rem auto; padding: 0 1rem; }}
h1, h2, h3 {{ line-height: 1.2; margin-top: 2em; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: 3px 10px 3px 0; border-bottom: 1px solid #ddd; white-space: nowrap; }}
td:last-child {{ white-space: normal; }}
tr.strong td {{ background: #fdf3e1; }}
em {{ font-style: normal; font-weight: 700; }}
figure {{ margin: 2em 0; overflow-x: auto; }}
img {{ max-width: 100%; height: auto; }}
figcaption {{ color: #555; font-size: 13px; }}
code {{ font-size: 12px; }}
</style></head><body>
{body}
</body></html>
"""
