"""Intervals that cover, tests that agree with scipy, and corrections that follow Holm's definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from seqplrp import SeqplrpError
from seqplrp.evaluate import bootstrap_mean, compare_methods, holm, paired_wilcoxon


def test_the_interval_agrees_with_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(0).exponential(size=300)
    ours = bootstrap_mean(values, draws=8000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=8000, method="percentile", random_state=1
    ).confidence_interval
    assert ours.mean == pytest.approx(values.mean())
    spread = theirs.high - theirs.low
    assert abs(ours.low - theirs.low) < 0.05 * spread
    assert abs(ours.high - theirs.high) < 0.05 * spread


def test_a_95_percent_interval_covers_the_true_mean_about_95_times_in_100() -> None:
    rng = np.random.default_rng(2)
    covered = [
        (interval := bootstrap_mean(rng.normal(size=60), draws=400, seed=i)).low < 0 < interval.high for i in range(300)
    ]
    # Three standard errors of a share of 0.95 over 300 trials are 0.038.
    assert np.mean(covered) == pytest.approx(0.95, abs=0.045)


def test_a_wider_confidence_gives_a_wider_interval_and_a_seed_repeats_it() -> None:
    values = np.random.default_rng(3).normal(size=50)
    narrow, wide = bootstrap_mean(values, confidence=0.5), bootstrap_mean(values, confidence=0.99)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high
    assert bootstrap_mean(values, seed=5) == bootstrap_mean(values, seed=5)
    assert bootstrap_mean(values, seed=5) != bootstrap_mean(values, seed=6)


def test_undefined_values_are_left_out_and_counted() -> None:
    full = bootstrap_mean([0.1, 0.4, 0.9])
    holed = bootstrap_mean([0.1, np.nan, 0.4, 0.9, np.nan])
    assert (holed.mean, holed.low, holed.high) == (full.mean, full.low, full.high)
    assert (holed.n, holed.undefined) == (3, 2)
    nothing = bootstrap_mean([np.nan, np.nan])
    assert np.isnan(nothing.mean)
    assert (nothing.n, nothing.undefined, str(nothing)) == (0, 2, "undefined")


def test_groups_that_differ_widen_the_interval_and_groups_that_do_not_leave_it() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(5, 200))
    seeds = np.repeat(np.arange(5), 200)
    shifted = (noise + np.array([-2, -1, 0, 1, 2])[:, None]).ravel()
    plain, nested = bootstrap_mean(shifted), bootstrap_mean(shifted, groups=seeds)
    # Between groups alone: sd sqrt(2) over sqrt(5) groups, times 2 x 1.96.
    assert nested.high - nested.low == pytest.approx(2 * 1.96 * np.sqrt(2 / 5), rel=0.1)
    assert nested.high - nested.low > 4 * (plain.high - plain.low)
    one, alone = bootstrap_mean(noise[0], groups=np.zeros(200)), bootstrap_mean(noise[0])
    assert one.high - one.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_groups_of_different_sizes_keep_the_pooled_mean_inside_the_interval() -> None:
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.normal(0, 1, 400), rng.normal(3, 1, 20)])
    interval = bootstrap_mean(values, groups=["a"] * 400 + ["b"] * 20)
    assert interval.low < values.mean() < interval.high


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"confidence": 1.0}, "confidence: is 1.0"),
        ({"draws": 0}, "draws: is 0"),
        ({"groups": [1]}, "groups: has"),
    ],
)
def test_arguments_out_of_range_are_refused(keywords: dict, text: str) -> None:
    with pytest.raises(SeqplrpError, match=text):
        bootstrap_mean([1.0, 2.0], **keywords)


def test_infinite_values_are_refused_since_no_mean_can_hold_them() -> None:
    with pytest.raises(SeqplrpError, match="infinite"):
        bootstrap_mean([1.0, np.inf])


def test_the_paired_test_equals_scipys_on_the_pairs_that_are_defined() -> None:
    rng = np.random.default_rng(6)
    a, b = np.round(rng.normal(0.3, 1, 80), 1), np.round(rng.normal(0, 1, 80), 1)
    a[3], b[7] = np.nan, np.nan
    got = paired_wilcoxon(a, b)
    keep = ~np.isnan(a - b)
    assert got.p == pytest.approx(stats.wilcoxon(a[keep], b[keep], zero_method="pratt").pvalue)
    assert (got.n, got.undefined) == (78, 2)
    assert got.mean_difference == pytest.approx((a - b)[keep].mean())


def test_direction_and_effect_size_follow_the_sign_of_a_minus_b() -> None:
    b = np.arange(20.0)
    above = paired_wilcoxon(b + np.linspace(0.1, 1, 20), b, alternative="greater")
    below = paired_wilcoxon(b - np.linspace(0.1, 1, 20), b, alternative="greater")
    assert above.p < 1e-4
    assert below.p > 0.99
    assert (above.rank_biserial, below.rank_biserial) == (1.0, -1.0)


def test_equal_and_missing_pairs_give_plain_answers_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    same = paired_wilcoxon([1.0, 2.0, np.nan], [1.0, 2.0, 3.0])
    assert (same.p, same.n, same.undefined, same.rank_biserial) == (1.0, 2, 1, 0.0)
    none = paired_wilcoxon([np.nan], [1.0])
    assert np.isnan(none.p)
    assert none.n == 0
    assert not recwarn.list


def test_pairs_of_different_lengths_are_refused() -> None:
    with pytest.raises(SeqplrpError, match="b: has 2 values, a has 3"):
        paired_wilcoxon([1, 2, 3], [1, 2])


def test_holm_on_the_textbook_example() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1, then made monotone.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_holm_rejects_what_the_step_down_procedure_rejects(p: list[float]) -> None:
    """Holm's own wording: step down from the smallest p while p_(i) <= alpha / (m - i + 1)."""
    alpha = 0.05
    rejected = set()
    for i, place in enumerate(np.argsort(p, kind="stable")):
        if p[place] > alpha / (len(p) - i):
            break
        rejected.add(int(place))
    adjusted = holm(p)
    away = np.abs(adjusted - alpha) > 1e-12  # rounding decides on the boundary itself
    assert {int(i) for i in np.flatnonzero((adjusted <= alpha) & away)} == {i for i in rejected if away[i]}
    assert (adjusted >= np.asarray(p)).all()
    assert (adjusted <= 1).all()


