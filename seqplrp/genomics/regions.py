"""Places on sequences: BED files, and the truth BED of simulated data.

All coordinates are 0-based and half-open.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from typing import Literal

import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.textfile import parse_number, parse_whole, text_lines, unwritable

TRUTH_COLUMNS = ("chrom", "start", "end", "name", "score", "strand", "motif", "class")
RegionFormat = Literal["auto", "bed", "narrowPeak"]
_NARROW_PEAK_COLUMNS = 10
_NOT_REGIONS = ("#", "track ", "track\t", "browser ", "browser\t")


@dataclass(frozen=True)
class Interval:
    """A stretch of a sequence.

    Parameters
    ----------
    chrom : str
        Name of the sequence.
    start, end : int
        0-based half-open; ``0 <= start < end``.
    name : str
        ``.`` where there is none.
    score : float
        0 where there is none.
    strand : str
        ``+``, ``-`` or, for either, ``.``.
    """

    chrom: str
    start: int
    end: int
    name: str = "."
    score: float = 0.0
    strand: str = "."

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Region(Interval):
    """A stretch of a genome that is to be looked at.

    Parameters
    ----------
    chrom, start, end, name, score, strand
        As an `Interval` has them.
    summit : int, optional
        The peak's highest base, 0-based on the chromosome; None where none is known.
    where : str
        File and line, for errors and remarks.
    """

    summit: int | None = None
    where: str = field(default="regions", compare=False)


def iter_regions(path: str | os.PathLike[str], *, format: RegionFormat = "auto") -> Iterator[Region]:
    """Read BED or narrowPeak, plain or gzipped, one region at a time.

    Columns, comments and what else is passed over are as in `read_bed`.

    Parameters
    ----------
    path : path
        The file.
    format : {"auto", "bed", "narrowPeak"}
        Whether column 10 is the summit's distance from the start (-1: not known), as in narrowPeak. Unless given,
        it is if the first region has exactly 10 columns.

    Yields
    ------
    Region
        In the file's order.

    Raises
    ------
    SeqplrpError
        As `read_bed` does; and where a narrowPeak line has fewer than 10 columns, or a summit that is no whole
        number or does not lie in the region. Errors come when reading gets there, not before.
    """
    if format not in ("auto", "bed", "narrowPeak"):
        raise SeqplrpError("format", f"is {format!r}", "give 'auto', 'bed' or 'narrowPeak'")
    return _iter_regions(path, format)


def _iter_regions(path: str | os.PathLike[str], format: RegionFormat) -> Iterator[Region]:
    for number, interval, further in _regions(path):
        if format == "auto":
            format = "narrowPeak" if 6 + len(further) == _NARROW_PEAK_COLUMNS else "bed"
        where = f"{path}, line {number}"
        summit = _summit(interval, further, where) if format == "narrowPeak" else None
        yield Region(**vars(interval), summit=summit, where=where)


def _summit(interval: Interval, further: list[str], where: str) -> int | None:
    if len(further) < _NARROW_PEAK_COLUMNS - 6:
        found = f"{6 + len(further)} columns" if further else "no more than 6 columns"
        raise SeqplrpError(where, f"has {found}, a narrowPeak line has 10", "mend it or ask for the format 'bed'")
    text = further[3]
    if text == "-1":
        return None
    distance = parse_whole(text)
    if distance is None:
        what = f"summit {text[:20]!r} is neither a whole number of 0 or more nor -1"
        raise SeqplrpError(where, what, "mend column 10 or ask for the format 'bed'")
    if distance >= len(interval):
        what = f"summit {text} lies beyond the region's {len(interval)} bases"
        raise SeqplrpError(where, what, "give its distance from the start in column 10, or -1")
    return interval.start + distance


def read_bed(path: str | os.PathLike[str]) -> list[Interval]:
    """Read a BED file of three columns or more, plain or gzipped.

    Columns are split at tabs, or at white space in lines without a tab. Comments, ``track`` and ``browser``
    lines and columns past the sixth are passed over.

    Raises
    ------
    SeqplrpError
        With file and line: no region at all, fewer than three columns, coordinates that are no whole numbers
        with ``0 <= start < end``, a score that is no number, a strand other than ``+ - .``.
    """
    return [interval for _, interval, _ in _regions(path)]


def read_truth_bed(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a truth BED: the six columns of BED, then the motif's name and the class that it supports.

    Returns
    -------
    DataFrame
        Columns ``chrom, start, end, name, score, strand, motif, class``, in the file's order; motif and class
        are text, ``.`` where there is none.

    Raises
    ------
    SeqplrpError
        As `read_bed` does, and where a line has not eight columns.
    """
    rows = []
    for number, interval, further in _regions(path):
        if len(further) != 2:
            found = str(6 + len(further)) if further else "no more than 6"
            what = f"a truth BED has 8 columns, this line has {found}"
            raise SeqplrpError(f"{path}, line {number}", what, f"give {', '.join(TRUTH_COLUMNS)}, divided by tabs")
        rows.append((*astuple(interval), *further))
    return pd.DataFrame(rows, columns=list(TRUTH_COLUMNS))


