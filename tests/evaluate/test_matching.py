"""Cutting maps to a Gini index against trying every cut, with every goal that can't be met said so."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqplrp import SeqplrpError
from seqplrp.evaluate import gini, match_gini


def every_cut(values: np.ndarray) -> dict[float, np.ndarray]:
    """Each map that keeps all values of at least some size, by that size."""
    return {size: np.where(np.abs(values) >= size, values, 0.0) for size in np.unique(np.abs(values[values != 0]))}


@given(st.integers(0, 10_000), st.floats(0, 1), st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_nearest_of_all_cuts_is_found_and_the_status_is_right(seed: int, goal: float, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(1, 15)) * (rng.random((1, 15)) < 0.7)
    values = np.round(values, 0 if ties else 3)
    values[0, 0] = 1.0
    got = match_gini(values, goal)
    reached = {size: gini(cut)[0] for size, cut in every_cut(values[0]).items()}
    best = min(abs(index - goal) for index in reached.values())
    assert abs(got.gini[0] - goal) == pytest.approx(best, abs=1e-12)
    assert got.gini[0] == pytest.approx(gini(got.relevance)[0], abs=1e-12)
    assert any(np.array_equal(got.relevance[0], cut) for cut in every_cut(values[0]).values())
    low, high = min(reached.values()), max(reached.values())
    expected = "sparser already" if goal < low - 1e-9 else "can't be as sparse" if goal > high + 1e-9 else "met"
    assert got.status[0] == expected
    assert got.met[0] == (expected == "met")


def test_each_map_gets_its_own_goal_and_its_own_gini_cuts_nothing() -> None:
    rng = np.random.default_rng(1)
    dense, sparse = rng.normal(size=(50, 200)), rng.normal(size=(50, 200)) * (rng.random((50, 200)) < 0.2)
    got = match_gini(dense, gini(sparse))
    assert got.met.all()
    np.testing.assert_allclose(got.gini, gini(sparse), atol=0.005)  # within half a step of one position in 200
    assert (got.relevance[got.kept] == dense[got.kept]).all()
    assert not got.relevance[~got.kept].any()
    same = match_gini(dense, gini(dense))
    np.testing.assert_array_equal(same.relevance, dense)
    assert same.met.all()


def test_the_smallest_go_first_whatever_their_sign_and_equal_sizes_together() -> None:
    r = np.array([[5.0, -4.0, 1.0, -1.0, 0.5, 0.0]])
    goals = [gini(np.where(np.abs(r) >= size, r, 0.0))[0] for size in (0.5, 1.0, 4.0, 5.0)]
    kept = [match_gini(r, goal).kept[0].tolist() for goal in goals]
    assert kept == [
        [True, True, True, True, True, False],
        [True, True, True, True, False, False],
        [True, True, False, False, False, False],
        [True, False, False, False, False, False],
    ]


def test_goals_that_can_not_be_met_are_said_and_the_nearest_is_given() -> None:
    r = np.array([[3.0, 2.0, 1.0, 1.0]] * 4 + [[0.0] * 4])
    got = match_gini(r, [0.1, 0.99, np.nan, 0.75, 0.5])
    assert got.status.tolist() == ["sparser already", "can't be as sparse", "undefined", "met", "undefined"]
    np.testing.assert_array_equal(got.relevance[0], r[0])
    np.testing.assert_array_equal(got.relevance[1], [3.0, 0.0, 0.0, 0.0])
    assert not got.relevance[[2, 4]].any()
    assert not got.kept[[2, 4]].any()
    assert np.isnan(got.gini[[2, 4]]).all()


def test_ignored_positions_are_neither_counted_nor_cut() -> None:
    rng = np.random.default_rng(2)
    r = rng.normal(size=(5, 40))
    padded = np.insert(r, [0, 7, 40], [100.0, 0.001, -50.0], axis=1)
    ignore = np.insert(np.zeros_like(r), [0, 7, 40], 1, axis=1).astype(bool)
    plain, got = match_gini(r, 0.8), match_gini(padded, 0.8, ignore=ignore)
    np.testing.assert_array_equal(got.relevance[~ignore].reshape(5, 40), plain.relevance)
    np.testing.assert_array_equal(got.relevance[ignore], padded[ignore])
    np.testing.assert_allclose(got.gini, plain.gini)
    np.testing.assert_allclose(got.gini, gini(got.relevance, ignore=ignore))


@given(st.integers(0, 1000), st.sampled_from([1e-300, 1e300]))
@settings(max_examples=20, deadline=None)
def test_a_maps_size_changes_nothing(seed: int, factor: float) -> None:
    r = np.round(np.random.default_rng(seed).normal(size=(3, 20)), 2)
    np.testing.assert_array_equal(match_gini(r * factor, 0.7).kept, match_gini(r, 0.7).kept)


@pytest.mark.parametrize(
    ("goal", "text"), [([0.5], "goal: has shape (1,) for 2 maps"), (1.5, "goal: holds values outside 0 to 1")]
)
def test_goals_that_are_none_are_refused(goal, text: str) -> None:
    with pytest.raises(SeqplrpError) as error:
        match_gini(np.ones((2, 3)), goal)
    assert text in str(error.value)


def test_two_thousand_maps_of_600_bp_take_a_blink() -> None:
    maps = np.random.default_rng(0).normal(size=(2000, 600))
    start = time.perf_counter()
    match_gini(maps, 0.9)
    assert time.perf_counter() - start < 6.0  # rules out a loop over maps on a busy machine
