"""Means with bounds: what the audit says of an effect that was not seen is how large it could be all the same.

A test that finds nothing has not shown that there is nothing. Where the audit lays something to the explanation, or
calls two things alike, it asks that an interval lies within a stated bound (an equivalence test: Schuirmann 1987,
https://doi.org/10.1007/BF01068419); where the interval reaches beyond it, the audit says that it can't tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seqplrp.recovery.audit.findings import Cause

Floats = npt.NDArray[np.float64]

MOST_OF_IT, LITTLE_OF_IT = 0.5, 0.2
"""A pattern is called the model's own if its score has surely more than this share of it, and the explanation's if the
score has surely less than that one. The bounds are choices, and the page names them."""

CAUSE_TAIL = 0.005
"""Chance that each bound of `cause_of` is missed: what is told is a 99 % interval."""


@dataclass(frozen=True)
class Bounds:
    """A mean between its confidence bounds.

    Attributes
    ----------
    mean, half : float
        The mean, and half of the interval's width: the interval is symmetric (Student's t).
    n : int
        Values that went in.
    """

    mean: float
    half: float
    n: int

    @property
    def low(self) -> float:
        """Lower bound."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper bound."""
        return self.mean + self.half

    @property
    def least(self) -> float:
        """The smallest size that the interval holds: 0 where it holds 0."""
        return max(self.low, -self.high, 0.0)

    @property
    def most(self) -> float:
        """The largest size that the interval holds."""
        return max(self.high, -self.low)

    def with_n(self, n: int) -> Bounds:
        """Return what n values like these would give: the same mean, a width that falls by the root of n."""
        return replace(self, half=self.half * (self.n / n) ** 0.5, n=n)


def bounds_of(values: Floats, tail: float) -> Bounds:
    """Return the mean of values (n,) with its bounds, each of which is missed with a chance of `tail`."""
    from scipy import stats

    n = len(values)
    if n < 2:
        return Bounds(float(values.mean()) if n else 0.0, float("inf"), n)
    error = float(values.std(ddof=1)) / n**0.5
    return Bounds(float(values.mean()), float(stats.t.isf(tail, n - 1)) * error, n)


def unseen_share(n: int, tail: float) -> float:
    """Return the largest share of cases that n of them may all have missed with a chance of `tail`.

    Values that are all 0 have an interval of no width, and yet say nothing of cases rarer than this.
    """
    return float(1 - tail ** (1 / n))


def cause_of(part: Floats, whole: Floats, tail: float = CAUSE_TAIL) -> Cause:
    """Say who makes a pattern of the maps, from how much of it the model's own score has.

    Parameters
    ----------
    part : ndarray, shape (n,)
        What the score has of it, a number a sequence.
    whole : ndarray, shape (n,)
        What the maps of the same sequences have, in the same unit.
    tail : float
        Chance that each bound is missed.

    Returns
    -------
    str
        ``model`` or ``explanation`` where the score's share is surely beyond `MOST_OF_IT` or `LITTLE_OF_IT`; ``both``
        where it is surely more than 0 and less than 1; else ``unsettled``.
    """
    if bounds_of(part - MOST_OF_IT * whole, tail).low > 0:
        return "model"
    if bounds_of(part - LITTLE_OF_IT * whole, tail).high < 0:
        return "explanation"
    if bounds_of(part, tail).low > 0 and bounds_of(part - whole, tail).high < 0:
        return "both"
    return "unsettled"
