"""Intervals lie where they should: apart, inside, and as probable as they are meant to be."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from seqplrp.genomics.simulation.placement import place, room_needed
from seqplrp.genomics.simulation.task import Position


def arrangements(widths: list[int], length: int, spacing: int) -> set[tuple[int, ...]]:
    """List all starts at which the intervals neither overlap nor come too near each other."""
    found: set[tuple[int, ...]] = set()

    def extend(order: tuple[int, ...], starts: dict[int, int], at: int) -> None:
        if not order:
            found.add(tuple(starts[i] for i in range(len(widths))))
            return
        for start in range(at, length - widths[order[0]] + 1):
            extend(order[1:], {**starts, order[0]: start}, start + widths[order[0]] + spacing)

    for order in permutations(range(len(widths))):
        extend(order, {}, 0)
    return found


def test_every_arrangement_of_uniform_intervals_is_as_probable_as_any_other():
    widths, length, spacing = [2, 3, 1], 10, 1
    possible = arrangements(widths, length, spacing)
    n = 60 * len(possible)
    start, placed = place(
        np.tile(widths, (n, 1)), np.ones((n, 3), bool), [None] * 3, length, spacing, np.random.default_rng(0)
    )
    assert placed.all()
    counts = Counter(map(tuple, start.tolist()))
    assert set(counts) == possible
    assert chisquare(list(counts.values())).pvalue > 1e-4


@st.composite
def scenes(draw):
    slots = draw(st.integers(1, 5))
    widths = draw(st.lists(st.integers(1, 12), min_size=slots, max_size=slots))
    spacing = draw(st.integers(0, 5))
    length = room_needed(widths, spacing) + draw(st.integers(0, 30))
    normal = st.builds(Position, st.floats(0, 60), st.floats(0.1, 20))
    positions = draw(st.lists(st.none() | normal, min_size=slots, max_size=slots))
    return widths, spacing, length, positions, draw(st.integers(0, 2**32 - 1))


@given(scenes())
@settings(max_examples=150, deadline=None)
def test_placed_intervals_stay_inside_and_keep_their_distance(scene):
    widths, spacing, length, positions, seed = scene
    rng = np.random.default_rng(seed)
    n = 20
    active = rng.random((n, len(widths))) < 0.8
    start, placed = place(np.tile(widths, (n, 1)), active, positions, length, spacing, rng)
    for row in np.flatnonzero(placed):
        there = sorted((start[row, s], start[row, s] + widths[s]) for s in np.flatnonzero(active[row]))
        assert all(a >= 0 and b <= length for a, b in there)
        assert all(after - before >= spacing for (_, before), (after, _) in pairwise(there))


def test_uniform_intervals_find_the_only_arrangement_of_a_full_sequence():
    widths = np.tile([4, 3], (50, 1))
    start, placed = place(widths, np.ones((50, 2), bool), [None, None], 9, 2, np.random.default_rng(0))
    assert placed.all()
    assert {tuple(row) for row in start.tolist()} == {(0, 6), (5, 0)}


def test_a_sequence_without_room_is_told_and_the_others_are_placed():
    widths = np.array([[6, 6], [3, 3]])
    for positions in ([None, None], [Position(5, 2), None]):
        placed = place(widths, np.ones((2, 2), bool), positions, 10, 0, np.random.default_rng(0))[1]
        assert placed.tolist() == [False, True]


def test_a_normal_position_is_the_distribution_of_the_middle():
    n, width = 20000, 9
    start, _ = place(
        np.full((n, 1), width),
        np.ones((n, 1), bool),
        [Position(100.0, 12.0)],
        200,
        0,
        np.random.default_rng(0),
    )
    middle = start[:, 0] + (width - 1) / 2
    assert abs(middle.mean() - 100) < 0.5
    assert abs(middle.std() - 12) < 0.3


def test_a_crowded_centre_is_filled_from_the_middle_outwards():
    start, placed = place(
        np.full((200, 3), 10),
        np.ones((200, 3), bool),
        [Position(100.0, 0.5)] * 3,
        200,
        0,
        np.random.default_rng(0),
    )
    assert placed.all()
    assert np.abs(np.sort(start, axis=1) + 4.5 - 100).max() < 25
