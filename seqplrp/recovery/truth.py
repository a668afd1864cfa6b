"""Known motifs as masks over explained bases: truth, distractors, and bases that say nothing either way."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import motifs
from seqplrp.genomics.motifs import Motif

UNINFORMATIVE_BITS = 0.1
"""Motif positions below this information are left out of the truth and of the background (METHODS, section
6)."""

NO_NAME = "."

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Places:
    """Where explained records lie: on a genome, or each on a contig of its own.

    Parameters
    ----------
    ids, contigs, strands : (N,) arrays of str
        ``strands`` is ``-`` where a record's letters are the reverse complement of its place.
    starts, ends : (N,) arrays of int
        0-based half-open on the contig.
    """

    ids: npt.NDArray[np.str_]
    contigs: npt.NDArray[np.str_]
    starts: IntArray
    ends: IntArray
    strands: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> IntArray:
        """Bases of each record."""
        return self.ends - self.starts


@dataclass(frozen=True)
class MotifMasks:
    """Masks over all bases of all records, one after the other, each shape (total,).

    Attributes
    ----------
    truth : bool
        In a motif that supports the explained class, at a base that carries information.
    distractor : bool
        In another motif, likewise, and not in the truth.
    uninformative : bool
        In motifs only at bases that carry no information.
    """

    truth: BoolArray
    distractor: BoolArray
    uninformative: BoolArray


def place_truth(truth: pd.DataFrame, places: Places, *, where: object = "truth", required: bool = True) -> pd.DataFrame:
    """Find the records that known motifs lie on.

    A row whose ``chrom`` is a record's id is in that record's own coordinates; any other is in those of the
    contig that records were cut from, and may lie on several of them, on either strand, or half on one.

    Parameters
    ----------
    truth : DataFrame
        As :func:`seqplrp.genomics.read_truth_bed` gives it.
    places : Places
        The explained records.
    where : object
        What errors call the truth, such as its file.
    required : bool
        Whether it is an error if no motif lies on any record.

    Returns
    -------
    DataFrame
        One row per motif and record: ``row`` (of the truth), ``record``, ``start``, ``end`` and ``strand``
        in the record's letters, ``first`` (how many of the motif's positions, in the record's direction,
        were cut off at the record's start), ``width`` (of the whole motif), ``motif``, ``class``.

    Raises
    ------
    SeqplrpError
        If a row reaches past the end of the record that it names, or (if required) no row lies on any record.
    """
    chrom = truth["chrom"].to_numpy(dtype=str)
    start, end = (truth[c].to_numpy(dtype=np.int64) for c in ("start", "end"))
    own_row, own_record = _rows_by_id(chrom, places)
    _check_inside(truth, own_row, places.lengths[own_record], where)
    by_genome = ~np.isin(np.arange(len(truth)), own_row)
    row, record = _rows_by_overlap(chrom, start, end, by_genome, places)
    if required and not len(own_row) + len(row):
        what = f"none of its {len(truth)} motifs lies on an explained record"
        raise SeqplrpError(
            where,
            f"{what} ({str(chrom[0])!r} is no record's id or contig)",
            "give the truth of the sequences that were explained",
        )
    flipped = places.strands[record] == "-"
    low = np.where(flipped, places.ends[record] - end[row], start[row] - places.starts[record])
    placed = pd.DataFrame(
        {
            "row": np.concatenate([own_row, row]),
            "record": np.concatenate([own_record, record]),
            "low": np.concatenate([start[own_row], low]),
            "flipped": np.concatenate([np.zeros(len(own_row), dtype=bool), flipped]),
        }
    ).sort_values(["record", "low", "row"], ignore_index=True)
    width = (end - start)[placed["row"]]
    placed["width"] = width
    placed["first"] = np.maximum(0, -placed["low"])
    placed["start"] = np.maximum(0, placed["low"])
    placed["end"] = np.minimum(placed["low"] + width, places.lengths[placed["record"]])
    strand = truth["strand"].to_numpy(dtype=str)[placed["row"]]
    turned = np.select([strand == "+", strand == "-"], ["-", "+"], ".")
    placed["strand"] = np.where(placed["flipped"], turned, strand)
    placed["motif"] = truth["motif"].to_numpy(dtype=str)[placed["row"]]
    placed["class"] = truth["class"].to_numpy(dtype=str)[placed["row"]]
    return placed.drop(columns=["low", "flipped"])


def classes_of(column: pd.Series) -> list[str]:
    """Name the classes that a truth's motifs support, in the order of their first mention."""
    found = (name for text in pd.unique(column) for name in str(text).split(","))
    return [name for name in dict.fromkeys(found) if name not in (NO_NAME, "")]


