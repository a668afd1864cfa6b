"""How sure are we? Bootstrap intervals of means and paired tests with Holm's correction (METHODS, section 6).

Undefined values (NaN) are left out of every mean and every pair, and are counted in every result, so that a
method that is often undefined can't hide it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.arrays import FloatArray

_CELLS = 2_000_000
"""Resampled values held at once; bounds the memory of the bootstrap at about 32 MB."""

Alternative = Literal["two-sided", "greater", "less"]


@dataclass(frozen=True)
class MeanInterval:
    """A mean with its bootstrap interval.

    Attributes
    ----------
    mean, low, high : float
        NaN where no value was defined.
    n : int
        Values that went in.
    undefined : int
        NaN values that were left out.
    """

    mean: float
    low: float
    high: float
    n: int
    undefined: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]" if self.n else "undefined"


def bootstrap_mean(
    values: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> MeanInterval:
    """Mean of the defined values with a percentile bootstrap interval.

    Parameters
    ----------
    values : array-like, shape (N,)
        One value per sequence; NaN is undefined.
    groups : array-like, shape (N,), optional
        What else varies, such as the training seed of the model that each value belongs to. Each draw then
        takes groups with replacement first, and sequences with replacement within each group taken, so the
        interval covers both. A single group can't show variation between groups: it gives the plain
        interval.
    confidence : float
        Between 0 and 1.
    draws : int
        Bootstrap samples.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    MeanInterval

    Raises
    ------
    SeqplrpError
        If ``values`` isn't one row of numbers, holds infinities, or an argument is out of its range.
    """
    check_interval(confidence, draws)
    array = _row(values, "values")
    defined = ~np.isnan(array)
    n, undefined = int(defined.sum()), int((~defined).sum())
    if n == 0:
        return MeanInterval(np.nan, np.nan, np.nan, 0, undefined)
    rng = np.random.default_rng(seed)
    if groups is None:
        means = _resampled_sums(array[defined], draws, rng) / n
    else:
        label = np.asarray(groups)
        if label.shape != array.shape:
            raise SeqplrpError(
                "groups", f"has shape {label.shape}, values has {array.shape}", "pass one group per value"
            )
        members = [array[defined & (label == g)] for g in pd.unique(label[defined])]
        means = _nested_means(members, draws, rng)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return MeanInterval(float(array[defined].mean()), float(low), float(high), n, undefined)


def summarise(
    values: Mapping[str, npt.ArrayLike], *, confidence: float = 0.95, draws: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Give the mean and bootstrap interval of each of several measures.

    Parameters
    ----------
    values : mapping of str to array-like, shape (N,)
        By measure, one value per sequence.
    confidence, draws, seed
        As in :func:`bootstrap_mean`.

    Returns
    -------
    DataFrame
        ``measure, mean, low, high, n, undefined``.
    """
    columns = ["measure", *MeanInterval.__dataclass_fields__]
    rows = [
        {"measure": name, **vars(bootstrap_mean(of, confidence=confidence, draws=draws, seed=seed))}
        for name, of in values.items()
    ]
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class PairedTest:
    """A paired Wilcoxon signed-rank test of ``a - b``.

    Attributes
    ----------
    n : int
        Pairs of which both values are defined.
    undefined : int
        Pairs left out since one of them is not.
    mean_difference, median_difference : float
        Of ``a - b``.
    rank_biserial : float
        Effect size: (rank sum of positive differences - of negative ones) / sum of all ranks, -1 to 1.
    superiority : float
        Effect size: share of pairs in which a is above b, ties as one half.
    cohens_d : float
        Effect size: mean over standard deviation of the differences; NaN where they do not vary.
    p : float
        1 where all differences are 0; NaN where there is no pair.
    """

    n: int
    undefined: int
    mean_difference: float
    median_difference: float
    rank_biserial: float
    superiority: float
    cohens_d: float
    p: float


