"""A finished run's ``report.md``, read back as the blocks that it was written of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from seqplrp.errors import SeqplrpError
from seqplrp.plot import PageBlock, PageHeading, PageList, PagePicture, PageTable, PageText
from seqplrp.storage import naming

REPORT = "report.md"
_HEADING = re.compile(r"(#{1,6}) (.+)")
_PICTURE = re.compile(r"!\[(.*)\]\(pictures/([\w.+-]+)\.png\)", re.DOTALL)
_WARNING = re.compile(r"[A-Z]{3,}[A-Z ]*:")
_RULE = re.compile(r"\|( --- \|)+")
_DIVIDER = re.compile(r"(?<!\\)\|")
_LARGEST_DRAWING = 250_000
"""Bytes up to which a drawing (SVG) is taken; beyond, its PNG is, which is smaller and quicker to show."""


def read_report(folder: Path) -> list[PageBlock]:
    """Read a run's report, with its pictures.

    Parameters
    ----------
    folder : Path
        The run's directory.

    Raises
    ------
    SeqplrpError
        If there is no report, or it can't be read as text.
    """
    path = folder / REPORT
    try:
        with naming(path):
            text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        what = "there is no such file: the benchmark was not reported yet"
        remedy = "repeat its command with --cells 0, which reports what is finished"
        raise SeqplrpError(path, what, remedy) from None
    except UnicodeDecodeError as error:
        raise SeqplrpError(path, "is not UTF-8", "repeat the benchmark's command with --cells 0") from error
    return list(blocks_of(text, folder))


def blocks_of(text: str, folder: Path) -> Iterator[PageBlock]:
    """Yield the blocks of a report's markdown, as `seqplrp.benchmark.blocks.as_markdown` writes them."""
    caption = None
    for part in text.split("\n\n"):
        part = part.strip("\n")
        if not part:
            continue
        block = _block(part, folder)
        # a picture's caption stands in it and under it
        if isinstance(block, PageText) and block.text == caption:
            continue
        caption = _caption(part)
        yield block


def _caption(part: str) -> str | None:
    found = _PICTURE.fullmatch(part)
    return found[1] if found else None


def _block(part: str, folder: Path) -> PageBlock:
    lines = part.split("\n")
    if (heading := _HEADING.fullmatch(part)) is not None:
        return PageHeading(heading[2], len(heading[1]))
    if (picture := _PICTURE.fullmatch(part)) is not None:
        return _picture(folder, picture[2], picture[1])
    if len(lines) > 1 and _RULE.fullmatch(lines[1]) and len({len(_cells(line)) for line in lines}) == 1:
        return _table(lines)
    if all(line.startswith("- ") for line in lines):
        return PageList([line[2:] for line in lines])
    return PageText(part, warning=_WARNING.match(part) is not None)


def _table(lines: Sequence[str]) -> PageTable:
    head, _, *body = (_cells(line) for line in lines)
    strong = frozenset(i for i, row in enumerate(body) if re.fullmatch(r"\*\*.+\*\*", row[0]))
    plain = [[row[0][2:-2], *row[1:]] if i in strong else row for i, row in enumerate(body)]
    return PageTable(head, plain, strong)


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in _DIVIDER.split(line)[1:-1]]


def _picture(folder: Path, name: str, caption: str) -> PageBlock:
    drawing, pixels = (folder / "pictures" / f"{name}{ending}" for ending in (".svg", ".png"))
    if drawing.is_file() and (drawing.stat().st_size <= _LARGEST_DRAWING or not pixels.is_file()):
        with naming(drawing):
            return PagePicture(drawing.read_bytes(), "image/svg+xml", caption)
    if pixels.is_file():
        with naming(pixels):
            return PagePicture(pixels.read_bytes(), "image/png", caption)
    return PageText(f"(The picture {name} is not there any more.) {caption}")
