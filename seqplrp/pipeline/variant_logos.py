"""Pictures of the variants that change a score most: the logos of both alleles over one another."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqplrp.genomics import encode
from seqplrp.pipeline.variant_effects import Effect

_BEFORE = 40
_AT_MOST = 160  # columns of a picture, however long an allele
_UNKNOWN = 4


@dataclass(frozen=True)
class _Drawn:
    """What a picture is made of: some columns of both alleles, numbered from the variant's first; which end it has."""

    title: str
    titles: tuple[str, str]
    letters: np.ndarray
    gaps: np.ndarray
    relevance: np.ndarray
    first: int
    end: int
    change: str
    axis: str
    file: str


class LargestChanges:
    """Keep the variants and targets whose scores change most, with what a picture needs of them.

    Parameters
    ----------
    most : int
        How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[tuple[float, int, _Drawn]] = []
        self._seen = 0

    def offer(self, effect: Effect, target: int, name: str, scores: tuple[float, float]) -> None:
        """Take a variant in if its score changes more than that of another; of equals the first stays.

        Parameters
        ----------
        effect : Effect
            The variant.
        target : int
            Which of the targets.
        name : str
            What it is called; empty where there is one.
        scores : (float, float)
            Of reference and alternative.
        """
        self._seen += 1
        change = abs(scores[1] - scores[0])
        if not self._most or (len(self._kept) == self._most and change <= self._kept[0][0]):
            return
        put = heapq.heappush if len(self._kept) < self._most else heapq.heapreplace
        put(self._kept, (change, -self._seen, _drawn(effect, target, name, scores)))

    def save(self, folder: Path) -> int:
        """Write the pictures, ``001_NAME.png`` that of the largest change; return how many there are."""
        if self._kept:
            folder.mkdir()
        for rank, (_, _, drawn) in enumerate(sorted(self._kept, key=lambda one: (-one[0], -one[1])), 1):
            _picture(drawn, folder / f"{rank:03d}_{drawn.file}.png")
        return len(self._kept)


def _drawn(effect: Effect, target: int, name: str, scores: tuple[float, float]) -> _Drawn:
    variant = effect.pair.variant
    at = [np.flatnonzero((index >= s.start) & (index < s.stop)) for index, s in _with_places(effect)]
    start = min(int(columns[0]) for columns in at)
    stop = 1 + max(int(columns[-1]) for columns in at)
    first = max(0, start - _BEFORE)
    last = min(len(effect.columns), stop + _BEFORE, first + _AT_MOST)
    shown = effect.columns[first:last]
    codes = encode([effect.pair.reference.sequence, effect.pair.alternative.sequence])
    letters = np.stack([np.where(index < 0, _UNKNOWN, own[index]) for own, index in zip(codes, shown.T, strict=True)])
    place = f"{variant.contig}:{variant.start + 1}"
    alleles = [text if len(text) <= 12 else f"{text[:9]}... ({len(text)})" for text in (variant.ref, variant.alt)]
    known = "" if variant.id == "." else f" {variant.id}"
    output = f"target {name}, " if name.isdecimal() else name and f"{name}, "
    told = f"   {output}change {scores[1] - scores[0]:+.3g}"
    return _Drawn(
        title=f"{variant.name}{known}{told}",
        titles=(f"reference {alleles[0]}, score {scores[0]:.4g}", f"alternative {alleles[1]}, score {scores[1]:.4g}"),
        letters=letters,
        # what is missing at the ends of windows is pushed out of them, not deleted
        gaps=(shown.T < 0) & (np.arange(first, last) < stop),
        relevance=effect.aligned()[:, target, first:last],
        first=first - start,
        end=stop - start,
        change=f"{alleles[0]}>{alleles[1]}",
        axis=f"aligned letters of both alleles; 0 is {place}",
        file=re.sub(r"[^A-Za-z0-9._-]+", "_", f"{variant.name}{name and '_' + name}")[:80],
    )


def _with_places(effect: Effect) -> zip[tuple[np.ndarray, slice]]:
    return zip(effect.columns.T, effect.alleles(), strict=True)


def _picture(drawn: _Drawn, path: Path) -> None:
    # Imported here: matplotlib takes its time, which runs without pictures need not wait for.
    from seqplrp.plot import LogoTrack, Mark, SequencePanel, logo_frame, logo_panel, save_figure

    tracks = [
        LogoTrack(
            title, logo_frame(relevance, letters, start=drawn.first), (drawn.first + np.flatnonzero(gaps)).tolist()
        )
        for title, relevance, letters, gaps in zip(
            drawn.titles, drawn.relevance, drawn.letters, drawn.gaps, strict=True
        )
    ]
    panel = SequencePanel(drawn.title, tracks, [Mark(0, drawn.end, drawn.change)], drawn.axis)
    save_figure(logo_panel(panel, shared_scale=True), path)