def write_truth_bed(path: str | os.PathLike[str], truth: pd.DataFrame) -> None:
    """Write a truth BED, tab-divided, without a header, in the table's order.

    Parameters
    ----------
    path : path
        The file to write.
    truth : DataFrame
        Columns as `read_truth_bed` returns them; other columns are not written.

    Raises
    ------
    SeqplrpError
        If a column is missing, a row is no valid region or would not be read back as it is, or the file can't
        be written.
    """
    missing = [column for column in TRUTH_COLUMNS if column not in truth.columns]
    if missing:
        raise SeqplrpError("truth", f"column {missing[0]!r} is missing", f"give {', '.join(TRUTH_COLUMNS)}")
    rows = zip(*(truth[column].tolist() for column in TRUTH_COLUMNS))
    lines = [_truth_line(row, values) for row, values in enumerate(rows)]
    try:
        with open(path, "w", encoding="utf-8", newline="\n") as out:
            out.writelines(lines)
    except OSError as problem:
        raise unwritable(path, problem) from None


def _truth_line(row: int, values: tuple[object, ...]) -> str:
    texts = [f"{value:.10g}" if isinstance(value, float) else str(value) for value in values]
    where = f"truth, row {row}"
    for column, text in zip(TRUTH_COLUMNS, texts):
        if not text.isprintable() or text.strip() != text or not text:
            what = f"{column} {text!r} would not be read back from a BED file"
            raise SeqplrpError(where, what, "give printable text without white space around it")
    _interval(texts, where)
    line = "\t".join(texts) + "\n"
    if line.startswith(_NOT_REGIONS):
        raise SeqplrpError(where, f"chrom {texts[0]!r} would be read as a comment", "name the sequence otherwise")
    return line


def _regions(path: str | os.PathLike[str]) -> Iterator[tuple[int, Interval, list[str]]]:
    """Yield line number, interval and the columns past the sixth of every region."""
    found = False
    for number, line in text_lines(path):
        if not line.strip() or line.startswith(_NOT_REGIONS):
            continue
        columns = [text.strip() for text in line.split("\t")] if "\t" in line else line.split()
        yield number, _interval(columns, f"{path}, line {number}"), columns[6:]
        found = True
    if not found:
        raise SeqplrpError(path, "holds no region", "give a BED file with at least one line")


def _interval(columns: list[str], where: str) -> Interval:
    if len(columns) < 3:
        what = f"has {len(columns)} columns, not at least 3"
        raise SeqplrpError(where, what, "give chrom, start and end, divided by tabs")
    chrom, start, end = columns[0], _coordinate(columns[1], where), _coordinate(columns[2], where)
    if not chrom or not chrom.isprintable():
        raise SeqplrpError(where, f"chrom {chrom!r} is empty or unprintable", "name the sequence")
    if start >= end:
        raise SeqplrpError(where, f"start {start} is not below end {end}", "give 0-based half-open coordinates")
    name = columns[3] if len(columns) > 3 else "."
    score = _score(columns[4], where) if len(columns) > 4 else 0.0
    strand = columns[5] if len(columns) > 5 else "."
    if strand not in ("+", "-", "."):
        raise SeqplrpError(where, f"strand {strand[:20]!r} is none of + - .", "mend the sixth column")
    return Interval(chrom, start, end, name, score, strand)


def _coordinate(text: str, where: str) -> int:
    position = parse_whole(text)
    if position is None:
        what = f"coordinate {text[:20]!r} is no whole number of 0 or more"
        raise SeqplrpError(where, what, "give 0-based half-open coordinates in columns 2 and 3")
    return position


def _score(text: str, where: str) -> float:
    score = 0.0 if text == "." else parse_number(text)
    if score is None:
        raise SeqplrpError(where, f"score {text[:20]!r} is not a number", "give a number or '.' in column 5")
    return score
