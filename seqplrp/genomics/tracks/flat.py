"""Arrays of one axis on disk, read a slice at a time.

Not memory maps: the pages of a map count as this process's memory, which is to stay the same however many sequences
there are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np

from seqplrp.errors import SeqplrpError


class Sliceable(Protocol):
    """Numbers on disk, one after the other."""

    dtype: np.dtype

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the numbers from ``start`` up to, not including, ``stop``, as an array of one axis."""
        ...


@dataclass(frozen=True)
class FlatArray:
    """Numbers within a file.

    Parameters
    ----------
    path : Path
        A file with raw little-endian numbers in it.
    dtype : numpy dtype
        Their type.
    count : int
        How many there are.
    begins : int
        At which byte of the file.
    """

    path: Path
    dtype: np.dtype
    count: int
    begins: int = 0

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the numbers from ``start`` up to, not including, ``stop``, as an array of one axis."""
        offset = self.begins + start * self.dtype.itemsize
        wanted = max(0, min(stop, self.count) - start)
        values = np.fromfile(self.path, self.dtype, count=wanted, offset=offset)
        if len(values) != stop - start:
            raise SeqplrpError(self.path, f"ends before number {stop}", "run the command again")
        return values


class JoinedArray:
    """Arrays one after the other, as if they were one.

    Parameters
    ----------
    pieces : sequence of FlatArray
        At least one; all of one type.
    """

    def __init__(self, pieces: Sequence[FlatArray]) -> None:
        self._pieces = list(pieces)
        self._ends = list(accumulate(piece.count for piece in pieces))
        self.dtype = pieces[0].dtype
        if any(piece.dtype != self.dtype for piece in pieces):
            raise ValueError("pieces differ in their type")

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the numbers from ``start`` up to, not including, ``stop``, as an array of one axis."""
        found = list(self._slices(start, stop))
        return found[0] if len(found) == 1 else np.concatenate([np.empty(0, self.dtype), *found])

    def _slices(self, start: int, stop: int) -> Iterator[np.ndarray]:
        number = bisect_right(self._ends, start)
        while start < stop:
            if number == len(self._pieces):
                raise SeqplrpError(self._pieces[-1].path, f"ends before number {stop}", "run the command again")
            before = self._ends[number] - self._pieces[number].count
            upto = min(stop, self._ends[number])
            yield self._pieces[number].read(start - before, upto - before)
            start, number = upto, number + 1
