"""Check 3: is the map of the reverse complement the map, turned round?"""

from __future__ import annotations

import numpy as np

from seqplrp.evaluate import MeanInterval, bootstrap_mean
from seqplrp.plot import strand_picture
from seqplrp.recovery.audit.findings import CAUSES, Cause, CheckResult, Finding
from seqplrp.recovery.audit.intervals import CAUSE_TAIL, Bounds, bounds_of, cause_of
from seqplrp.recovery.audit.mutations import affordable, changes, mutants_of
from seqplrp.recovery.audit.profiles import Floats
from seqplrp.recovery.audit.subject import Codes, Subject

CHECK = "strand"
TITLE = "the reverse complement's map against the map turned round"

TOLERANCE = 0.1
"""Mean difference of the two maps, as a share of both, up to which strands are called alike: a choice of ours."""

_DIFFERENCE = "sum |a - b| / sum (|a| + |b|), mean over sequences"
_SCORE_TOLERANCE = 0.05  # of the scores' own spread; a choice, too
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
    gaps = bootstrap_mean(gap / spread if spread > 0 else 0 * gap, seed=seed)
    lag, at_lag = _best_lag(forward.relevance, turned)
    by_position = np.abs(forward.relevance - turned).mean(axis=0)
    sizes = (np.abs(forward.relevance).mean(axis=0) + np.abs(turned).mean(axis=0)) / 2
    findings = []
    if interval.low > TOLERANCE:
        shift = (lag, at_lag) if lag and at_lag < 0.7 * interval.mean else None
        rng = np.random.default_rng([seed, 2])
        of_model = _of_the_model(subject, codes, apart, rng)
        findings.append(_asymmetry(interval, float(chance.mean()), gaps.mean, of_model, shift))
    elif interval.high > TOLERANCE:
        findings.append(_unsettled(interval))
    elif gaps.low > _SCORE_TOLERANCE:
        findings.append(_scores_differ(gaps, interval))
    summary = (
        f"{len(codes)} sequences ({what}): maps of the two strands differ by {interval} of their size (0: the same; "
        f"maps of unrelated sequences: {chance.mean():.2f}); scores differ by {gaps} of their own spread "
        "(95 % intervals)"
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
            "score_difference": gaps.mean,
            "score_difference_low": gaps.low,
            "score_difference_high": gaps.high,
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


def _of_the_model(
    subject: Subject, codes: Codes, apart: Floats, rng: np.random.Generator
) -> tuple[Cause, Bounds | None]:
    """Ask the score itself: how far do its answers to the same mutations differ between the strands?

    Scores that are equal on both strands do not tell: two strands can be read unlike and come to one score.
    """
    some = affordable(codes, strands=2)
    if not len(some):
        return "not asked", None
    mutants = mutants_of(some, rng)
    forward = changes(subject, some, mutants)
    backward = changes(subject, reverse_complemented(some), reverse_complemented(mutants))
    answers = difference(forward, backward)
    return cause_of(answers, apart[: len(some)]), bounds_of(answers, CAUSE_TAIL)


def _asymmetry(
    interval: MeanInterval,
    chance: float,
    score_gap: float,
    of_model: tuple[Cause, Bounds | None],
    shift: tuple[int, float] | None,
) -> Finding:
    cause, answers = of_model
    told = ""
    if answers is not None:
        told = (
            f" (the score's own answers to the same mutations differ by {answers.mean:.2f}, "
            f"{100 * (1 - 2 * CAUSE_TAIL):g} % interval {max(answers.low, 0):.2f} to {answers.high:.2f}: "
            f"{CAUSES[cause]})"
        )
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
        what=f"maps of the two strands differ by {interval.mean:.2f} of their size (unrelated sequences: {chance:.2f})"
        f"{moved}{told}",
        size=interval.mean,
        size_of=_DIFFERENCE,
        cause=cause,
        remedy=remedy,
        details={
            "unrelated": chance,
            "score_difference": score_gap,
            "answers_difference": None if answers is None else answers.mean,
            "shift": None if shift is None else shift[0],
        },
    )


def _unsettled(interval: MeanInterval) -> Finding:
    reach = (interval.high - interval.low) / 2
    apart = abs(interval.mean - TOLERANCE)
    needed = interval.n * (reach / apart) ** 2 if apart > 0 else float("inf")
    remedy = "explain more sequences (--sequences)"
    if needed <= 100 * interval.n:
        remedy = (
            f"about {2 * needed:.0f} sequences would settle it if the mean stays as it is (--sequences; this check "
            f"takes a half, or the real ones that there are)"
        )
    return Finding(
        check=CHECK,
        name="strand",
        level="unsettled",
        what=f"maps of the two strands differ by {interval.mean:.2f} of their size, between {interval.low:.2f} and "
        f"{interval.high:.2f}: whether by more than {TOLERANCE:g}, up to which they are called alike, can't be told",
        size=interval.mean,
        size_of=_DIFFERENCE,
        cause="unsettled",
        remedy=remedy,
        details={"tolerance": TOLERANCE},
    )


def _scores_differ(gaps: MeanInterval, interval: MeanInterval) -> Finding:
    return Finding(
        check=CHECK,
        name="strand",
        level="note",
        what=f"the scores of the two strands differ by {gaps.mean:.2f} of the scores' own spread; the maps by no more "
        f"than {interval.high:.2f} of their size",
        size=gaps.mean,
        size_of="mean |difference of scores| over their standard deviation",
        cause="model",
        remedy="say which strand was scored",
    )
