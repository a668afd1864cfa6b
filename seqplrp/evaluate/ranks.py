"""Which of many methods can be told apart? Mean ranks over data sets, Friedman's test, and what may be said after it.

A block is what every method is tried on and what is drawn independently of the others: a data set, or a trained model.
Sequences of one model are no blocks: they share what that model learned, and thousands of them would make any
difference significant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.arrays import FloatArray
from seqplrp.evaluate.statistics import holm, paired_wilcoxon

Better = Literal["higher", "lower"]
PostHoc = Literal["nemenyi", "wilcoxon-holm"]


@dataclass(frozen=True)
class RankComparison:
    """Mean ranks of methods, and which of them can be told apart.

    Attributes
    ----------
    ranks : dict of str to float
        Mean rank of each method, 1 the best; the best first.
    blocks : int
        Blocks that were ranked.
    left_out : int
        Blocks in which some method is undefined; they are not ranked.
    chi_square, p : float
        Friedman's test that all methods do equally well, corrected for ties.
    f, p_f : float
        Its refinement by Iman and Davenport (1980), which is less conservative.
    critical_difference : float
        Nemenyi's, at `alpha`.
    pairs : DataFrame
        One row a pair: ``a``, ``b`` (a has the better rank), ``difference`` (of mean ranks, b - a), ``p_nemenyi``,
        ``p_wilcoxon``, ``p_wilcoxon_holm`` (over all pairs), ``rank_biserial`` (above 0 where a is better).
    groups : tuple of tuple of str
        The longest runs of methods, in the order of their ranks, of which no two are told apart at `alpha` by
        `post_hoc`: the bars of a critical-difference diagram.
    alpha : float
    post_hoc : {"nemenyi", "wilcoxon-holm"}
    """

    ranks: dict[str, float]
    blocks: int
    left_out: int
    chi_square: float
    p: float
    f: float
    p_f: float
    critical_difference: float
    pairs: pd.DataFrame
    groups: tuple[tuple[str, ...], ...]
    alpha: float
    post_hoc: PostHoc


def critical_difference(methods: int, blocks: int, *, alpha: float = 0.05) -> float:
    """Least difference of two mean ranks that Nemenyi's test calls significant.

    ``q sqrt(k (k + 1) / (6 n))`` with k methods, n blocks, and q the upper alpha quantile of the studentised range of k
    means (infinite degrees of freedom) over the square root of 2.

    Parameters
    ----------
    methods, blocks : int
        k of at least 2, n of at least 1.
    alpha : float
        Between 0 and 1; the chance of any false difference among all pairs.

    Raises
    ------
    SeqplrpError
        If an argument is out of its range.

    References
    ----------
    Demsar, JMLR 7:1 (2006), section 3.2.2 and table 5(a).
    """
    if methods < 2:
        raise SeqplrpError("methods", f"is {methods}", "compare 2 or more")
    if blocks < 1:
        raise SeqplrpError("blocks", f"is {blocks}", "rank on 1 or more")
    _check_alpha(alpha)
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1 - alpha, methods, np.inf))
    return quantile / math.sqrt(2.0) * _rank_spread(methods, blocks)


def rank_methods(
    values: pd.DataFrame, *, better: Better = "higher", alpha: float = 0.05, post_hoc: PostHoc = "nemenyi"
) -> RankComparison:
    """Rank methods within every block and test their mean ranks.

    Parameters
    ----------
    values : DataFrame
        One row a block, one column a method. Rows with an undefined value are left out and counted.
    better : {"higher", "lower"}
        Which values get rank 1. Equal values share the mean of their ranks.
    alpha : float
        Level of the critical difference and of the groups.
    post_hoc : {"nemenyi", "wilcoxon-holm"}
        What tells two methods apart: Nemenyi's critical difference, which depends on all methods in the table, or
        paired Wilcoxon tests with Holm's correction over all pairs, which do not (Benavoli et al., JMLR 17:5, 2016).

    Raises
    ------
    SeqplrpError
        If there are fewer than three methods (two want `paired_wilcoxon`) or two whole blocks, or an argument is out of
        its range.
    """
    _check_alpha(alpha)
    if better not in ("higher", "lower"):
        raise SeqplrpError("better", f"is {better!r}", "choose higher or lower")
    if post_hoc not in ("nemenyi", "wilcoxon-holm"):
        raise SeqplrpError("post_hoc", f"is {post_hoc!r}", "choose nemenyi or wilcoxon-holm")
    if values.shape[1] < 3:
        raise SeqplrpError("values", f"holds {values.shape[1]} methods", "compare two by paired_wilcoxon")
    table = values.astype(np.float64)
    whole = table.dropna()
    if len(whole) < 2:
        what = f"holds {len(whole)} blocks in which every method is defined"
        raise SeqplrpError("values", what, "rank on more models, or leave out the methods that are often undefined")
    ranks = whole.rank(axis=1, ascending=better == "lower").mean().sort_values(kind="stable")
    order = [str(name) for name in ranks.index]
    chi_square, p, f, p_f = _friedman(whole.to_numpy())
    pairs = _pairs(whole[list(ranks.index)], ranks.to_numpy(), better)
    column = "p_nemenyi" if post_hoc == "nemenyi" else "p_wilcoxon_holm"
    alike = {(a, b) for a, b, p_pair in zip(pairs["a"], pairs["b"], pairs[column]) if not p_pair < alpha}
    return RankComparison(
        ranks=dict(zip(order, ranks.tolist())),
        blocks=len(whole),
        left_out=len(table) - len(whole),
        chi_square=chi_square,
        p=p,
        f=f,
        p_f=p_f,
        critical_difference=critical_difference(len(order), len(whole), alpha=alpha),
        pairs=pairs,
        groups=_groups(order, alike),
        alpha=alpha,
        post_hoc=post_hoc,
    )


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise SeqplrpError("alpha", f"is {alpha}", "give a number between 0 and 1, such as 0.05")


def _rank_spread(methods: int, blocks: int) -> float:
    return math.sqrt(methods * (methods + 1) / (6.0 * blocks))


def _friedman(values: FloatArray) -> tuple[float, float, float, float]:
    """Friedman's chi square and its p, and Iman and Davenport's F and its p (Demsar 2006, section 3.2.2)."""
    from scipy import stats

    if (values == values[:, :1]).all():  # every block is one big tie: nothing speaks against equality
        return 0.0, 1.0, 0.0, 1.0
    n, k = values.shape
    chi_square, p = (float(number) for number in stats.friedmanchisquare(*values.T))
    rest = n * (k - 1) - chi_square
    if rest <= 1e-9 * n * k:  # all blocks agree: F is infinite
        return chi_square, p, np.inf, 0.0
    f = (n - 1) * chi_square / rest
    return chi_square, p, f, float(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))


def _pairs(values: pd.DataFrame, ranks: FloatArray, better: Better) -> pd.DataFrame:
    from scipy.stats import studentized_range

    k, n = len(ranks), len(values)
    first, second = (np.array(side) for side in zip(*combinations(range(k), 2)))
    difference = ranks[second] - ranks[first]
    sign = 1.0 if better == "higher" else -1.0
    columns = sign * values.to_numpy()
    tests = [paired_wilcoxon(columns[:, a], columns[:, b]) for a, b in zip(first, second)]
    names = np.array([str(name) for name in values.columns], dtype=object)
    p = np.array([test.p for test in tests])
    return pd.DataFrame(
        {
            "a": names[first],
            "b": names[second],
            "difference": difference,
            "p_nemenyi": studentized_range.sf(difference / _rank_spread(k, n) * np.sqrt(2.0), k, np.inf),
            "p_wilcoxon": p,
            "p_wilcoxon_holm": holm(p),
            "rank_biserial": [test.rank_biserial for test in tests],
        }
    )


def _groups(order: Sequence[str], alike: set[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """Longest runs of two or more neighbours of which every pair is alike."""
    found: list[tuple[int, int]] = []
    for first in range(len(order)):
        last = first
        while last + 1 < len(order) and all((order[i], order[last + 1]) in alike for i in range(first, last + 1)):
            last += 1
        if last > first and not any(last <= end for _, end in found):
            found.append((first, last))
    return tuple(tuple(order[first : last + 1]) for first, last in found)
