"""What the lanes under the logos show: known motifs, matches of motifs, seqlets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.genomics import motifs
from seqplrp.genomics.motifs import Motif
from seqplrp.plot import PageLane, PageMark
from seqplrp.recovery.report.runs import Run, Runs
from seqplrp.recovery.seqlets import call_seqlets
from seqplrp.recovery.truth import place_truth, supports


@dataclass(frozen=True)
class MarkOptions:
    """What is marked.

    Parameters
    ----------
    truth : DataFrame, optional
        Known motifs, as `seqplrp.genomics.read_truth_bed` gives them.
    classes : bool
        Whether its column ``class`` tells which classes use each. Where not, as of plain regions, all are marked alike.
    explained_class : str, optional
        The explained class as the truth names it, if the model does not.
    motifs : sequence of Motif
        Those whose matches are marked.
    p_value : float
        Of a match, at most.
    seqlets : bool
        Whether seqlets are called, of each run.
    fdr : float
        Their false discovery rate.
    """

    truth: pd.DataFrame | None = None
    classes: bool = True
    explained_class: str | None = None
    motifs: Sequence[Motif] = field(default=())
    p_value: float = 1e-4
    seqlets: bool = True
    fdr: float = 0.05


@dataclass(frozen=True)
class Marked:
    """What was marked.

    Parameters
    ----------
    lanes : sequence of PageLane
    marks : sequence of PageMark
    seqlets : sequence of (N,) array
        How many each run has on each sequence, NaN where it lacks it; empty where they were not called.
    on_motifs : (N,) array, optional
        The share of the first run's positive relevance on motifs of the explained class: NaN where a sequence has none.
    """

    lanes: Sequence[PageLane]
    marks: Sequence[PageMark]
    seqlets: Sequence[npt.NDArray[np.float64]]
    on_motifs: npt.NDArray[np.float64] | None


def marks_of(runs: Runs, options: MarkOptions) -> Marked:
    """Find what is marked on the shown sequences.

    Raises
    ------
    SeqplrpError
        If the truth is not of these sequences.
    """
    relevance = runs.flat(runs.runs[0], runs.first.arrays.per_base)
    lanes: list[PageLane] = []
    marks: list[PageMark] = []
    on_motifs = None
    if options.truth is not None:
        placed, supporting = _placed(runs, options.truth, options)
        on_motifs = _share_on(runs, relevance, placed[supporting])
        marks += _truth_marks(placed, supporting, len(lanes), options.classes)
        lanes.append(PageLane("known", "truth"))
    called = [_seqlets(runs, run, options.fdr) for run in runs.runs] if options.seqlets else []
    if options.motifs:
        marks += _hit_marks(runs, options, called[0] if called else None, len(lanes))
        lanes.append(PageLane("matches", "hit"))
    for number, (run, found) in enumerate(zip(runs.runs, called), 1):
        several = len(called) > 1
        marks += _seqlet_marks(found, len(lanes), f"{run.title}: " if several else "")
        lanes.append(PageLane(f"seqlets {number}" if several else "seqlets", "seqlet", number - 1))
    counts = [
        np.where(run.there, np.bincount(found["sequence"], minlength=len(runs.rows)), np.nan)
        for run, found in zip(runs.runs, called)
    ]
    return Marked(lanes, marks, counts, on_motifs)


def _placed(runs: Runs, known: pd.DataFrame, options: MarkOptions) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    # a truth speaks of all sequences; those that are not shown have no place here
    all_names = {*runs.first.places.ids.tolist(), *runs.first.places.contigs.tolist()}
    shown_names = {*runs.places.ids.tolist(), *runs.places.contigs.tolist()}
    elsewhere = known["chrom"].isin(all_names - shown_names)
    placed = place_truth(known[~elsewhere].reset_index(drop=True), runs.places, required=not elsewhere.any())
    if not options.classes:
        return placed, np.ones(len(placed), dtype=bool)
    wanted = [options.explained_class or name for name in runs.runs[0].texts("class")]
    if any(wanted):
        return placed, supports(placed, wanted)
    return placed, (placed["class"] != ".").to_numpy(dtype=bool)


def _share_on(runs: Runs, relevance: npt.NDArray[np.float32], placed: pd.DataFrame) -> npt.NDArray[np.float64]:
    offsets = runs.offsets
    mask = np.zeros(int(offsets[-1]), dtype=bool)
    for record, start, end in zip(*(placed[name].tolist() for name in ("record", "start", "end"))):
        mask[offsets[record] + start : offsets[record] + end] = True
    positive = np.maximum(relevance.astype(np.float64), 0)
    share = np.full(len(runs.rows), np.nan)
    for number in np.unique(placed["record"].to_numpy(dtype=np.int64)).tolist():
        here = slice(int(offsets[number]), int(offsets[number + 1]))
        if (total := positive[here].sum()) > 0:
            share[number] = positive[here][mask[here]].sum() / total
    return share


def _truth_marks(
    placed: pd.DataFrame, supporting: npt.NDArray[np.bool_], lane: int, classes: bool
) -> Iterator[PageMark]:
    columns = (placed[name].tolist() for name in ("record", "start", "end", "motif", "strand", "class"))
    for (record, start, end, motif, strand, of), strong in zip(zip(*columns), supporting.tolist()):
        note = "" if not classes else "of no class" if of == "." else f"of {of}"
        yield PageMark(record, lane, start, end, motif if motif != "." else "motif", strand, strong, note)


def _seqlets(runs: Runs, run: Run, fdr: float) -> pd.DataFrame:
    """Call a run's seqlets, on its sequences of one length together; null is its track in random order."""
    relevance = runs.flat(run, run.found.arrays.per_base)
    lengths = np.where(run.there, np.diff(runs.offsets), 0)
    parts = []
    for length in np.unique(lengths[lengths > 0]).tolist():
        rows = np.flatnonzero(lengths == length)
        maps = relevance[runs.offsets[rows][:, None] + np.arange(length)]
        found = call_seqlets(maps, fdr=fdr)
        found["sequence"] = rows[found["sequence"].to_numpy(dtype=np.int64)]
        parts.append(found)
    return pd.concat(parts, ignore_index=True).sort_values(["sequence", "start"], ignore_index=True)


