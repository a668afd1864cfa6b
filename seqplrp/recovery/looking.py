"""One explained sequence as a picture: its logos by one or more runs, with known motifs under them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.plot import LogoTrack, Mark, SequencePanel, logo_frame
from seqplrp.recovery.explanations import ExplanationSet
from seqplrp.recovery.truth import Places, place_truth, supports

_PLACE = re.compile(r"\d{1,18}")


def sequence_panel(
    runs: Sequence[ExplanationSet],
    record: str,
    *,
    region: tuple[int, int] | None = None,
    truth: pd.DataFrame | None = None,
    explained_class: str | None = None,
    hypothetical: bool = False,
    titles: Sequence[str] | None = None,
) -> SequencePanel:
    """Collect what a picture of one sequence shows.

    Parameters
    ----------
    runs : sequence of ExplanationSet
        Explanations of the same sequences, one track each, from top to bottom.
    record : str
        The sequence's id.
    region : (start, end), optional
        0-based half-open in the record's own letters; all of it if None.
    truth : DataFrame, optional
        From :func:`seqplrp.genomics.read_truth_bed`; its motifs are marked. A motif of another class than
        the explained one is drawn hollow.
    explained_class : str, optional
        The explained class as the truth names it. If None it is the one that the first run's summary names;
        where that names none, every motif that names a class counts as supporting.
    hypothetical : bool
        Draw the contributions that all four bases would have, instead of the relevance of those present.
    titles : sequence of str, optional
        One for each track; those of the runs if None.

    Returns
    -------
    SequencePanel
        For :func:`seqplrp.plot.logo_panel` or, with others, :func:`seqplrp.plot.comparison_panel`.

    Raises
    ------
    SeqplrpError
        If a run has no such record or another sequence under its id, the region lies outside the record, or
        hypothetical contributions are asked of a run that has none.
    """
    first = runs[0]
    number = _find(first, record)
    letters = first.arrays.codes[first.arrays.positions(number)]
    start, end = _check_region(region, record, len(letters))
    tracks = []
    for run, title in zip(runs, titles or [run.title for run in runs], strict=True):
        here = run.arrays.positions(_find(run, record))
        if run.arrays.codes[here].tobytes() != letters.tobytes():
            raise SeqplrpError(
                f"{run.directory}, record {record!r}",
                f"is another sequence than in {first.directory}",
                "stack explanations of the same FASTA file",
            )
        whole = logo_frame(_heights(run, here, hypothetical), None if hypothetical else letters)
        shown = f"{title}, hypothetical contributions" if hypothetical else title
        tracks.append(LogoTrack(shown, whole.loc[start : end - 1]))
    marks = _marks(first, number, truth, explained_class)
    return SequencePanel(_title(first, number), tracks, marks)


def parse_region(text: str) -> tuple[int, int]:
    """Read ``a-b``, 0-based half-open.

    Raises
    ------
    SeqplrpError
        If it is not that.
    """
    low, dash, high = text.partition("-")
    if not dash or not all(_PLACE.fullmatch(place.strip()) for place in (low, high)):
        raise SeqplrpError("region", f"{text!r} is no region", "give start-end, such as 50-120, counted from 0")
    return int(low), int(high)


def _find(run: ExplanationSet, record: str) -> int:
    ids: list[str] = run.arrays.ids.tolist()
    if record in ids:
        return ids.index(record)
    begin_alike = [name for name in ids if name.startswith(record)][:3]
    near = begin_alike or difflib.get_close_matches(record, ids[:100_000], n=3, cutoff=0.5) or ids[:3]
    what = f"{record!r} is not among the {len(ids)} records of {run.directory}"
    raise SeqplrpError("record", what, f"try {' or '.join(near)}")


def _check_region(region: tuple[int, int] | None, record: str, length: int) -> tuple[int, int]:
    start, end = region or (0, length)
    if not 0 <= start < end <= length:
        raise SeqplrpError(
            "region",
            f"{start}-{end} is not within the {length} bases of {record!r}",
            f"give a start below the end, between 0 and {length}",
        )
    return start, end


def _heights(run: ExplanationSet, here: slice, hypothetical: bool) -> Any:
    if not hypothetical:
        return run.arrays.per_base[here]
    if run.arrays.hypothetical is None:
        raise SeqplrpError(
            "hypothetical",
            f"{run.directory} holds no hypothetical contributions ({run.method} has none)",
            "leave it out, or explain by a rule such as gamma at the first layer",
        )
    return run.arrays.hypothetical[:, here]


def _title(run: ExplanationSet, number: int) -> str:
    """The record's id, its place if it has one on a genome, and what was explained."""
    places = run.places
    title = str(places.ids[number])
    place = f"{places.contigs[number]}:{places.starts[number]}-{places.ends[number]}"
    if places.contigs[number] != title:
        strand = f" ({places.strands[number]})"
        title = f"{title}{'' if place in title else f'  {place}'}{strand}"
    if run.summary is None:
        return title
    name = run.classes[number] or f"target {run.summary['target'].iloc[number]}"
    return f"{title}   {name}: {run.outputs[number]:.3g}"


def _marks(
    run: ExplanationSet, number: int, truth: pd.DataFrame | None, explained_class: str | None
) -> tuple[Mark, ...]:
    if truth is None:
        return ()
    at = run.places
    one = slice(number, number + 1)
    places = Places(at.ids[one], at.contigs[one], at.starts[one], at.ends[one], at.strands[one])
    nearby = truth[truth["chrom"].isin([*places.ids, *places.contigs])]
    if nearby.empty:
        return ()
    placed = place_truth(nearby, places, required=False)
    wanted = explained_class or (run.classes[number] if run.summary is not None else "")
    used = supports(placed, [wanted]) if wanted else (placed["class"] != ".").to_numpy()
    columns = (placed[c].tolist() for c in ("start", "end", "motif", "strand"))
    return tuple(Mark(*row) for row in zip(*columns, used.tolist()))