def supports(placed: pd.DataFrame, explained: Sequence[str] | npt.NDArray[np.str_]) -> BoolArray:
    """Say of each placed motif whether the class that its record was explained for uses it.

    Parameters
    ----------
    placed : DataFrame
        From :func:`place_truth`. Its column ``class`` may name several classes, divided by commas.
    explained : sequence of str, shape (N,)
        The explained class of every record.
    """
    wanted = np.asarray(explained, dtype=str)[placed["record"]]
    pairs = pd.Series(list(zip(placed["class"], wanted)), dtype=object)
    decided = {pair: pair[1] in pair[0].split(",") for pair in pairs.unique()}
    return pairs.map(decided).to_numpy(dtype=bool)


def information(
    placed: pd.DataFrame, known: Mapping[str, Motif] | None, *, where: object = "truth"
) -> dict[str, npt.NDArray[np.float64]]:
    """Look up the information content, in bits, of every motif that a truth names.

    Parameters
    ----------
    placed : DataFrame
        From :func:`place_truth`. Motifs called ``.`` have no profile: every base of theirs counts.
    known : mapping of str to Motif, optional
        By name or accession. The shipped library if None.
    where : object
        What errors call the truth.

    Raises
    ------
    SeqplrpError
        If a motif is unknown, or its width is not that of the truth's regions.
    """
    profiles = {}
    for name, widths in placed.groupby("motif")["width"]:
        if name == NO_NAME:
            continue
        motif = _look_up(str(name), known, where)
        other = widths[widths != motif.width]
        if len(other):
            raise SeqplrpError(
                where,
                f"motif {name!r} covers {other.iloc[0]} bases there, its matrix has {motif.width}",
                "give the matrices that the truth was made with by --motifs",
            )
        profiles[str(name)] = motif.information_content()
    return profiles


def motif_masks(
    placed: pd.DataFrame,
    supporting: BoolArray,
    profiles: Mapping[str, npt.NDArray[np.float64]],
    offsets: IntArray,
) -> MotifMasks:
    """Turn placed motifs into masks.

    A motif on the minus strand is read from its end. Where the strand is unknown (``.``), a base is
    uninformative only if it would be on both. A base that several motifs share is what the best of them
    makes it: truth before distractor before uninformative.

    Parameters
    ----------
    placed : DataFrame
        From :func:`place_truth`.
    supporting : array of bool, one for each row of ``placed``
        From :func:`supports`.
    profiles : mapping of str to array
        From :func:`information`.
    offsets : (N + 1,) array
        Where each record begins in the flat arrays.
    """
    size = (placed["end"] - placed["start"]).to_numpy(dtype=np.int64)
    owner = np.repeat(np.arange(len(placed)), size)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(size) - size, size)
    position = (offsets[placed["record"]] + placed["start"].to_numpy())[owner] + step
    inside = placed["first"].to_numpy()[owner] + step
    informative = _informative(placed, owner, inside, profiles)
    total = int(offsets[-1])
    truth, other, low = (np.zeros(total, dtype=bool) for _ in range(3))
    truth[position[informative & supporting[owner]]] = True
    other[position[informative & ~supporting[owner]]] = True
    low[position[~informative]] = True
    return MotifMasks(truth, other & ~truth, low & ~truth & ~other)