def paired_wilcoxon(a: npt.ArrayLike, b: npt.ArrayLike, *, alternative: Alternative = "two-sided") -> PairedTest:
    """Test whether ``a`` and ``b``, measured on the same sequences, differ.

    Zero differences keep their place in the ranking (Pratt 1959), so many equal pairs make the test more
    careful. p is scipy's: exact for small samples without ties or zeros, by the normal approximation
    otherwise.

    Parameters
    ----------
    a, b : array-like, shape (N,)
        Values in the same order of sequences; NaN is undefined.
    alternative : {"two-sided", "greater", "less"}
        "greater" asks whether a is above b.

    Raises
    ------
    SeqplrpError
        If the two have different lengths or hold infinities.
    """
    first, second = _row(a, "a"), _row(b, "b")
    if first.shape != second.shape:
        raise SeqplrpError(
            "b", f"has {second.size} values, a has {first.size}", "pass values of the same sequences in both"
        )
    difference = first - second
    defined = ~np.isnan(difference)
    undefined = int((~defined).sum())
    difference = difference[defined]
    if difference.size == 0:
        return PairedTest(0, undefined, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
    if not difference.any():
        return PairedTest(difference.size, undefined, 0.0, 0.0, 0.0, 0.5, np.nan, 1.0)
    from scipy import stats  # loading it takes longer than most commands that need a mean alone

    outcome = stats.wilcoxon(difference, zero_method="pratt", alternative=alternative)
    # Pratt: ranks are given with the zeros in, and the zeros' ranks are dropped.
    rank = stats.rankdata(np.abs(difference)) * (difference != 0)
    return PairedTest(
        n=difference.size,
        undefined=undefined,
        mean_difference=float(difference.mean()),
        median_difference=float(np.median(difference)),
        rank_biserial=float((rank * np.sign(difference)).sum() / rank.sum()),
        superiority=float((0.5 * (np.sign(difference) + 1)).mean()),
        cohens_d=_cohens_d(difference),
        p=float(outcome.pvalue),
    )


def _cohens_d(difference: FloatArray) -> float:
    spread = float(difference.std(ddof=1)) if difference.size > 1 else 0.0
    # Equal differences may differ by roundings, which is no spread to divide by.
    return float(difference.mean()) / spread if spread > 1e-12 * float(np.abs(difference).max()) else float("nan")


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust p-values for the number of tests by Holm's step-down method (Holm 1979).

    Sorted from the smallest, the i-th of m becomes ``min(1, max over j <= i of (m - j + 1) p_j)``. NaN (a
    test that could not be made) stays NaN and is not counted in m.

    Raises
    ------
    SeqplrpError
        If a value is not a probability.
    """
    p = np.asarray(p_values, dtype=np.float64)
    made = ~np.isnan(p)
    if ((p[made] < 0) | (p[made] > 1)).any():
        raise SeqplrpError("p_values", "holds values outside 0 to 1", "pass p-values")
    order = np.argsort(p[made])
    factor = np.arange(order.size, 0, -1)
    adjusted = np.minimum(1.0, np.maximum.accumulate(factor * p[made][order]))
    out = np.full(p.shape, np.nan)
    values = np.empty(order.size)
    values[order] = adjusted
    out[made] = values
    return out


def compare_methods(
    values: Mapping[str, npt.ArrayLike], reference: str, *, alternative: Alternative = "two-sided"
) -> pd.DataFrame:
    """Test one method against each of the others on one measure, with Holm's correction over the others.

    Parameters
    ----------
    values : mapping of str to array-like, shape (N,)
        Per method one value per sequence, in the same order of sequences.
    reference : str
        The method that is compared with each of the others; differences are reference - other.
    alternative : {"two-sided", "greater", "less"}
        Of the reference against the other.

    Returns
    -------
    DataFrame
        Columns reference, other, and the fields of :class:`PairedTest`, then ``p_holm``.

    Raises
    ------
    SeqplrpError
        If the reference is not among the methods.
    """
    if reference not in values:
        raise SeqplrpError("reference", f"is {reference!r}, which has no values", f"choose one of {', '.join(values)}")
    rows: list[dict[str, Any]] = []
    for other in values:
        if other != reference:
            test = paired_wilcoxon(values[reference], values[other], alternative=alternative)
            rows.append({"reference": reference, "other": other, **vars(test)})
    columns = ["reference", "other", *PairedTest.__dataclass_fields__]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = holm(table["p"].to_numpy(dtype=np.float64))
    return table


def check_interval(confidence: float, draws: int) -> None:
    """Raise a SeqplrpError unless a bootstrap interval can be made so."""
    if not 0 < confidence < 1:
        raise SeqplrpError("confidence", f"is {confidence}", "give a number between 0 and 1, such as 0.95")
    if draws < 1:
        raise SeqplrpError("draws", f"is {draws}", "give at least 1, better 1000 or more")


def _row(values: npt.ArrayLike, name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise SeqplrpError(name, f"has shape {array.shape}, expected (N,)", "pass one value per sequence")
    if np.isinf(array).any():
        raise SeqplrpError(name, "holds infinite values", "mark undefined values by NaN")
    return array


def _resampled_sums(values: FloatArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """Sums of ``draws`` samples with replacement of the size of ``values``."""
    step = max(1, _CELLS // values.size)
    parts = [
        values[rng.integers(values.size, size=(min(step, draws - start), values.size))].sum(axis=1)
        for start in range(0, draws, step)
    ]
    return np.concatenate(parts)


def _nested_means(members: list[FloatArray], draws: int, rng: np.random.Generator) -> FloatArray:
    """Means of ``draws`` samples that take groups with replacement, then values within each group taken."""
    count = len(members)
    size = np.array([m.size for m in members])
    taken = rng.integers(count, size=(draws, count))
    total = np.zeros(draws)
    for slot in range(count):
        for group in range(count):
            here = np.flatnonzero(taken[:, slot] == group)
            if here.size:
                total[here] += _resampled_sums(members[group], here.size, rng)
    means: FloatArray = total / size[taken].sum(axis=1)
    return means
