"""Means over models and sequences with their bootstrap, for all methods and measures of a run at once.

Models of one task and architecture (a stratum) differ by their training seed, sequences are nested in models. Each draw
takes seeds with replacement within every stratum, then sequences with replacement within every model taken; tasks and
architectures are chosen, not drawn, so they stay. Every stratum counts the same, every model in it, every defined value
of a model. All methods and measures see the same draws, so that differences between them have intervals, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

DRAWS = 1000


@dataclass(frozen=True)
class ModelValues:
    """What was measured of one model.

    Attributes
    ----------
    stratum : tuple of str
        Its task and architecture.
    seed : int
    values : ndarray, shape (N, M)
        One row a sequence, one column for each pair of method and measure; NaN where undefined.
    """

    stratum: tuple[str, str]
    seed: int
    values: FloatArray


@dataclass(frozen=True)
class Resampled:
    """Means of every column, and of its draws.

    Attributes
    ----------
    mean : ndarray, shape (M,)
    draws : ndarray, shape (D, M)
    """

    mean: FloatArray
    draws: FloatArray

    def interval(self, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Return the percentile interval of each column."""
        return _percentiles(self.draws, confidence)

    def difference(self, a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean, low and high of the differences of columns a and columns b."""
        first, second = np.asarray(a), np.asarray(b)
        low, high = _percentiles(self.draws[:, first] - self.draws[:, second], 0.95)
        return self.mean[first] - self.mean[second], low, high


def resample(models: Sequence[ModelValues], *, draws: int = DRAWS, seed: int = 0) -> Resampled:
    """Resample models and their sequences.

    Parameters
    ----------
    models : sequence of ModelValues
        All with the same columns.
    draws : int
    seed : int
        The same seed gives the same draws.
    """
    rng = np.random.default_rng(seed)
    columns = models[0].values.shape[1]
    strata: dict[tuple[str, str], list[ModelValues]] = {}
    for model in models:
        strata.setdefault(model.stratum, []).append(model)
    mean, whole = _Mean((columns,)), _Mean((draws, columns))
    for members in strata.values():
        inner, drawn = _Mean((columns,)), _Mean((draws, columns))
        taken = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=draws)
        for number, member in enumerate(members):
            defined = ~np.isnan(member.values)
            filled = np.where(defined, member.values, 0.0)
            n = len(filled)
            inner.add(_quotient(filled.sum(axis=0), defined.sum(axis=0)))
            weights = rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
            drawn.add(_quotient(weights @ filled, weights @ defined), taken[:, number, None])
        mean.add(inner.value())
        whole.add(drawn.value())
    return Resampled(mean.value(), whole.value())


class _Mean:
    """A running mean that leaves NaN out; NaN where nothing else came."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.total, self.weight = np.zeros(shape), np.zeros(shape)

    def add(self, values: FloatArray, weight: npt.ArrayLike = 1.0) -> None:
        counts = np.where(np.isnan(values), 0.0, weight)
        self.total += np.where(np.isnan(values), 0.0, values) * counts
        self.weight += counts

    def value(self) -> FloatArray:
        return _quotient(self.total, self.weight)


def _quotient(top: FloatArray, bottom: npt.ArrayLike) -> FloatArray:
    below = np.broadcast_to(np.asarray(bottom, dtype=np.float64), top.shape)
    out = np.full(top.shape, np.nan)
    np.divide(top, below, out=out, where=below > 0)
    return out


def _percentiles(draws: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Return the percentile interval of each column; NaN where all draws are undefined."""
    low, high = np.full(draws.shape[1], np.nan), np.full(draws.shape[1], np.nan)
    missing = np.isnan(draws)
    whole, some = ~missing.any(axis=0), missing.any(axis=0) & ~missing.all(axis=0)
    tail = (1 - confidence) / 2
    for columns, quantile in ((whole, np.quantile), (some, np.nanquantile)):  # the second takes many times as long
        if columns.any():
            low[columns], high[columns] = quantile(draws[:, columns], [tail, 1 - tail], axis=0)
    return low, high