def _informative(
    placed: pd.DataFrame,
    owner: IntArray,
    inside: IntArray,
    profiles: Mapping[str, npt.NDArray[np.float64]],
) -> BoolArray:
    """Whether each base of each placed motif carries information; ``inside`` counts from the motif's left end."""
    names = list(profiles)
    table = np.concatenate([*profiles.values(), [np.inf]]) >= UNINFORMATIVE_BITS
    begins = np.concatenate([[0], np.cumsum([len(profiles[name]) for name in names])]).astype(np.int64)
    number = placed["motif"].map({name: i for i, name in enumerate(names)}).fillna(len(names)).to_numpy(np.int64)
    begin, width = begins[number][owner], placed["width"].to_numpy()[owner]
    nameless = (number == len(names))[owner]
    forward = table[np.where(nameless, len(table) - 1, begin + inside)]
    backward = table[np.where(nameless, len(table) - 1, begin + width - 1 - inside)]
    strand = placed["strand"].to_numpy(dtype=str)[owner]
    either: BoolArray = np.select([strand == "+", strand == "-"], [forward, backward], forward | backward)
    return either


def _rows_by_id(chrom: npt.NDArray[np.str_], places: Places) -> tuple[IntArray, IntArray]:
    record = pd.Index(places.ids).get_indexer(pd.Index(chrom))
    row = np.flatnonzero(record >= 0)
    return row, record[row]


def _check_inside(truth: pd.DataFrame, row: IntArray, length: IntArray, where: object) -> None:
    beyond = np.flatnonzero(truth["end"].to_numpy()[row] > length)
    if len(beyond):
        bad = truth.iloc[int(row[beyond[0]])]
        raise SeqplrpError(
            where,
            f"motif {bad['name']!r} ends at {bad['end']} in {bad['chrom']!r}, which has {length[beyond[0]]} bases",
            "give the truth of the sequences that were explained",
        )


def _rows_by_overlap(
    chrom: npt.NDArray[np.str_], start: IntArray, end: IntArray, wanted: BoolArray, places: Places
) -> tuple[IntArray, IntArray]:
    """All pairs of a row and a record that overlap on a contig."""
    rows, records = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    asked = np.flatnonzero(wanted & np.isin(chrom, places.contigs))
    by_contig: Any = pd.Series(np.arange(len(places))).groupby(places.contigs).indices
    for contig, among in pd.Series(asked).groupby(chrom[asked]).indices.items():
        here, there = asked[among], by_contig[contig]
        there = there[np.argsort(places.starts[there], kind="stable")]
        begins = places.starts[there]
        # A record can overlap only if it begins before the motif ends, and no further left than the longest reaches.
        low = np.searchsorted(begins, start[here] - int(places.lengths[there].max()), side="right")
        high = np.searchsorted(begins, end[here], side="left")
        count = np.maximum(high - low, 0)
        row = np.repeat(here, count)
        step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        record = there[np.repeat(low, count) + step]
        meets = (places.starts[record] < end[row]) & (places.ends[record] > start[row])
        rows.append(row[meets])
        records.append(record[meets])
    return np.concatenate(rows), np.concatenate(records)


def _look_up(name: str, known: Mapping[str, Motif] | None, where: object) -> Motif:
    if known is None:
        try:
            return motifs.load(name)
        except SeqplrpError as error:
            raise SeqplrpError(
                where,
                f"motif {name!r} is not in the library",
                "give its matrix by --motifs, or write '.' in the column motif if every base counts",
            ) from error
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3)
    meant = f"its nearest are {', '.join(near)}" if near else f"it has {', '.join(list(known)[:5])}"
    raise SeqplrpError(where, f"motif {name!r} is not among the matrices given ({meant})", "add its matrix")
