"""Windows taken greedily, the highest score first, none overlapping another: of many tracks, and of long ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LONG = 4000
"""Positions from which a track is searched for all windows at once that nothing near them comes before."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Windows = tuple[Integers, Integers, Integers, Floats]


def take_windows(scores: Scores, widths: Integers, least: float) -> Windows:
    """Take windows until none of a score above `least` is left.

    Parameters
    ----------
    scores : (n, widths, L) array of float32
        Of the window of each width from each start on, 0 where it does not fit. Is overwritten.
    widths : (widths,) array of int
        Ascending.
    least : float
        0 or above.

    Returns
    -------
    row, start, end, score : array
        All rows' first windows, then all second ones, and so on. Of equal scores the narrower window comes first, then
        the one farther left.
    """
    return (one_a_round if scores.shape[2] < LONG else all_a_round)(scores, widths, least)


def one_a_round(scores: Scores, widths: Integers, least: float) -> Windows:
    """Take the best window of every track, again and again: quick for many short tracks."""
    length = scores.shape[2]
    rows = np.arange(len(scores))
    starts = np.arange(length)
    ends = starts[None, :] + widths[:, None]
    taken: list[tuple[Any, ...]] = []
    while True:
        flat = scores.reshape(len(scores), -1)
        at = flat.argmax(axis=1)
        score = flat[np.arange(len(flat)), at]
        keep = score > least
        if not keep.any():
            break
        if not keep.all():
            scores, rows, at, score = scores[keep], rows[keep], at[keep], score[keep]
        width, start = widths[at // length], at % length
        end = start + width
        taken.append((rows, start, end, score.astype(np.float64)))
        overlapping = (starts < end[:, None])[:, None, :] & (ends > start[:, None, None])
        scores[overlapping] = 0.0
    row, start, end, score = _joined(taken, 4)
    return row, start, end, score


def all_a_round(scores: Scores, widths: Integers, least: float) -> Windows:
    """Take at once all windows that are best among those that could overlap them: as few rounds as a track needs.

    A window that comes before all that overlap it is taken whatever else is, so this takes the same windows. A round
    of `one_a_round` looks at all of a track for one window, and a record of 200,000 bases has thousands.
    """
    number = scores.argmax(axis=1)  # of the best window's width, from each start on
    best = np.take_along_axis(scores, number[:, None], axis=1)[:, 0]
    reach = int(widths.max()) - 1
    taken: list[tuple[Any, ...]] = []
    while True:
        turns = np.where(best > least, _turns(best, number), 0)
        row, start = np.nonzero((turns > 0) & (turns == _highest_near(turns, reach)))
        if not len(row):
            break
        end = start + widths[number[row, start]]
        taken.append((row, start, end, best[row, start].astype(np.float64), turns[row, start]))
        inside, following = _beside(row, start, end, best.shape, reach)
        rows, at = np.nonzero(inside | (np.arange(best.shape[1]) + reach >= following))
        gone = inside[rows, at, None] | (at[:, None] + widths > following[rows, at, None])
        left = np.where(gone, np.float32(0), scores[rows, :, at])
        scores[rows, :, at], number[rows, at], best[rows, at] = left, left.argmax(axis=1), left.max(axis=1)
    row, start, end, score, turn = _joined(taken, 5)
    of_row = np.lexsort((-turn, row))
    place = np.arange(len(row)) - np.searchsorted(row[of_row], row[of_row])  # among the windows of its row
    order = of_row[np.lexsort((row[of_row], place))]
    return row[order], start[order], end[order], score[order]


def _turns(best: Scores, number: Integers) -> Integers:
    """Return which comes first, as whole numbers: the higher score, the narrower window, the one farther left."""
    length = best.shape[1]
    size = best.view(np.uint32).astype(np.int64)  # of floats of one sign the bits are in their order
    turns: Integers = (size << 32) | (2**32 - 1 - (number * length + np.arange(length)))
    return turns


def _highest_near(values: Integers, reach: int) -> Integers:
    """Return the highest of each value and so many on either side (van Herk 1992, Pattern Recognit. Lett. 13:517)."""
    n, length = values.shape
    size = 2 * reach + 1
    padded = np.zeros((n, -(-(length + 2 * reach) // size) * size), dtype=values.dtype)
    padded[:, reach : reach + length] = values
    blocks = padded.reshape(n, -1, size)
    up_to = np.maximum.accumulate(blocks, axis=2).reshape(n, -1)
    from_on = np.maximum.accumulate(blocks[:, :, ::-1], axis=2)[:, :, ::-1].reshape(n, -1)
    return np.asarray(np.maximum(from_on[:, :length], up_to[:, size - 1 : size - 1 + length]))


def _beside(
    row: Integers, start: Integers, end: Integers, shape: tuple[int, ...], reach: int
) -> tuple[npt.NDArray[np.bool_], Integers]:
    """Return which positions lie in windows, and of each position where the next window from there on begins."""
    n, length = shape
    edges = np.zeros((n, length + 1), dtype=np.int8)
    edges[row, start] += 1
    edges[row, end] -= 1
    following = np.full((n, length), length + reach + 1)
    following[row, start] = start
    inside = np.cumsum(edges[:, :-1], axis=1, dtype=np.int8) > 0
    return inside, np.minimum.accumulate(following[:, ::-1], axis=1)[:, ::-1]


def _joined(taken: list[tuple[Any, ...]], columns: int) -> tuple[Any, ...]:
    """Put the rounds one after the other; of no round the columns are empty."""
    none = tuple(np.zeros(0, dtype=np.float64 if column == 3 else np.int64) for column in range(columns))
    return tuple(np.concatenate(parts) for parts in zip(none, *taken))