def _seqlet_marks(called: pd.DataFrame, lane: int, of: str) -> Iterator[PageMark]:
    columns = ("sequence", "start", "end", "sign", "mass", "q")
    for sequence, start, end, sign, mass, q in zip(*(called[name].tolist() for name in columns)):
        name = "+" if sign > 0 else "\u2212"
        yield PageMark(sequence, lane, start, end, name, ".", sign > 0, f"{of}relevance {mass:+.3g}, q {q:.2g}")


def _hit_marks(runs: Runs, options: MarkOptions, called: pd.DataFrame | None, lane: int) -> Iterator[PageMark]:
    """Mark matches; those that a seqlet of the first run covers by half are filled: there relevance and motif agree."""
    seqlets: dict[int, list[tuple[int, int]]] = defaultdict(list)
    if called is not None:
        for sequence, start, end in zip(*(called[name].tolist() for name in ("sequence", "start", "end"))):
            seqlets[sequence].append((start, end))
    lengths = np.diff(runs.offsets)
    for length in np.unique(lengths[lengths > 0]).tolist():
        rows = np.flatnonzero(lengths == length)
        codes = runs.codes[runs.offsets[rows][:, None] + np.arange(length)]
        for motif in options.motifs:
            for row, start, end, strand, p in _matches(codes, motif, options.p_value):
                sequence = int(rows[row])
                covered = sum(max(0, min(end, b) - max(start, a)) for a, b in seqlets[sequence])
                strong = called is None or 2 * covered >= min(end - start, 8)
                yield PageMark(sequence, lane, start, end, motif.name, strand, strong, f"p {p:.1e}")


def _matches(codes: npt.NDArray[np.uint8], motif: Motif, p_value: float) -> Iterator[tuple[int, int, int, str, float]]:
    """Yield the places of a motif; a place that reads alike on both strands once."""
    found = motifs.scan(codes, motif, p_value=p_value).sort_values(["sequence", "start", "p"], kind="stable")
    twice = found.duplicated(["sequence", "start"], keep=False)
    first = found[~found.duplicated(["sequence", "start"])]
    strand = np.where(twice[first.index], ".", first["strand"])
    columns = (first[name].tolist() for name in ("sequence", "start", "end"))
    yield from zip(*columns, strand.tolist(), first["p"].tolist())
