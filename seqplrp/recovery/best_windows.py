"""The windows in which filters carry most: taken from each batch of sequences, and kept while batches go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seqplrp.recovery.layer_reading import Reading

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class BestWindows:
    """The windows of a filter with the highest relevance, from the highest down.

    Attributes
    ----------
    codes : ndarray of uint8, shape (K, W)
        Their bases, A = 0 ... T = 3.
    relevance : ndarray of float64, shape (K,)
        What the filter carries there, above 0.
    ids : tuple of str
        Their sequences.
    starts : ndarray of int64, shape (K,)
        Where they start in those, 0-based, from the left whatever the strand.
    strands : tuple of {"+", "-"}
        "-" where the layer reads the reverse complement; `codes` are what it reads.
    """

    codes: Codes
    relevance: Floats
    ids: tuple[str, ...]
    starts: npt.NDArray[np.int64]
    strands: tuple[Literal["+", "-"], ...]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.codes)

    def counts(self) -> npt.NDArray[np.int64]:
        """Return how often each base stands at each position: (W, 4)."""
        return np.stack([(self.codes == base).sum(0) for base in range(4)], axis=1)


@dataclass(frozen=True)
class KeptWindows:
    """The best windows of all filters, (C, K) each, from the highest relevance down; 0 where there is none."""

    relevance: Floats
    order: npt.NDArray[np.int64]  # number of the sequence: the earlier one goes first among equals
    starts: npt.NDArray[np.int64]
    codes: Codes  # (C, K, W)
    ids: npt.NDArray[np.object_]
    reverse: npt.NDArray[np.bool_]


def no_windows(filters: int, width: int) -> KeptWindows:
    """Keep nothing yet, of so many filters with windows of so many bases."""
    integers = np.zeros((filters, 0), dtype=np.int64)
    return KeptWindows(
        np.zeros((filters, 0)),
        integers,
        integers,
        np.zeros((filters, 0, width), dtype=np.uint8),
        np.zeros((filters, 0), dtype=object),
        np.zeros((filters, 0), dtype=bool),
    )


def whole_windows(letters: Codes, starts: npt.NDArray[np.int64], width: int, reading: Reading) -> npt.NDArray[np.bool_]:
    """Tell which windows lie on what is read of the sequence and hold no N: (N, L_out)."""
    length = letters.shape[1]
    unknown = np.zeros((len(letters), length + 1), dtype=np.int64)
    unknown[:, 1:] = (letters > 3).cumsum(1)
    inside = (starts >= max(0, -reading.left)) & (starts + width <= length + min(0, reading.right))
    left, right = (np.clip(at, 0, length) for at in (starts, starts + width))
    return np.asarray(inside & (unknown[:, right] == unknown[:, left]))


@dataclass(frozen=True)
class FoundWindows:
    """The best windows of each sequence of a batch, one row a sequence and turn, as (N * turns, C)."""

    relevance: npt.NDArray[Any]
    rows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]


def best_of_each(above: npt.NDArray[Any], starts: npt.NDArray[np.int64], width: int, turns: int) -> FoundWindows:
    """Take the highest window of each sequence and filter, then the highest that does not overlap it, and so on.

    What is taken is set to 0 in `above`.
    """
    relevance, places = [], []
    stride = int(starts[1] - starts[0]) if len(starts) > 1 else 1
    beside = np.arange(1 - width, width)
    beside = beside[beside % stride == 0] // stride
    for turn in range(turns):
        at = above.argmax(2)
        relevance.append(np.take_along_axis(above, at[:, :, None], 2)[:, :, 0])
        places.append(starts[at])
        if turn + 1 < turns:
            # Clipping can't hit a window that does not overlap: those at the ends are nearer than the ones clipped.
            overlapping = np.clip(at[:, :, None] + beside, 0, len(starts) - 1)
            np.put_along_axis(above, overlapping, 0, 2)
    rows = np.tile(np.arange(len(above)), turns)
    return FoundWindows(np.concatenate(relevance), rows, np.concatenate(places))


@dataclass(frozen=True)
class Batch:
    """Sequences as they are read (turned, if reversed), and how many came before them."""

    letters: Codes
    ids: Sequence[str]
    reverse: bool
    before: int


def merged(kept: KeptWindows, batch: Batch, found: FoundWindows, top: int) -> KeptWindows:
    """Merge a batch's best windows into those kept so far."""
    filters, old = kept.relevance.shape
    width = kept.codes.shape[2]
    new_starts = batch.letters.shape[1] - width - found.starts if batch.reverse else found.starts
    relevance = np.concatenate([kept.relevance, found.relevance.T], axis=1)
    order = np.concatenate([kept.order, np.tile(found.rows + batch.before, (filters, 1))], axis=1)
    starts = np.concatenate([kept.starts, new_starts.T], axis=1)
    chosen = np.lexsort((starts, order, -relevance), axis=1)[:, :top]
    picked = np.take_along_axis(relevance, chosen, 1)
    most = int((picked > 0).sum(1).max(initial=0))
    chosen, picked = chosen[:, :most], picked[:, :most]

    codes = np.zeros((*chosen.shape, width), dtype=np.uint8)
    names, reverse = np.full(chosen.shape, "", dtype=object), np.zeros(chosen.shape, dtype=bool)
    at = np.nonzero(chosen < old)
    for into, source in ((codes, kept.codes), (names, kept.ids), (reverse, kept.reverse)):
        into[at] = source[at[0], chosen[at]]
    at = np.nonzero((chosen >= old) & (picked > 0))
    rows = found.rows[chosen[at] - old]
    first = found.starts.T[at[0], chosen[at] - old]
    codes[at] = batch.letters[rows[:, None], first[:, None] + np.arange(width)]
    names[at] = np.array(list(batch.ids), dtype=object)[rows]
    reverse[at] = batch.reverse
    return KeptWindows(
        picked, np.take_along_axis(order, chosen, 1), np.take_along_axis(starts, chosen, 1), codes, names, reverse
    )
