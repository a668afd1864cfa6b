"""Check 4: do motifs get relevance that the score does not answer to?

A motif is blamed if it gets more |relevance| than its own letters in random order do. Who is to blame is asked of the
model: in a design of two by two - with and without the motif that the model uses, the blamed one in order and
scrambled - the score's answer is measured in the same backgrounds as the map's (`answers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from seqplrp.evaluate import holm, paired_wilcoxon
from seqplrp.genomics.motifs import Motif
from seqplrp.plot import distractor_picture
from seqplrp.recovery.audit.answers import Answers
from seqplrp.recovery.audit.findings import Cause, CheckResult, Finding, Level
from seqplrp.recovery.audit.intervals import bounds_of
from seqplrp.recovery.audit.profiles import AuditLimits, Floats
from seqplrp.recovery.audit.subject import (
    Backgrounds,
    Codes,
    Subject,
    planted,
    random_starts,
    share_on,
    sum_on,
    word_of,
)
from seqplrp.recovery.audit.trial import Trial

CHECK = "distractor"
TITLE = "motifs that should not matter: their mass, and what the score makes of them"

PER_BACKGROUND = 4
"""Backgrounds of this check for each one that was asked for: bounds need more of them than means do."""

Outcome = Literal["not blamed", "adds", "used", "of another output", "unsettled"]

_LEAST_RATIO = 1.5  # of a motif's share over that of its scrambled letters, to be blamed at all
_BOUNDS = 4  # that must all hold for "adds": the score's answer and the map's, of the motif and of the used one


@dataclass(frozen=True)
class Distractor:
    """What one motif gets, beside its own letters in random order at the same place, and what the score makes of it.

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
    score_change : float
        Mean of what it does to the score beyond its scrambled letters.
    outcome : str
        ``not blamed``, or what was found out of the score.
    answer_least, answer_most : float or None
        Bounds of the score's answer, as a share of its answer to the motif that the model uses; None where that was
        not measured.
    map_least : float or None
        The least that the map gives it, as a share of what it gives that motif.
    others : tuple of str
        Other outputs that surely answer to it.
    settled_by : int or None
        About how many backgrounds would settle what is unsettled; None where that is not known.
    """

    name: str
    share: float
    scrambled: float
    expected: float
    p: float
    score_change: float
    outcome: Outcome = "not blamed"
    answer_least: float | None = None
    answer_most: float | None = None
    map_least: float | None = None
    others: tuple[str, ...] = ()
    settled_by: int | None = None


@dataclass(frozen=True)
class _Scene:
    """Backgrounds with their strata: letters of the used motif out of order, and the motif itself.

    Attributes
    ----------
    codes : ndarray, shape (strata, n, L)
        The same backgrounds in each.
    at : ndarray, shape (n,), optional
        Where the used motif stands; None if there is none, and one stratum then.
    free : ndarray of bool, shape (n, L)
        What it leaves free.
    used : Motif, optional
        Which it is.
    """

    codes: np.ndarray
    at: np.ndarray | None
    free: np.ndarray
    used: Motif | None

    @property
    def rows(self) -> Codes:
        """All strata one after the other: (strata n, L)."""
        return np.ascontiguousarray(self.codes.reshape(-1, self.codes.shape[-1]))


@dataclass(frozen=True)
class _Written:
    """One motif in every row of a scene, beside its scrambled letters.

    Attributes
    ----------
    motif : Motif
        Which.
    at : ndarray, shape (n,)
        Where, the same in each stratum.
    ordered, scrambled : ndarray of uint8, shape (strata n, L)
        The sequences.
    share, share_scrambled : ndarray, shape (strata n,)
        Of |relevance| on the place.
    mass : ndarray, shape (strata, n)
        |relevance| there beyond that of scrambled letters.
    score, score_scrambled : ndarray, shape (strata, n)
        The scores.
    mass_of_used, effect_of_used : ndarray, shape (n,)
        Of the used motif beside scrambled letters; empty where there is none.
    """

    motif: Motif
    at: np.ndarray
    ordered: Codes
    scrambled: Codes
    share: Floats
    share_scrambled: Floats
    mass: Floats
    score: Floats
    score_scrambled: Floats
    mass_of_used: Floats
    effect_of_used: Floats


def check_distractor(trial: Trial, distractors: Sequence[Motif], used: Motif | None, *, n: int) -> CheckResult:
    """Write motifs into sequences with and without the motif that the model answers to, and see what they get.

    Parameters
    ----------
    trial : Trial
        What is audited, and what they are written into.
    distractors : sequence of Motif
        The motifs in question.
    used : Motif, optional
        What the score's answer to them is measured by, if it is known.
    n : int
        Backgrounds; each is used with `used` and without it.
    """
    scene = _scene(trial.backgrounds, used, n, trial.rng)
    fitting = [motif for motif in distractors if _fits(scene.free, motif.width)]
    if not fitting:
        what = "no motif was given that fits the sequences" if distractors else "each motif tried may move an output"
        return CheckResult(CHECK, TITLE, f"did not run: {what}", ran=False)
    found = _measured(trial, scene, fitting)
    findings = tuple(_finding(one, used, trial, n) for one in found if one.outcome != "not blamed")
    return CheckResult(
        CHECK,
        TITLE,
        _summary(found, used, trial, n),
        findings=findings,
        statistics={
            "used": None if used is None else used.name,
            "backgrounds": n,
            "negligible": trial.limits.negligible,
            "distractors": [vars(one) for one in found],
        },
        draw=lambda: distractor_picture(
            [one.name for one in found],
            [one.share for one in found],
            [one.scrambled for one in found],
            [one.expected for one in found],
        ),
    )


def _summary(found: Sequence[Distractor], used: Motif | None, trial: Trial, n: int) -> str:
    with_used = f"each with and without {used.name}" if used is not None else "no motif is known to move the score"
    shares = "; ".join(
        f"{one.name} gets {100 * one.share:.1f} %, its letters scrambled {100 * one.scrambled:.1f} % ({one.outcome})"
        for one in found
    )
    others = trial.subject.others
    asked = 0 if others is None else len(others.names)
    also = f"; {asked} other output{' was' if asked == 1 else 's were'} asked about what is blamed" if asked else ""
    return (
        f"{len(found)} motifs, one copy of the consensus each, in {n} backgrounds ({trial.backgrounds.described}, "
        f"{with_used}): {shares}{also}"
    )


def _scene(backgrounds: Backgrounds, used: Motif | None, n: int, rng: np.random.Generator) -> _Scene:
    codes = backgrounds.draw(n, rng)
    free = np.ones(codes.shape, dtype=bool)
    if used is None:
        return _Scene(codes[None], None, free, None)
    at = random_starts(n, backgrounds.length, used.width, rng)
    free[np.arange(n)[:, None], at[:, None] + np.arange(used.width)] = False
    strata = [planted(codes, _scrambled(used, n, rng), at), planted(codes, word_of(used), at)]
    return _Scene(np.stack(strata), at, free, used)


def _scrambled(motif: Motif, n: int, rng: np.random.Generator) -> Codes:
    return np.asarray(rng.permuted(np.tile(word_of(motif), (n, 1)), axis=1))


def _windows(free: np.ndarray, width: int) -> np.ndarray:
    """Say where a stretch of a width is free: (n, L - width + 1)."""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(free, width, axis=1).all(axis=2))


def _fits(free: np.ndarray, width: int) -> bool:
    return width <= free.shape[1] // 2 and bool(_windows(free, width).any(axis=1).all())


def _measured(trial: Trial, scene: _Scene, motifs: Sequence[Motif]) -> list[Distractor]:
    rows = [_written(trial.subject, scene, motif, trial.rng) for motif in motifs]
    p = holm([paired_wilcoxon(one.share, one.share_scrambled, alternative="greater").p for one in rows])
    return [_judged(trial, scene, one, float(value), len(motifs)) for one, value in zip(rows, p, strict=True)]


def _written(subject: Subject, scene: _Scene, motif: Motif, rng: np.random.Generator) -> _Written:
    strata, n = scene.codes.shape[:2]
    at = _free_starts(scene.free, motif.width, rng)
    everywhere, letters = np.tile(at, strata), np.tile(_scrambled(motif, n, rng), (strata, 1))
    ordered = planted(scene.rows, word_of(motif), everywhere)
    scrambled = planted(scene.rows, letters, everywhere)
    maps, others = subject.maps(ordered), subject.maps(scrambled)
    sizes = [sum_on(one.size, everywhere, motif.width) for one in (maps, others)]
    score, score_scrambled = (one.output.reshape(strata, n) for one in (maps, others))
    mass_of_used = effect_of_used = np.zeros(0)
    if scene.used is not None and scene.at is not None:
        on_used = sum_on(others.size, np.tile(scene.at, strata), scene.used.width).reshape(strata, n)
        mass_of_used, effect_of_used = on_used[1] - on_used[0], score_scrambled[1] - score_scrambled[0]
    return _Written(
        motif=motif,
        at=at,
        ordered=ordered,
        scrambled=scrambled,
        share=share_on(maps.size, everywhere, motif.width),
        share_scrambled=share_on(others.size, everywhere, motif.width),
        mass=(sizes[0] - sizes[1]).reshape(strata, n),
        score=score,
        score_scrambled=score_scrambled,
        mass_of_used=mass_of_used,
        effect_of_used=effect_of_used,
    )


def _judged(trial: Trial, scene: _Scene, one: _Written, p: float, tests: int) -> Distractor:
    """Ask the score about a motif that is blamed; of others nothing more is asked."""
    share, scrambled = float(one.share.mean()), float(one.share_scrambled.mean())
    told: dict[str, Any] = {
        "name": one.motif.name,
        "share": share,
        "scrambled": scrambled,
        "expected": one.motif.width / trial.subject.length,
        "p": p,
        "score_change": float((one.score - one.score_scrambled).mean()),
    }
    if not (p <= trial.limits.alpha and share > _LEAST_RATIO * scrambled):
        return Distractor(**told)
    others = _other_outputs(trial.subject, one, trial.limits.alpha / tests)
    if scene.used is None:
        return Distractor(**told, outcome="of another output" if others else "unsettled", others=others)
    answers = _answers(trial, one, trial.limits.alpha / (_BOUNDS * tests))
    negligible = trial.limits.negligible
    outcome: Outcome = answers.outcome(negligible)
    if others and outcome != "used":
        outcome = "of another output"
    return Distractor(
        **told,
        outcome=outcome,
        answer_least=answers.least,
        answer_most=answers.most,
        map_least=answers.least_mass,
        others=others,
        settled_by=answers.backgrounds_to_settle(negligible) if outcome == "unsettled" else None,
    )


def _answers(trial: Trial, one: _Written, tail: float) -> Answers:
    """Measure the score's answer: by its mean, and by its size, as a motif may raise here and lower there."""
    strata, n = one.score.shape
    rng, width, everywhere = trial.rng, one.motif.width, np.tile(one.at, strata)

    def scores(codes: Codes) -> Floats:
        return trial.subject.maps(codes).output.reshape(strata, n)

    other_order = np.tile(_scrambled(one.motif, n, rng), (strata, 1))
    stretch = _stretches(n, width, rng)
    by_order = np.abs(one.score - one.score_scrambled) - np.abs(
        scores(planted(one.scrambled, other_order, everywhere)) - one.score_scrambled
    )
    by_stretch = np.abs(scores(_changed(one.ordered, one.at, stretch)) - one.score) - np.abs(
        scores(_changed(one.scrambled, one.at, stretch)) - one.score_scrambled
    )
    towards = np.sign(one.effect_of_used.mean()) or 1.0
    return Answers(
        changes=tuple(bounds_of(row, tail) for row in one.score - one.score_scrambled),
        sizes=tuple(bounds_of(size.mean(axis=0), tail) for size in (by_order, by_stretch)),
        used=bounds_of(one.effect_of_used * towards, tail),
        mass=bounds_of(one.mass.mean(axis=0), tail),
        mass_of_used=bounds_of(one.mass_of_used, tail),
        tail=tail,
    )


