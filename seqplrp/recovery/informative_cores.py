"""The part of a matrix of counts that says something: where it stands out from the background."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from seqplrp.recovery.truth import UNINFORMATIVE_BITS

FEWEST_POSITIONS = 3
"""Positions that must stand out from the background before windows are called a motif."""

_CHANCE = 0.01  # of any position standing out in random windows

Floats = npt.NDArray[np.float64]


def background_of(bases: npt.NDArray[np.int64]) -> Floats:
    """Return base frequencies from counts, one added to each so that none is 0."""
    return np.asarray((bases + 1) / (bases.sum() + 4))


def informative_core(counts: npt.ArrayLike, background: npt.ArrayLike) -> tuple[int, int] | None:
    """Find the part of a count matrix between its first and last position that stand out from the background.

    A position stands out if its frequencies p differ from the background b by at least 0.1 bit, and by more than random
    windows do: the likelihood-ratio statistic ``2 n ln(2) sum p log2(p / b)`` of n windows follows a chi-squared
    distribution of 3 degrees of freedom there, of which the upper hundredth is taken, divided by the number of
    positions (Bonferroni).

    Parameters
    ----------
    counts : array, shape (W, 4)
        Whole windows: rows of one sum.
    background : array of 4
        Base frequencies, above 0.

    Returns
    -------
    (start, end) or None
        0-based, half-open; None if fewer than 3 positions stand out.
    """
    table = np.asarray(counts, dtype=np.float64)
    totals = table.sum(1, keepdims=True)
    if not totals.all():
        return None
    p = table / totals
    bits = (p * np.log2(np.where(p > 0, p, 1.0) / np.asarray(background))).sum(1)
    limit = chi2.isf(_CHANCE / len(table), 3) / (2 * np.log(2) * totals[:, 0])
    clear = np.flatnonzero(bits >= np.maximum(limit, UNINFORMATIVE_BITS))
    if len(clear) < FEWEST_POSITIONS:
        return None
    return int(clear[0]), int(clear[-1]) + 1
