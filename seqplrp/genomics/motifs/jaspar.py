"""JASPAR position frequency matrices: four rows of counts, with or without a header."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.encoding import ALPHABET
from seqplrp.genomics.motifs.model import WIDEST, Motif, check_word
from seqplrp.genomics.textfile import Line, parse_number

_BASE = re.compile(r"([A-Za-z])\s*[|:]?\s*(?=[\s\[0-9.+-]|$)")


@dataclass
class _Block:
    """A header, empty for the raw form, with the rows below it."""

    line: int
    header: str
    rows: list[Line] = field(default_factory=list)


def parse_jaspar(lines: Iterable[Line], path: str | os.PathLike[str]) -> list[Motif]:
    """Turn numbered lines of a JASPAR file into motifs; `path` is for the errors.

    Read are ``>ID name`` headers with rows ``A [ 1 2 3 ]`` or bare numbers, and the raw form of four rows
    without any header, whose motif takes the file's name.
    """
    motifs: list[Motif] = []
    line_of: dict[str, int] = {}
    for block in _blocks(lines):
        motif = _motif(path, block)
        identifier = motif.accession or motif.name
        if identifier in line_of:
            what = f"the motif {identifier!r} was given before, on line {line_of[identifier]}"
            raise _error(path, block.line, what, "give every motif an identifier of its own")
        line_of[identifier] = block.line
        motifs.append(motif)
    return motifs


def _blocks(lines: Iterable[Line]) -> list[_Block]:
    """Group the rows under their headers; rows before any header are the raw form."""
    blocks: list[_Block] = []
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith(">"):
            blocks.append(_Block(number, text))
            continue
        if not blocks:
            blocks.append(_Block(number, ""))
        blocks[-1].rows.append((number, text))
    return blocks


def _motif(path: str | os.PathLike[str], block: _Block) -> Motif:
    words = block.header[1:].split() if block.header else ["_".join(Path(path).name.split(".")[0].split())]
    if not words:
        raise _error(path, block.line, "the header has no identifier behind '>'", "write '>ID name'")
    for word in words[:2]:
        check_word(word or "motif", f"{path}, line {block.line}", "name")
    counts = _counts(path, block)
    totals = counts.sum(axis=1)
    name, accession = (words[1], words[0]) if len(words) > 1 else (words[0] or "motif", "")
    # columns that sum to 1 are frequencies, of which the number of sites is not known
    nsites = float(totals.max()) if totals.max() > 1.5 else None
    return Motif(name, counts / totals[:, None], accession=accession, nsites=nsites)


def _counts(path: str | os.PathLike[str], block: _Block) -> npt.NDArray[np.float64]:
    """Read four rows as a (W, 4) matrix."""
    _check_row_number(path, block)
    parsed: dict[str, list[float]] = {}
    for expected, (line, text) in zip(ALPHABET, block.rows):
        stated, values = _row(path, line, text)
        base = stated or expected
        if base in parsed:
            raise _error(path, line, f"row {base} is given twice", "give rows A, C, G, T once each")
        parsed[base] = values
        first, firsts = next(iter(parsed.items()))
        if len(values) != len(firsts):
            what = f"row {base} has {len(values)} numbers, row {first} has {len(firsts)}"
            raise _error(path, line, what, "give every row the same number of columns")
    counts = np.array([parsed[base] for base in ALPHABET]).T
    with np.errstate(over="ignore"):  # counts too large to sum are told below
        totals = counts.sum(axis=1)
    for column, total in enumerate(totals, start=1):
        if not 0 < total < np.inf:
            what = f"column {column} sums to {total:g}"
            raise _error(path, block.rows[0][0], what, "give counts with a sum above 0")
    return counts


def _check_row_number(path: str | os.PathLike[str], block: _Block) -> None:
    if len(block.rows) == 4:
        return
    remedy = "give rows A, C, G, T, with a column a position"
    if block.rows and all(len(text.split()) == 4 for _, text in block.rows):
        remedy = "turn the matrix: a row a base (A, C, G, T), a column a position"
    line = block.rows[-1][0] if block.rows else block.line
    raise _error(path, line, f"the matrix ends after {len(block.rows)} rows, not 4", remedy)


def _row(path: str | os.PathLike[str], line: int, text: str) -> tuple[str, list[float]]:
    """Split ``A [ 1 2 3 ]``, ``A| 1 2 3`` or ``1 2 3`` into the base, if given, and its numbers."""
    base = ""
    labelled = _BASE.match(text)
    if labelled:
        base = labelled[1].upper().replace("U", "T")
        text = text[labelled.end() :]
        if base not in ALPHABET:
            raise _error(path, line, f"the row is of base {base!r}", "give rows A, C, G, T")
    values: list[float] = []
    for token in text.replace("[", " ").replace("]", " ").split():
        value = parse_number(token)
        if value is None:
            raise _error(path, line, f"matrix entry {token[:20]!r} is not a number", "give counts")
        if value < 0:
            raise _error(path, line, f"matrix entry {token[:20]} is negative", "give counts, not log-odds")
        if len(values) == WIDEST:
            raise _error(path, line, f"the row has more than {WIDEST} numbers", "give a motif of one factor")
        values.append(value)
    if not values:
        raise _error(path, line, "the row holds no number", "give its counts")
    return base, values


def _error(path: str | os.PathLike[str], line: int, what: str, remedy: str) -> SeqplrpError:
    return SeqplrpError(f"{path}, line {line}", what, remedy)