def _stretches(n: int, width: int, rng: np.random.Generator) -> Codes:
    """Draw by how much each letter of a motif is turned, 0 but in a stretch of any length at any place: (n, W).

    Parts of a motif may do the opposite of each other, and only where one of them is left does the score tell.
    """
    ends = np.sort(rng.permuted(np.tile(np.arange(width + 1), (n, 1)), axis=1)[:, :2], axis=1)
    inside = (np.arange(width) >= ends[:, :1]) & (np.arange(width) < ends[:, 1:])
    return np.asarray(np.where(inside, rng.integers(1, 4, (n, width)), 0), dtype=np.uint8)


def _changed(codes: Codes, at: np.ndarray, by: Codes) -> Codes:
    """Turn the letters behind each start by some steps, the same in each stratum."""
    strata = len(codes) // len(at)
    rows, where = np.arange(len(codes))[:, None], np.tile(at[:, None] + np.arange(by.shape[1]), (strata, 1))
    changed = codes.copy()
    changed[rows, where] = (changed[rows, where] + np.tile(by, (strata, 1))) % 4
    return changed


def _other_outputs(subject: Subject, one: _Written, alpha: float) -> tuple[str, ...]:
    """Name the other outputs that surely answer to a motif, in either stratum."""
    if subject.others is None or not subject.others.names:
        return ()
    names, strata = subject.others.names, len(one.mass)
    change = subject.others_of(one.ordered) - subject.others_of(one.scrambled)
    each = change.reshape(strata, -1, len(names))
    tail = alpha / (2 * strata * len(names))
    return tuple(
        name for k, name in enumerate(names) if any(bounds_of(each[s, :, k], tail).least > 0 for s in range(strata))
    )


