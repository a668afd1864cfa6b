"""Records along the genome: every covered position once, however many records cover it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.tracks.flat import Sliceable
from seqplrp.genomics.tracks.spool import Spool

Overlaps = Literal["average", "split"]
OVERLAPS: tuple[Overlaps, ...] = ("average", "split")

_BLOCK = 1 << 16


def along_the_genome(
    spool: Spool, array: Sliceable | None = None, *, overlaps: Overlaps = "average"
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Walk along the genome in order and give every covered position once.

    A record of the minus strand is turned first, so that a position's value stands where the base is. What lies before
    a contig or after its end, as in a window that was padded, is left out. Memory is that of the records which overlap
    one place.

    Parameters
    ----------
    spool : Spool
        The records.
    array : Sliceable, optional
        Which of its arrays; per-base relevance unless given.
    overlaps : {"average", "split"}
        What a position has that several records cover: their mean, or the value of the record whose middle is the
        nearest (of two that are as near the one that begins first), so that windows of one length are split midway.

    Yields
    ------
    contig : str
        Sorted by code points.
    start : int
        0-based position of the first value; blocks of a contig follow each other without overlap.
    values : (n,) float32 array
        One value a base.
    """
    if overlaps not in OVERLAPS:
        raise SeqplrpError("overlaps", f"is {overlaps!r}", f"give {' or '.join(map(repr, OVERLAPS))}")
    return _blocks(_on_contigs(spool, array), _Mean() if overlaps == "average" else _Nearest())


@dataclass(frozen=True)
class _Stretch:
    """A record's values on its contig; `middle` is twice the position of its own."""

    contig: str
    start: int
    values: np.ndarray
    middle: int

    @property
    def end(self) -> int:
        return self.start + len(self.values)


def _on_contigs(spool: Spool, array: Sliceable | None) -> Iterator[_Stretch]:
    """Give each record's values along the genome, as far as they lie on its contig."""
    sizes = spool.sizes()
    for place in spool.index.along_the_genome():
        first, last = max(0, -place.start), min(len(place), sizes[place.contig] - place.start)
        if first < last:
            values = spool.plus_strand(place, array)[first:last]
            yield _Stretch(place.contig, place.start + first, values, place.start + place.end - 1)


_Held = npt.NDArray[np.float64]  # (2, n): what is kept of each position


class _Mean:
    """Sums and numbers of values."""

    empty = (0.0, 0.0)

    def add(self, held: _Held, one: _Stretch) -> None:
        held[0] += one.values
        held[1] += 1

    def values(self, held: _Held) -> np.ndarray:
        return np.asarray(held[0] / held[1], np.float32)


class _Nearest:
    """Values and how far each is from its record's middle."""

    empty = (0.0, np.inf)

    def add(self, held: _Held, one: _Stretch) -> None:
        away = np.abs(2 * np.arange(one.start, one.end) - one.middle)
        nearer = away < held[1]
        held[0, nearer] = one.values[nearer]
        held[1, nearer] = away[nearer]

    def values(self, held: _Held) -> np.ndarray:
        return np.asarray(held[0], np.float32)


def _blocks(stretches: Iterable[_Stretch], kept: _Mean | _Nearest) -> Iterator[tuple[str, int, np.ndarray]]:
    """Hold what overlaps, and give what no later stretch can reach."""
    contig, base, held = "", 0, np.empty((2, 0))
    for one in stretches:
        if one.contig != contig or one.start >= base + held.shape[1]:
            if held.shape[1]:
                yield contig, base, kept.values(held)
            contig, base, held = one.contig, one.start, np.empty((2, 0))
        done = one.start - base  # no later record reaches back before this one's start
        if done >= _BLOCK:
            yield contig, base, kept.values(held[:, :done])
            base, held = one.start, held[:, done:]
        grown = np.empty((2, max(0, one.end - base - held.shape[1])))
        grown[:] = np.reshape(kept.empty, (2, 1))
        held = np.concatenate([held, grown], axis=1)
        kept.add(held[:, one.start - base : one.end - base], one)
    if held.shape[1]:
        yield contig, base, kept.values(held)
