"""Check 3: is the map of the reverse complement the map, turned round?"""

from __future__ import annotations

import numpy as np

from seqplrp.evaluate import bootstrap_mean
from seqplrp.plot import strand_picture
from seqplrp.recovery.audit.findings import CAUSES, Cause, CheckResult, Finding
from seqplrp.recovery.audit.profiles import Floats
from seqplrp.recovery.audit.subject import Codes, Subject

CHECK = "strand"
TITLE = "the reverse complement's map against the map turned round"

TOLERANCE = 0.1
"""Mean difference of the two maps, as a share of both, up to which strands are called alike."""

_SCORE_TOLERANCE = 0.05  # of the scores' own spread
_MOST_LAG = 8
_COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)


def reverse_complemented(codes: Codes) -> Codes:
    """Return the opposite strand of codes (N, L)."""
    return np.ascontiguousarray(_COMPLEMENT[codes[:, ::-1]])


def difference(one: Floats, other: Floats) -> Floats:
    """Return sum |a - b| / (sum |a| + sum |b|) of each pair of maps (N, L): 0 for equal ones, 1 for disjoint ones."""
    whole = np.abs(one).sum(axis=1) + np.abs(other).sum(axis=1)
    return np.asarray(np.divide(np.abs(one - other).sum(axis=1), whole, out=np.zeros(len(one)), where=whole > 0))


def check_strand(subject: Subject, codes: Codes, *, what: str, seed: int) -> CheckResult:
    """Compare maps of sequences with those of their reverse complements.

    Parameters
    ----------
    subject : Subject
        What is audited.
    codes : ndarray of uint8, shape (N, L)
        The sequences.
    what : str
        What they are, in words.
    seed : int
        Of the interval.
    """
    forward, backward = subject.maps(codes), subject.maps(reverse_complemented(codes))
    turned = backward.relevance[:, ::-1]
    apart = difference(forward.relevance, turned)
    chance = difference(forward.relevance, np.roll(turned, 1, axis=0))
    interval = bootstrap_mean(apart, seed=seed)
    gap = np.abs(forward.output - backward.output)
    spread = float(forward.output.std())
    score_gap = float(gap.mean() / spread) if spread > 0 else 0.0
    lag, at_lag = _best_lag(forward.relevance, turned)
    by_position = np.abs(forward.relevance - turned).mean(axis=0)
    sizes = (np.abs(forward.relevance).mean(axis=0) + np.abs(turned).mean(axis=0)) / 2
    findings = []
    if interval.low > TOLERANCE:
        shift = (lag, at_lag) if lag and at_lag < 0.7 * interval.mean else None
        findings.append(_asymmetry(interval.mean, float(chance.mean()), score_gap, shift))
    elif score_gap > _SCORE_TOLERANCE:
        findings.append(_scores_differ(score_gap))
    summary = (
        f"{len(codes)} sequences ({what}): maps of the two strands differ by {interval} of their size (0: the same; "
        f"maps of unrelated sequences: {chance.mean():.2f}); scores differ by {score_gap:.2f} of their own spread"
    )
    return CheckResult(
        CHECK,
        TITLE,
        summary,
        findings=tuple(findings),
        statistics={
            "difference": interval.mean,
            "difference_low": interval.low,
            "difference_high": interval.high,
            "difference_of_unrelated": float(chance.mean()),
            "score_difference": score_gap,
            "best_shift": lag,
            "difference_at_best_shift": at_lag,
            "by_position": by_position,
        },
        draw=lambda: strand_picture(apart, chance, forward.output, backward.output, by_position, sizes),
    )


def _best_lag(one: Floats, other: Floats) -> tuple[int, float]:
    """Shift of the second maps at which they are most like the first, and the mean difference there."""
    most = min(_MOST_LAG, one.shape[1] // 4)
    found = []
    for lag in sorted(range(-most, most + 1), key=abs):
        here = slice(max(0, lag), one.shape[1] + min(0, lag))
        there = slice(max(0, -lag), one.shape[1] + min(0, -lag))
        found.append((float(difference(one[:, here], other[:, there]).mean()), lag))
    best, lag = min(found, key=lambda pair: pair[0])
    return lag, best


def _asymmetry(mean: float, chance: float, score_gap: float, shift: tuple[int, float] | None) -> Finding:
    cause: Cause = "model" if score_gap > _SCORE_TOLERANCE else "explanation"
    moved = ""
    if shift is not None:
        moved = f"; turned and moved by {shift[0]:+d} bases they differ by {shift[1]:.2f} only"
    remedy = (
        "average both strands (--reverse-complement), or train on both strands (data augmentation or a symmetric "
        "network); no fault where the assay has a strand"
    )
    if shift is not None:
        remedy = "look for even kernels, or for padding that differs between the ends; " + remedy
    return Finding(
        check=CHECK,
        name="strand",
        level="finding",
        what=f"maps of the two strands differ by {mean:.2f} of their size (unrelated sequences: {chance:.2f}){moved} "
        f"({CAUSES[cause]})",
        size=mean,
        size_of="sum |a - b| / sum (|a| + |b|), mean over sequences",
        cause=cause,
        remedy=remedy,
        details={"unrelated": chance, "score_difference": score_gap, "shift": None if shift is None else shift[0]},
    )


def _scores_differ(score_gap: float) -> Finding:
    return Finding(
        check=CHECK,
        name="strand",
        level="note",
        what=f"the scores of the two strands differ by {score_gap:.2f} of the scores' own spread; the maps are alike",
        size=score_gap,
        size_of="mean |difference of scores| over their standard deviation",
        cause="model",
        remedy="say which strand was scored",
    )
