"""JASPAR position frequency matrices: four rows of counts, with or without a header."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs.model import Motif

_BASES = "ACGT"


def parse_jaspar(lines: Iterable[tuple[int, str]], path: str | os.PathLike[str]) -> list[Motif]:
    """Turn numbered lines of a JASPAR file into motifs; `path` is for the errors.

    Read are ``>ID name`` headers with rows ``A [ 1 2 3 ]`` or bare numbers, and the raw form of four rows
    without any header, whose motif takes the file's name.
    """
    motifs: list[Motif] = []
    line_of: dict[str, int] = {}
    for number, header, rows in _blocks(lines, path):
        motif = _motif(path, number, header, rows)
        identifier = motif.accession or motif.name
        if identifier in line_of:
            raise _error(
                path,
                number,
                f"the motif {identifier!r} was given before, on line {line_of[identifier]}",
                "give every motif an identifier of its own",
            )
        line_of[identifier] = number
        motifs.append(motif)
    return motifs


_Row = tuple[int, str]


def _blocks(lines: Iterable[_Row], path: str | os.PathLike[str]) -> list[tuple[int, str, list[_Row]]]:
    """Group the rows under their headers; rows before any header are the raw form."""
    blocks: list[tuple[int, str, list[_Row]]] = []
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith(">"):
            blocks.append((number, text, []))
            continue
        if not blocks:
            blocks.append((number, "", []))
        blocks[-1][2].append((number, text))
    return blocks


def _motif(path: str | os.PathLike[str], number: int, header: str, rows: list[_Row]) -> Motif:
    words = header[1:].split() if header else [Path(path).name.split(".")[0].replace(" ", "_") or "motif"]
    if not words:
        raise _error(path, number, "the header has no identifier behind '>'", "name the motif: '>ID name'")
    counts = _counts(path, number, rows)
    totals = counts.sum(axis=1)
    name, accession = (words[1], words[0]) if len(words) > 1 else (words[0], "")
    return Motif(
        name,
        counts / totals[:, None],
        accession=accession,
        # columns that sum to 1 are frequencies, of which the number of sites is not known
        nsites=float(totals.max()) if totals.max() > 1.5 else None,
    )


def _counts(path: str | os.PathLike[str], number: int, rows: list[_Row]) -> npt.NDArray[np.float64]:
    """Read four rows as a (W, 4) matrix."""
    if len(rows) != 4:
        hint = "give rows A, C, G, T, a column a position"
        if rows and all(len(text.split()) == 4 for _, text in rows):
            hint = "turn the matrix: a row a base (A, C, G, T), a column a position"
        raise _error(path, rows[-1][0] if rows else number, f"the matrix has {len(rows)} rows, not 4", hint)
    parsed: dict[str, list[float]] = {}
    for expected, (line, text) in zip(_BASES, rows):
        base, values = _row(path, line, text)
        if (base or expected) in parsed:
            raise _error(path, line, f"row {base or expected} is given twice", "give rows A, C, G, T")
        parsed[base or expected] = values
        if len(values) != len(next(iter(parsed.values()))):
            first = len(next(iter(parsed.values())))
            raise _error(
                path,
                line,
                f"the row has {len(values)} numbers, the one of {next(iter(parsed))} {first}",
                "complete it",
            )
    counts = np.array([parsed[base] for base in _BASES]).T
    totals = counts.sum(axis=1)
    if not (totals > 0).all() or not np.isfinite(totals).all():
        column = int(np.flatnonzero(~(totals > 0) | ~np.isfinite(totals))[0])
        raise _error(
            path,
            rows[0][0],
            f"column {column + 1} sums to {totals[column]:g}",
            "give counts that sum above 0",
        )
    return counts


def _row(path: str | os.PathLike[str], line: int, text: str) -> tuple[str, list[float]]:
    """Split ``A [ 1 2 3 ]``, ``A| 1 2 3`` or ``1 2 3`` into the base, if given, and its numbers."""
    base = ""
    labelled = re.match(r"([A-Za-z])\s*[|:\s\[]", text)
    if labelled:
        base = labelled[1].upper().replace("U", "T")
        text = text[1:].lstrip().lstrip("|:")
        if base not in _BASES:
            raise _error(path, line, f"the row's base is {base!r}", "give rows A, C, G, T")
    values = []
    for token in text.replace("[", " ").replace("]", " ").split():
        try:
            value = float(token)
        except ValueError:
            raise _error(path, line, f"matrix entry {token[:20]!r} is not a number", "give counts") from None
        if not 0 <= value < float("inf"):
            raise _error(
                path, line, f"matrix entry {token[:20]} is no count", "give counts of 0 or more, not log-odds"
            )
        values.append(value)
    if not values:
        raise _error(path, line, "the row holds no number", "give its counts")
    return base, values


def _error(path: str | os.PathLike[str], line: int, what: str, remedy: str) -> SeqplrpError:
    return SeqplrpError(f"{path}, line {line}", what, remedy)
