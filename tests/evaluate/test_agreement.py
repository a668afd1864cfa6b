"""Likeness of two maps against scipy row by row, against sampled tie orders, and at the ends of its scales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from seqplrp import SeqplrpError
from seqplrp.evaluate import cosine, pearson, relative_l1, spearman, top_overlap


def pair(seed: int, n: int = 8, length: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two pruned-looking maps that have something in common, and positions to ignore."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, length))
    first, second = (np.round(common + rng.normal(size=(n, length)), 1) for _ in range(2))
    return first * (rng.random((n, length)) < 0.6), second, rng.random((n, length)) < 0.15


@pytest.mark.parametrize("seed", range(3))
def test_correlations_and_cosine_equal_scipys_over_the_counted_positions(seed: int) -> None:
    a, b, ignore = pair(seed)
    got = {
        "pearson": pearson(a, b, ignore=ignore),
        "spearman": spearman(a, b, ignore=ignore),
        "size": spearman(a, b, ignore=ignore, size=True),
        "cosine": cosine(a, b, ignore=ignore),
    }
    for i in range(len(a)):
        x, y = a[i, ~ignore[i]], b[i, ~ignore[i]]
        assert got["pearson"][i] == pytest.approx(stats.pearsonr(x, y).statistic)
        assert got["spearman"][i] == pytest.approx(stats.spearmanr(x, y).statistic)
        assert got["size"][i] == pytest.approx(stats.spearmanr(np.abs(x), np.abs(y)).statistic)
        assert got["cosine"][i] == pytest.approx(1 - distance.cosine(x, y))


def test_the_distance_is_zero_for_equal_maps_two_for_opposite_and_for_disjoint_ones_and_by_hand_between() -> None:
    a = np.array([[1.0, -2.0, 0.0, 3.0]])
    assert relative_l1(a, a)[0] == 0.0
    assert relative_l1(a, -a)[0] == pytest.approx(2.0)
    assert relative_l1(a, [[0.0, 0.0, 5.0, 0.0]])[0] == pytest.approx(2.0)
    assert relative_l1(a, [[1.0, -1.0, 0.0, 5.0]])[0] == pytest.approx(2 * (1 + 2) / (6 + 7))


def test_the_overlap_of_the_highest_positions_by_hand() -> None:
    a = np.array([[9.0, -8.0, 7.0, 1.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05]])
    b = np.array([[9.0, 0.1, -7.0, 1.0, 0.5, 0.4, 0.3, 0.2, 8.0, 0.05]])
    assert top_overlap(a, b, top=0.1)[0] == 1.0
    assert top_overlap(a, b, top=0.3)[0] == pytest.approx(2 / 3)
    assert top_overlap(a, b, top=0.3, ignore=np.arange(10)[None] == 0)[0] == pytest.approx(2 / 3)  # 1 2 3, 8 2 3
    assert top_overlap(a, b, top=1.0)[0] == 1.0


def test_zeros_are_never_among_the_highest() -> None:
    few, other = np.zeros((1, 20)), np.linspace(1, 2, 20)[None]
    few[0, [3, 19]] = 5.0, 4.0
    assert top_overlap(few, few, top=0.5)[0] == 1.0
    assert top_overlap(few, other, top=0.5)[0] == pytest.approx(1 / 2)  # the two highest of each: 19 is common
    disjoint = np.roll(few, 1, axis=1)
    assert top_overlap(few, disjoint, top=0.5)[0] == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_ties_at_the_edge_give_the_mean_over_random_orders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(1, 4, size=12).astype(float) for _ in range(2))
    found = []
    for _ in range(6000):
        tops = [set(np.lexsort((rng.random(12), -values))[:5].tolist()) for values in (a, b)]
        found.append(len(tops[0] & tops[1]) / 5)
    assert top_overlap(a, b, top=5 / 12)[0] == pytest.approx(np.mean(found), abs=0.01)


def test_unrelated_maps_overlap_by_chance_as_the_docstring_says() -> None:
    rng = np.random.default_rng(0)
    got = top_overlap(rng.normal(size=(3000, 50)), rng.normal(size=(3000, 50)), top=0.2)
    assert got.mean() == pytest.approx(0.2, abs=0.01)


def test_maps_without_a_shape_have_no_likeness_and_nothing_warns(recwarn) -> None:
    ones, zeros, some = np.full((1, 7), 0.1), np.zeros((1, 7)), np.arange(7.0)[None]
    for flat in (ones, zeros):
        assert np.isnan(pearson(flat, some)[0])
        assert np.isnan(spearman(some, flat)[0])
    assert np.isnan(cosine(zeros, some)[0])
    assert np.isnan(top_overlap(zeros, some)[0])
    assert np.isnan(relative_l1(zeros, zeros)[0])
    assert relative_l1(zeros, some)[0] == pytest.approx(2.0)
    nothing = np.ones((1, 7))
    for measure in (pearson, spearman, cosine, relative_l1, top_overlap):
        assert np.isnan(measure(some, some, ignore=nothing)[0])
    assert not recwarn.list


@given(st.integers(0, 10_000), st.sampled_from([1e-300, 1e-9, 1e9, 1e150]))
@settings(max_examples=25, deadline=None)
def test_every_likeness_is_symmetric_and_only_the_distance_knows_a_maps_size(seed: int, factor: float) -> None:
    a, b, ignore = pair(seed, n=3)
    for measure in (pearson, spearman, cosine, relative_l1, top_overlap):
        value = measure(a, b, ignore=ignore)
        np.testing.assert_allclose(measure(b, a, ignore=ignore), value, atol=1e-12)
        np.testing.assert_allclose(measure(a * factor, b * factor, ignore=ignore), value, atol=1e-12)
        if measure is not relative_l1:
            np.testing.assert_allclose(measure(a * factor, b, ignore=ignore), value, atol=1e-12)


def test_maps_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(SeqplrpError, match=r"b: has shape \(1, 3\), a has \(1, 2\)"):
        pearson([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(SeqplrpError, match="top: is 0"):
        top_overlap([1.0, 2.0], [1.0, 2.0], top=0)
