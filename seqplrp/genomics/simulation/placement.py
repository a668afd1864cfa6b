"""Where things lie: intervals in a sequence that do not overlap and keep their distance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqplrp.genomics.simulation.task import Position

_CELLS_AT_ONCE = 1 << 20
_ATTEMPTS = 200

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def place(
    width: Ints,
    active: Bools,
    positions: Sequence[Position | None],
    length: int,
    min_spacing: int,
    rng: np.random.Generator,
) -> tuple[Ints, Bools]:
    """Draw starts of intervals that do not overlap.

    Parameters
    ----------
    width : ndarray of int, shape (N, S)
        Widths of up to S intervals in each of N sequences.
    active : ndarray of bool, shape (N, S)
        Which of them are there.
    positions : sequence of Position or None, length S
        Where the middle of each lies; None is uniform.
    length : int
        Of the sequences.
    min_spacing : int
        Bases at least between two intervals.
    rng : numpy.random.Generator

    Returns
    -------
    start : ndarray of int, shape (N, S)
        Meaningless where not active.
    placed : ndarray of bool, shape (N,)
        False where no room was found.

    Notes
    -----
    Where all are uniform, every arrangement has the same probability: a random order, and the bases left over
    divided at random. Otherwise intervals are placed one after another in a random order, those with a position
    first, each from its own distribution over the places that are still open; where that runs into a dead end the
    sequence starts again.
    """
    if all(position is None for position in positions):
        return _place_uniform(width, active, length, min_spacing, rng)
    n = len(width)
    start = np.zeros(width.shape, dtype=np.int64)
    todo = np.arange(n)
    for _ in range(_ATTEMPTS):
        placed = np.zeros(len(todo), dtype=bool)
        rows_at_once = max(1, _CELLS_AT_ONCE // length)
        for first in range(0, len(todo), rows_at_once):
            part = todo[first : first + rows_at_once]
            start[part], placed[first : first + rows_at_once] = _place_in_turn(
                width[part], active[part], positions, length, min_spacing, rng
            )
        todo = todo[~placed]
        if not todo.size:
            break
    done = np.ones(n, dtype=bool)
    done[todo] = False
    return start, done


def room_needed(widths: Sequence[int], min_spacing: int) -> int:
    """Return the fewest bases that hold intervals of these widths."""
    return sum(widths) + min_spacing * max(0, len(widths) - 1)


def _place_uniform(
    width: Ints, active: Bools, length: int, min_spacing: int, rng: np.random.Generator
) -> tuple[Ints, Bools]:
    n, slots = width.shape
    order = np.argsort(np.where(active, rng.random((n, slots)), 2.0), axis=1)
    there = np.take_along_axis(active, order, axis=1)
    sizes = np.where(there, np.take_along_axis(width, order, axis=1), 0)
    number = there.sum(axis=1)
    slack = length - sizes.sum(axis=1) - min_spacing * np.maximum(number - 1, 0)
    placed = slack >= 0
    before = sizes.cumsum(axis=1) - sizes + min_spacing * np.arange(slots)
    sorted_start = _sorted_multiset(np.maximum(slack, 0), number, slots, rng) + before
    start = np.empty_like(sorted_start)
    np.put_along_axis(start, order, sorted_start, axis=1)
    return start, placed


def _sorted_multiset(highest: Ints, number: Ints, slots: int, rng: np.random.Generator) -> Ints:
    """Draw `number` values of 0..highest with repetition, all multisets alike, in ascending order: (N, slots).

    Sets of `number` out of ``highest + number`` values stand for multisets; Floyd's algorithm draws such a set.
    Unused columns hold large values.
    """
    n = len(highest)
    chosen = np.full((n, slots), np.iinfo(np.int64).max // 2)
    total = highest + number
    for step in range(slots):
        used = step < number
        top = np.where(used, total - number + step, 0)
        draw = np.minimum((rng.random(n) * (top + 1)).astype(np.int64), top)
        taken = (chosen[:, :step] == draw[:, None]).any(axis=1)
        chosen[used, step] = np.where(taken, top, draw)[used]
    chosen.sort(axis=1)
    return chosen - np.arange(slots)


def _place_in_turn(
    width: Ints,
    active: Bools,
    positions: Sequence[Position | None],
    length: int,
    min_spacing: int,
    rng: np.random.Generator,
) -> tuple[Ints, Bools]:
    n, slots = width.shape
    rows = np.arange(n)
    centre = np.array([0.0 if p is None else p.centre for p in positions])
    sd = np.array([np.inf if p is None else p.sd for p in positions])
    order = np.argsort(rng.random((n, slots)) + np.isinf(sd) + 2.0 * ~active, axis=1)
    start = np.zeros((n, slots), dtype=np.int64)
    placed = np.ones(n, dtype=bool)
    occupied = np.zeros((n, length), dtype=bool)
    places = np.arange(length)
    for slot in order.T:
        there = active[rows, slot]
        wide = width[rows, slot][:, None]
        taken = np.zeros((n, length + 1), dtype=np.int32)
        np.cumsum(occupied, axis=1, out=taken[:, 1:])
        low = np.broadcast_to(np.maximum(places - min_spacing, 0), (n, length))
        high = np.minimum(places + wide + min_spacing, length)
        free = np.take_along_axis(taken, high, axis=1) == np.take_along_axis(taken, low, axis=1)
        free &= places + wide <= length
        z = (places + (wide - 1) / 2 - centre[slot][:, None]) / sd[slot][:, None]
        # relative to the best place that is open, so that a crowded centre does not underflow to nothing
        log_weight = np.where(free, -0.5 * z * z, -np.inf)
        best = log_weight.max(axis=1, keepdims=True)
        open_ = np.isfinite(best[:, 0])
        weight = np.exp(log_weight - np.where(open_[:, None], best, 0.0)).cumsum(axis=1)
        pick = (weight <= (rng.random(n) * weight[:, -1])[:, None]).sum(axis=1)
        pick = np.minimum(pick, length - 1)
        start[rows[there], slot[there]] = pick[there]
        placed &= open_ | ~there
        filled = (places >= pick[:, None]) & (places < pick[:, None] + wide)
        occupied |= filled & there[:, None]
    return start, placed