def test_holm_does_not_count_tests_that_could_not_be_made() -> None:
    np.testing.assert_array_equal(holm([0.02, np.nan, 0.03]), [0.04, np.nan, 0.04])
    assert holm([]).shape == (0,)
    with pytest.raises(SeqplrpError, match="p_values"):
        holm([1.5])


def test_the_comparison_tests_the_reference_against_each_other_method_and_corrects_over_them() -> None:
    rng = np.random.default_rng(7)
    base = rng.random(100)
    values = {"plrp": base + 0.05, "lrp": base, "same": base + 0.05}
    table = compare_methods(values, "plrp")
    assert list(table["other"]) == ["lrp", "same"]
    assert table["mean_difference"].tolist() == pytest.approx([0.05, 0.0])
    np.testing.assert_allclose(table["p_holm"], holm(table["p"].to_numpy()))
    assert table["p_holm"].iloc[0] < 1e-6
    assert table["p_holm"].iloc[1] == 1.0
    assert len(compare_methods({"plrp": base}, "plrp")) == 0
    with pytest.raises(SeqplrpError, match="choose one of plrp, lrp, same"):
        compare_methods(values, "PLRP")


def test_effect_sizes_by_hand() -> None:
    got = paired_wilcoxon([3.0, 1.0, 5.0, 2.0], [1.0, 2.0, 2.0, 2.0])  # differences 2, -1, 3, 0
    assert got.superiority == pytest.approx(2.5 / 4)
    assert got.cohens_d == pytest.approx(1 / np.std([2, -1, 3, 0], ddof=1))
    assert got.rank_biserial == pytest.approx((3 - 2 + 4) / (3 + 2 + 4))  # Pratt: ranks 3, 2, 4, the zero's 1 dropped
    same = paired_wilcoxon([1.1, 2.1, 3.1], [1.0, 2.0, 3.0])
    assert np.isnan(same.cohens_d)
    assert same.superiority == 1.0
