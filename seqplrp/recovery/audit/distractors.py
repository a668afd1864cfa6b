"""Check 4: do motifs get relevance that the score does not answer to?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqplrp.evaluate import holm, paired_wilcoxon
from seqplrp.genomics.motifs import Motif
from seqplrp.plot import distractor_picture
from seqplrp.recovery.audit.findings import CAUSES, Cause, CheckResult, Finding
from seqplrp.recovery.audit.profiles import AuditLimits, Floats
from seqplrp.recovery.audit.subject import Backgrounds, Codes, Subject, planted, random_starts, share_on, word_of
from seqplrp.recovery.audit.trial import Trial

CHECK = "distractor"
TITLE = "motifs that are present whatever the class: their mass"

_LEAST_RATIO = 1.5
_DOUBTFUL = 0.05  # a p of the score's answer below this speaks against the explanation's fault


@dataclass(frozen=True)
class Distractor:
    """What one motif gets, beside its own letters in random order at the same place.

    Attributes
    ----------
    name : str
        The motif's.
    share, scrambled : float
        Mean share of |relevance| on it, and on its scrambled letters.
    expected : float
        Its share of the bases.
    p : float
        Of its share being larger, by a paired Wilcoxon test, corrected by Holm.
    score_change, score_p : float
        What it does to the score beyond its scrambled letters, and the p of that by a two-sided paired Wilcoxon test.
    """

    name: str
    share: float
    scrambled: float
    expected: float
    p: float
    score_change: float
    score_p: float


def check_distractor(
    trial: Trial, distractors: Sequence[Motif], used: Motif | None, *, named: bool, n: int
) -> CheckResult:
    """Write motifs into sequences with and without the motif that the model answers to, and see what they get.

    Parameters
    ----------
    trial : Trial
        What is audited, and what they are written into: the one class.
    distractors : sequence of Motif
        The motifs in question.
    used : Motif, optional
        What makes the other class, if it is known.
    named : bool
        Whether a user said that they should not matter. Of others, one that the score may answer to is a note.
    n : int
        Sequences of each class.
    """
    fitting = [motif for motif in distractors if motif.width <= trial.subject.length // 2]
    if not fitting:
        return CheckResult(
            CHECK, TITLE, "did not run: no motif that the model does not answer to fits the sequences", ran=False
        )
    codes, free = _two_classes(trial.backgrounds, used, n, trial.rng)
    found = _measured(trial.subject, codes, free, fitting, trial.rng)
    findings = tuple(finding for one in found if (finding := _finding(one, trial.limits, named=named)) is not None)
    classes = f"half of them with {used.name}" if used is not None else "all of one class, as no motif moves the score"
    summary = f"{len(found)} motifs in {len(codes)} sequences ({trial.backgrounds.described}, {classes}): " + "; ".join(
        f"{one.name} gets {100 * one.share:.1f} %, its letters scrambled {100 * one.scrambled:.1f} %" for one in found
    )
    return CheckResult(
        CHECK,
        TITLE,
        summary,
        findings=findings,
        statistics={"used": None if used is None else used.name, "distractors": [vars(one) for one in found]},
        draw=lambda: distractor_picture(
            [one.name for one in found],
            [one.share for one in found],
            [one.scrambled for one in found],
            [one.expected for one in found],
        ),
    )


def _two_classes(
    backgrounds: Backgrounds, used: Motif | None, n: int, rng: np.random.Generator
) -> tuple[Codes, np.ndarray]:
    """Return backgrounds without and with the model's motif, and which positions are free of it: both (2 n, L)."""
    codes = backgrounds.draw(2 * n if used is not None else n, rng)
    free = np.ones(codes.shape, dtype=bool)
    if used is None or used.width > backgrounds.length // 2:
        return codes, free
    at = random_starts(n, backgrounds.length, used.width, rng)
    codes[n:] = planted(codes[n:], word_of(used), at)
    free[np.arange(n, 2 * n)[:, None], at[:, None] + np.arange(used.width)] = False
    return codes, free


def _measured(
    subject: Subject, codes: Codes, free: np.ndarray, motifs: Sequence[Motif], rng: np.random.Generator
) -> list[Distractor]:
    rows: list[tuple[Floats, Floats, Floats]] = []
    for motif in motifs:
        at = _free_starts(free, motif.width, rng)
        word = word_of(motif)
        scrambled = rng.permuted(np.tile(word, (len(codes), 1)), axis=1)
        with_motif, without = subject.maps(planted(codes, word, at)), subject.maps(planted(codes, scrambled, at))
        shares = [share_on(maps.size, at, motif.width) for maps in (with_motif, without)]
        rows.append((shares[0], shares[1], with_motif.output - without.output))
    p = holm([paired_wilcoxon(share, other, alternative="greater").p for share, other, _ in rows])
    return [
        Distractor(
            name=motif.name,
            share=float(share.mean()),
            scrambled=float(other.mean()),
            expected=motif.width / subject.length,
            p=float(value),
            score_change=float(change.mean()),
            score_p=paired_wilcoxon(change, np.zeros(len(change))).p,
        )
        for motif, (share, other, change), value in zip(motifs, rows, p, strict=True)
    ]


def _free_starts(free: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one place a row where a stretch of a width is free."""
    fits = np.asarray(np.lib.stride_tricks.sliding_window_view(free, width, axis=1).all(axis=2))
    edge = min(free.shape[1] // 8, fits.shape[1] // 4)  # away from the ends, unless nothing else is free
    inner = fits.copy()
    inner[:, :edge] = inner[:, fits.shape[1] - edge :] = False
    usable = np.where(inner.any(axis=1, keepdims=True), inner, fits)
    return np.asarray(np.where(usable, rng.random(usable.shape), -1.0).argmax(axis=1))


def _finding(one: Distractor, limits: AuditLimits, *, named: bool) -> Finding | None:
    excess = one.share - one.scrambled
    if not (one.p <= limits.alpha and one.share > _LEAST_RATIO * one.scrambled):
        return None
    answers = one.score_p <= limits.alpha
    cause: Cause = "model" if answers else "unsettled" if one.score_p <= _DOUBTFUL else "explanation"
    told = f"the score answers to it, too ({one.score_change:+.3g})" if answers else CAUSES[cause]
    return Finding(
        check=CHECK,
        name="distractor",
        level="finding" if excess >= limits.mass and (named or cause == "explanation") else "note",
        what=f"{one.name} gets {100 * one.share:.1f} % of |relevance|, its own letters scrambled "
        f"{100 * one.scrambled:.1f} % ({told})",
        size=one.share / max(one.scrambled, 1e-12),
        size_of="share of |relevance| over that of its scrambled letters",
        p=one.p,
        cause=cause,
        remedy="ask whether this motif comes with one class in the training data: the model uses it"
        if answers
        else "do not report this motif from these maps without ablating it: prune more, or choose another rule",
        details={"motif": one.name, "excess_share": excess, "score_change": one.score_change},
    )
