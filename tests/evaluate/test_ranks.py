"""Mean ranks against scipy, Demsar's published tables and worked example, and hand-made cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seqplrp import SeqplrpError
from seqplrp.evaluate import critical_difference, rank_methods

# Demsar 2006, table 5(a): critical values of the two-tailed Nemenyi test for 2 to 10 classifiers.
NEMENYI_05 = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
NEMENYI_10 = [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]

# Demsar 2006, table 6: AUC of C4.5 with four settings (none, m, cf, m and cf) on 14 data sets.
DEMSAR = pd.DataFrame(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)


@pytest.mark.parametrize(("alpha", "table"), [(0.05, NEMENYI_05), (0.10, NEMENYI_10)])
def test_the_critical_difference_has_demsars_critical_values(alpha: float, table: list[float]) -> None:
    for k, q in enumerate(table, start=2):
        assert critical_difference(k, 14, alpha=alpha) == pytest.approx(q * np.sqrt(k * (k + 1) / (6 * 14)), abs=1e-3)


def test_demsars_worked_example_comes_out_as_printed() -> None:
    got = rank_methods(DEMSAR, alpha=0.1)
    expected = {"C4.5": 3.143, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}
    assert got.ranks == pytest.approx(expected, abs=1e-3)
    assert got.critical_difference == pytest.approx(1.12, abs=5e-3)
    told_apart = {frozenset(pair) for pair in got.pairs.loc[got.pairs["p_nemenyi"] < 0.1, ["a", "b"]].to_numpy()}
    assert told_apart == {frozenset({"C4.5", "C4.5+m"}), frozenset({"C4.5", "C4.5+m+cf"})}
    # Without the correction for ties the book has 9.28 and F 3.69; ties make chi square a little larger.
    plain = 12 * 14 / (4 * 5) * (sum(rank**2 for rank in got.ranks.values()) - 4 * 25 / 4)
    assert plain == pytest.approx(9.28, abs=0.01)
    assert got.chi_square == pytest.approx(stats.friedmanchisquare(*DEMSAR.to_numpy().T).statistic)
    assert got.f == pytest.approx(13 * got.chi_square / (14 * 3 - got.chi_square))
    assert got.p_f < got.p < 0.05


def test_pairs_are_tested_as_scipy_does_and_corrected_over_all_of_them() -> None:
    got = rank_methods(DEMSAR)
    for row in got.pairs.itertuples():
        assert got.ranks[row.a] <= got.ranks[row.b]
        assert row.difference == pytest.approx(got.ranks[row.b] - got.ranks[row.a])
        expected = stats.wilcoxon(DEMSAR[row.a], DEMSAR[row.b], zero_method="pratt").pvalue
        assert row.p_wilcoxon == pytest.approx(expected)
    smallest = got.pairs.sort_values("p_wilcoxon").iloc[0]
    assert smallest["p_wilcoxon_holm"] == pytest.approx(min(1.0, 6 * smallest["p_wilcoxon"]))


def blocks(means: dict[str, float], n: int = 12, noise: float = 0.1) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({name: mean + noise * rng.normal(size=n) for name, mean in means.items()})


@pytest.mark.parametrize("post_hoc", ["nemenyi", "wilcoxon-holm"])
def test_bars_join_neighbours_that_are_alike_and_none_that_are_told_apart(post_hoc: str) -> None:
    table = blocks({"bad": 0.0, "good": 2.0, "as good": 2.0, "as bad": 0.0}, n=40)
    got = rank_methods(table, post_hoc=post_hoc)  # type: ignore[arg-type]
    assert {frozenset(group) for group in got.groups} == {frozenset({"good", "as good"}), frozenset({"bad", "as bad"})}


def test_overlapping_bars_are_kept_and_bars_inside_others_are_not() -> None:
    # Ranks 1, 2, 3 in every block: with 9 blocks neighbours are alike (1 < 1.105), the ends are not.
    table = pd.DataFrame({"a": np.full(9, 3.0), "b": np.full(9, 2.0), "c": np.full(9, 1.0)})
    got = rank_methods(table)
    assert got.critical_difference == pytest.approx(2.343 * np.sqrt(12 / 54), abs=1e-3)
    assert got.groups == (("a", "b"), ("b", "c"))
    assert got.f == np.inf
    assert got.p_f == 0.0
    assert rank_methods(table.iloc[:2]).groups == (("a", "b", "c"),)


def test_lower_is_better_turns_the_ranks_around_and_ties_share_theirs() -> None:
    table = pd.DataFrame({"a": [1.0, 1.0], "b": [1.0, 2.0], "c": [3.0, 3.0]})
    assert rank_methods(table).ranks == {"c": 1.0, "b": 2.25, "a": 2.75}
    assert rank_methods(table, better="lower").ranks == {"a": 1.25, "b": 1.75, "c": 3.0}
    assert (rank_methods(table).pairs["rank_biserial"] >= 0).all()
    assert (rank_methods(table, better="lower").pairs["rank_biserial"] >= 0).all()


def test_blocks_with_an_undefined_method_are_left_out_and_counted() -> None:
    table = blocks({"a": 0.0, "b": 0.1, "c": 0.2})
    holed = pd.concat([table, table.head(2).assign(b=np.nan)], ignore_index=True)
    full, got = rank_methods(table), rank_methods(holed)
    assert got.ranks == full.ranks
    assert (got.blocks, got.left_out) == (12, 2)


def test_methods_that_are_equal_everywhere_are_not_told_apart_and_nothing_warns(recwarn) -> None:
    got = rank_methods(pd.DataFrame(np.ones((5, 3)), columns=list("abc")))
    assert (got.chi_square, got.p, got.p_f) == (0.0, 1.0, 1.0)
    assert got.groups == (("a", "b", "c"),)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: rank_methods(blocks({"a": 0, "b": 1})), "values: holds 2 methods"),
        (lambda: rank_methods(blocks({"a": 0, "b": 1, "c": 2}, n=1)), "values: holds 1 blocks"),
        (lambda: rank_methods(DEMSAR, better="neither"), "better: is 'neither'"),
        (lambda: rank_methods(DEMSAR, post_hoc="t"), "post_hoc: is 't'"),
        (lambda: rank_methods(DEMSAR, alpha=0.0), "alpha: is 0.0"),
        (lambda: critical_difference(1, 5), "methods: is 1"),
        (lambda: critical_difference(3, 0), "blocks: is 0"),
    ],
)
def test_what_can_not_be_ranked_is_refused(call, text: str) -> None:
    with pytest.raises(SeqplrpError) as error:
        call()
    assert text in str(error.value)