def _free_starts(free: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one place a row where a stretch of a width is free."""
    fits = _windows(free, width)
    edge = min(free.shape[1] // 8, fits.shape[1] // 4)  # away from the ends, unless nothing else is free
    inner = fits.copy()
    inner[:, :edge] = inner[:, fits.shape[1] - edge :] = False
    usable = np.where(inner.any(axis=1, keepdims=True), inner, fits)
    return np.asarray(np.where(usable, rng.random(usable.shape), -1.0).argmax(axis=1))


def _finding(one: Distractor, used: Motif | None, trial: Trial, n: int) -> Finding:
    excess = one.share - one.scrambled
    level: Level = "note"
    if excess >= trial.limits.mass and one.outcome in ("adds", "unsettled"):
        level = "finding" if one.outcome == "adds" else "unsettled"
    return Finding(
        check=CHECK,
        name="distractor" if one.outcome == "adds" else one.outcome,
        level=level,
        what=f"{one.name} gets {100 * one.share:.1f} % of |relevance|, its own letters scrambled "
        f"{100 * one.scrambled:.1f} %; {_told(one, used, trial.limits, n)}",
        size=one.share / max(one.scrambled, 1e-12),
        size_of="share of |relevance| over that of its scrambled letters",
        p=one.p,
        cause=_cause(one),
        remedy=_remedy(one, used, n),
        details={"motif": one.name, "excess_share": excess, **vars(one)},
    )


def _cause(one: Distractor) -> Cause:
    if one.outcome == "adds":
        return "both" if one.answer_least else "explanation"
    return "unsettled" if one.outcome == "unsettled" else "model"


def _told(one: Distractor, used: Motif | None, limits: AuditLimits, n: int) -> str:
    """Say what was found of the score, and no more."""
    if one.outcome == "of another output":
        return f"other outputs surely answer to it ({_spoken(one.others)}), so it is not judged on this one"
    if used is None or one.answer_most is None:
        return "no motif is known to move the score, so there is nothing to measure its answer to this one by"
    if not np.isfinite(one.answer_most):
        return (
            f"what {used.name} itself does to the score is uncertain in {n} backgrounds, so nothing is measured by it"
        )
    seen = (
        f"the score answers to it by {one.answer_least:.2f} to {one.answer_most:.2f}"
        if one.answer_least
        else f"the score was not seen to answer to it, and answers by less than {one.answer_most:.2f}"
    )
    by = f"{seen} of what it answers to {used.name} ({n} backgrounds)"
    of_map = f"the map gives it {one.map_least:.2f} or more of what it gives {used.name}"
    if one.map_least is None or not np.isfinite(one.map_least):
        of_map = f"the map gives {used.name} itself nothing"
    if one.outcome == "adds":
        return f"{by}, while {of_map}: the explanation adds to it"
    if one.outcome == "used":
        beyond = one.map_least is not None and one.map_least > one.answer_most
        also = f"; other outputs surely answer to it, too ({_spoken(one.others)})" if one.others else ""
        return f"{by}: the model uses it; {of_map}{', beyond what it answers' if beyond else ''}{also}"
    return (
        f"{by}, and {of_map}: whether the explanation adds to it can't be told (an answer is negligible up to "
        f"{limits.negligible:g})"
    )


def _spoken(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _remedy(one: Distractor, used: Motif | None, n: int) -> str:
    if one.outcome == "adds":
        return "do not report this motif from these maps without ablating it: prune more, or choose another rule"
    if one.outcome == "used":
        return "if it should not matter, ask whether it comes with one class in the training data: the model uses it"
    if one.outcome == "of another output":
        return "audit that output (--target), or name motifs of none (--distractor)"
    if used is None:
        return "name a motif that the model uses (--motif)"
    if one.settled_by is None:
        return "ablate it in the sequences of interest: more backgrounds than can be made would be needed here"
    asked = -(-one.settled_by // PER_BACKGROUND)
    return (
        f"about {one.settled_by} backgrounds would settle it if the means stay as they are (--backgrounds {asked}; "
        f"these were {n}); until then ablate it before it is reported"
    )
