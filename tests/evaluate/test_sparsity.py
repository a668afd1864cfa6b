"""Sparsity measures against their formulas written out, their ends of the scale, and their invariances."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqplrp.evaluate import SPARSITY_MEASURES, entropy, gini, hoyer, sparsity, zero_share


def gini_by_pairs(x: np.ndarray) -> float:
    """Half the relative mean absolute difference: another definition of the same index."""
    return float(np.abs(x[:, None] - x[None]).sum() / (2 * len(x) ** 2 * x.mean()))


@given(st.lists(st.floats(-5, 5).map(lambda v: round(v, 1)), min_size=2, max_size=20).filter(any))
@settings(max_examples=100, deadline=None)
def test_gini_equals_the_mean_difference_of_all_pairs(values: list[float]) -> None:
    assert gini(values)[0] == pytest.approx(gini_by_pairs(np.abs(values)), abs=1e-12)


@pytest.mark.parametrize("n", [2, 4, 101])
def test_a_flat_map_is_at_one_end_of_every_scale_and_a_single_base_at_the_other(n: int) -> None:
    flat, single = -np.ones((1, n)), np.eye(1, n) * -3.0
    assert gini(flat)[0] == pytest.approx(0.0, abs=1e-12)
    assert hoyer(flat)[0] == pytest.approx(0.0, abs=1e-12)
    assert entropy(flat)[0] == pytest.approx(math.log2(n))
    assert zero_share(flat)[0] == 0.0
    assert gini(single)[0] == pytest.approx(1 - 1 / n)
    assert hoyer(single)[0] == pytest.approx(1.0)
    assert entropy(single)[0] == 0.0
    assert zero_share(single)[0] == pytest.approx(1 - 1 / n)


def test_hoyer_and_entropy_by_hand() -> None:
    r = np.array([[3.0, -4.0, 0.0, 0.0]])
    assert hoyer(r)[0] == pytest.approx((2 - 7 / 5) / (2 - 1))
    assert entropy(r)[0] == pytest.approx(-(3 / 7) * math.log2(3 / 7) - (4 / 7) * math.log2(4 / 7))


def test_an_all_zero_map_has_no_shape_but_all_its_bases_are_zero_and_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = sparsity(np.zeros((1, 5)))
        nothing = sparsity(np.ones((1, 5)), ignore=np.ones((1, 5)))
        one_base = hoyer([[2.0]])
    assert {m.name for m in SPARSITY_MEASURES} == set(got)
    assert [name for name, value in got.items() if np.isnan(value[0])] == ["gini", "hoyer", "entropy"]
    assert got["zeros"][0] == 1.0
    assert all(np.isnan(value[0]) for value in nothing.values())
    assert np.isnan(one_base[0])


@given(st.integers(0, 10_000), st.sampled_from([1e-300, 1e-9, 1e9, 1e300]))
@settings(max_examples=30, deadline=None)
def test_ignored_positions_order_and_size_change_nothing(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    r = np.round(rng.normal(size=(4, 30)), 1) * (rng.random((4, 30)) < 0.5)
    r[:, 0] = 1.0
    order = rng.permutation(35)
    padded = np.pad(r, ((0, 0), (0, 5)), constant_values=2.5)[:, order] * factor
    ignored = np.broadcast_to((np.arange(35) >= 30)[order], padded.shape)
    for name, value in sparsity(r).items():
        np.testing.assert_allclose(sparsity(padded, ignore=ignored)[name], value, rtol=1e-9, err_msg=name)
