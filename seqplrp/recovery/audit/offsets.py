"""Check 2: does the relevance move with a motif that is moved through every offset, and as much at each?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import gcd
from typing import Any, Literal

import numpy as np

from seqplrp.genomics.motifs import Motif
from seqplrp.plot import profile_picture
from seqplrp.recovery.audit.findings import CheckResult, Finding
from seqplrp.recovery.audit.intervals import LITTLE_OF_IT, bounds_of
from seqplrp.recovery.audit.position import (
    Named,
    finding_of,
    levelled,
    profile_statistics,
    uneven_parts,
)
from seqplrp.recovery.audit.probes import t_statistic
from seqplrp.recovery.audit.profiles import Floats, normalised
from seqplrp.recovery.audit.subject import Codes, Subject, planted, word_of
from seqplrp.recovery.audit.trial import Trial

CHECK = "offset"
TITLE = "one motif moved through every offset"
_OF = "share of |relevance| on the motif"

_MOST_OFFSETS = 400
_FEWEST_OFFSETS = 12
_FEWEST_ROWS = 4
_LEAST_T = 4.0
_LEAST_GAIN = 1.05  # of what the place has without the motif: what follows gets more; a choice of ours
_LEAST_DUE = 1.5  # where less would be in proportion to the score, proportion is too rough a measure to blame a map by
_TAIL = 0.005

_REMEDIES: Mapping[str, str] = {
    "edge": "do not take a motif's low (or high) relevance near this end for its importance: shift the window so that "
    "it stands in the middle",
    "comb": "average the map over inputs shifted by 0 to period - 1 bases before motifs are ranked",
    "uneven": "compare motifs at equal places only, or centre each one in its window before it is scored",
}


def check_offset(trial: Trial, motif: Motif, *, n: int) -> CheckResult:
    """Move a motif's consensus through backgrounds and see which share of |relevance| it gets at each offset.

    Parameters
    ----------
    trial : Trial
        What is audited, and what the motif is written into.
    motif : Motif
        One that the model answers to.
    n : int
        Backgrounds.
    """
    offsets = offsets_to_try(trial.subject.length - motif.width + 1, tuple(trial.strides))
    if len(offsets) < _FEWEST_OFFSETS:
        return CheckResult(
            CHECK, TITLE, f"did not run: {motif.name} ({motif.width} bp) has {len(offsets)} offsets", ran=False
        )
    sweep = _swept(trial.subject, trial.backgrounds.draw(n, trial.rng), motif, offsets)
    rows = normalised(sweep.share)
    if len(rows) < _FEWEST_ROWS:
        if sweep.following == "no":
            return CheckResult(CHECK, TITLE, sweep.summary, findings=(_does_not_follow(sweep),))
        return CheckResult(CHECK, TITLE, f"did not run: {motif.name} gets no relevance in any background", ran=False)
    profile = trial.examined(rows)
    parts = [_at_offsets(one, offsets) for one in uneven_parts(profile, trial.strides, _OF, step=sweep.step)]
    model = normalised(np.maximum(sweep.change * np.sign(sweep.change.mean()), 0))
    answers = model if len(model) >= _FEWEST_ROWS else None
    findings = [_does_not_follow(sweep)] if sweep.following == "no" else []
    findings += [_may_not_follow(sweep)] if sweep.following == "unsettled" else []
    findings += [finding_of(CHECK, part, answers, trial.limits, _REMEDIES) for part in parts]
    if answers is not None:
        findings += _score_by_offset(sweep, answers, trial)
    return CheckResult(
        CHECK,
        TITLE,
        sweep.summary,
        findings=tuple(findings),
        statistics={**sweep.statistics, **profile_statistics(profile)},
        draw=lambda: profile_picture(
            profile.mean / profile.level,
            noise=profile.noise / profile.level,
            places=offsets,
            marked=[(part.name, part.positions) for part in parts],
            combs=[(comb.period, comb.phases) for comb in profile.combs if sweep.step == 1],
            other=None if answers is None else ("change of the score", levelled(answers, parts)),
            ylabel="motif's share of |relevance|\n(interior = 1)",
            xlabel="offset of the motif's first base (0-based)",
            title=f"{motif.name} moved through the sequence: is it seen everywhere alike?",
        ),
    )


@dataclass(frozen=True)
class _Sweep:
    """A motif at several offsets of several backgrounds.

    Attributes
    ----------
    motif : Motif
        Which.
    offsets : ndarray, shape (P,)
        Where its first base stood.
    share, without : ndarray, shape (backgrounds, P)
        Share of |relevance| on it, and on the same places of the background without it.
    change : ndarray, shape (backgrounds, P)
        What it did to the score.
    score : ndarray, shape (backgrounds,)
        What the score was without it.
    """

    motif: Motif
    offsets: np.ndarray
    share: Floats
    without: Floats
    change: Floats
    score: Floats

    @property
    def step(self) -> int:
        return int(self.offsets[1] - self.offsets[0])

    @property
    def ratio(self) -> float:
        return float(self.share.mean() / max(self.without.mean(), 1e-12))

    @property
    def gain_t(self) -> float:
        return t_statistic(self.share.mean(axis=1) - self.without.mean(axis=1))

    @property
    def due(self) -> float:
        """The gain in share that is due if relevance grows with the score: a small rise of a large score gives little.

        Where the score of size S rises by d, a place of share s comes to (s S + d) / (S + d).
        """
        size, rise = float(np.abs(self.score).mean()), float(self.change.mean())
        return float(rise * (1 - self.without.mean()) / (size + rise))

    @property
    def most_of_due(self) -> float:
        """The most that the share gained, as a share of what is due."""
        gain = bounds_of(self.share.mean(axis=1) - self.without.mean(axis=1), _TAIL)
        return gain.high / max(self.due, 1e-12)

    @property
    def due_ratio(self) -> float:
        """The share that is due, over what the place has without the motif."""
        return 1.0 + self.due / max(float(self.without.mean()), 1e-12)

    @property
    def following(self) -> Literal["yes", "no", "unsettled", "not asked"]:
        """Whether the relevance comes along where the score surely rises.

        A motif that lowers the score may do so by silencing units, and silent units have no relevance to give.
        """
        if t_statistic(self.change.mean(axis=1)) <= _LEAST_T:
            return "not asked"
        if self.gain_t > _LEAST_T and self.ratio > _LEAST_GAIN:
            return "yes"
        return "no" if self.most_of_due < LITTLE_OF_IT and self.due_ratio > _LEAST_DUE else "unsettled"

    @property
    def summary(self) -> str:
        every = f", every {self.step}" if self.step > 1 else ""
        return (
            f"{self.motif.name} ({self.motif.consensus}) at {len(self.offsets)} offsets{every}, in {len(self.share)} "
            f"backgrounds: it gets {100 * self.share.mean():.0f} % of |relevance|, {self.ratio:.1f} times what its "
            f"place has without it (t = {self.gain_t:.0f}), and changes the score by {self.change.mean():+.3g}"
        )

    @property
    def statistics(self) -> dict[str, Any]:
        return {
            "motif": self.motif.name,
            "word": self.motif.consensus,
            "offsets": self.offsets,
            "share": self.share.mean(axis=0),
            "share_without": float(self.without.mean()),
            "score_change": self.change.mean(axis=0),
        }


def offsets_to_try(available: int, strides: tuple[int, ...]) -> np.ndarray:
    """Return every offset, or some hundred evenly spaced ones in which all phases of all strides come in turn."""
    step = -(-available // _MOST_OFFSETS)
    while step > 1 and any(gcd(step, stride) > 1 for stride in strides):
        step += 1
    return np.arange(0, available, step)


def _swept(subject: Subject, codes: Codes, motif: Motif, offsets: np.ndarray) -> _Sweep:
    """Write a motif into every background at every offset, a background at a time."""
    before = subject.maps(codes)
    share, change = np.empty((2, len(codes), len(offsets)))
    for row, one in enumerate(codes):
        maps = subject.maps(planted(np.repeat(one[None], len(offsets), axis=0), word_of(motif), offsets))
        share[row] = _windows(maps.size, motif.width)[np.arange(len(offsets)), offsets]
        change[row] = maps.output - before.output[row]
    return _Sweep(motif, offsets, share, _windows(before.size, motif.width)[:, offsets], change, before.output)


def _windows(size: Floats, width: int) -> Floats:
    """Share of each map (N, L) that lies in the window from each offset on: (N, L - width + 1)."""
    sums = np.concatenate([np.zeros((len(size), 1)), size.cumsum(axis=1)], axis=1)
    whole = np.maximum(sums[:, -1:], 1e-300)
    return np.asarray((sums[:, width:] - sums[:, :-width]) / whole)


def _at_offsets(part: Named, offsets: np.ndarray) -> Named:
    """Say where a part stands by the offsets themselves."""
    if part.name == "comb":
        return replace(part, positions=())
    places = tuple((int(offsets[a]), int(offsets[b - 1]) + 1) for a, b in part.positions)
    return replace(part, positions=places)


def _score_by_offset(sweep: _Sweep, model: Floats, trial: Trial) -> list[Finding]:
    """Say whether the score itself answers to the motif more at some offsets, whatever the map does."""
    profile = trial.examined(model)
    offsets = sweep.offsets
    parts = uneven_parts(profile, trial.strides, "change of the score", step=sweep.step)
    if not parts:
        return []
    smooth = np.convolve(profile.mean, np.full(5, 0.2), mode="valid")
    high, low = int(smooth.argmax()), int(smooth.argmin())
    ratio = float(smooth[high] / max(smooth[low], 1e-3 * smooth[high]))
    said = "; ".join(part.what for part in parts)
    places = tuple(place for part in parts for place in _at_offsets(part, offsets).positions)
    return [
        Finding(
            check=CHECK,
            name="score",
            level="finding" if max(part.mass for part in parts) >= trial.limits.mass else "note",
            what=f"the score itself answers {ratio:.1f} times as much to {sweep.motif.name} near offset "
            f"{offsets[high + 2]} as near {offsets[low + 2]}, whatever the map shows: {said}",
            size=ratio,
            size_of="largest over smallest change of the score, means of five offsets",
            p=max(part.p for part in parts),
            positions=places,
            cause="model",
            remedy="a motif's relevance tells how much this model makes of it at its place, not how much it binds: "
            "compare motifs at equal places, or train on shifted sequences or with global pooling",
            details={"parts": [part.what for part in parts]},
        )
    ]


def _does_not_follow(sweep: _Sweep) -> Finding:
    return Finding(
        check=CHECK,
        name="does not follow",
        level="finding",
        what=f"the score answers to {sweep.motif.name} ({sweep.change.mean():+.3g} on average), but its bases get only "
        f"{sweep.ratio:.2f} times the relevance that its place has without it, surely less than "
        f"{100 * LITTLE_OF_IT:g} % of the gain that would be in proportion to the score",
        size=sweep.ratio,
        size_of="share of |relevance| with the motif over that without it",
        cause="explanation",
        remedy="do not use this method on this model; compare with ISM, and try another rule",
        details={"most_of_due": sweep.most_of_due, "ratio_due": sweep.due_ratio},
    )


def _may_not_follow(sweep: _Sweep) -> Finding:
    return Finding(
        check=CHECK,
        name="does it follow",
        level="unsettled",
        what=f"the score answers to {sweep.motif.name} ({sweep.change.mean():+.3g} on average), and its bases get "
        f"{sweep.ratio:.2f} times the relevance that its place has without it: whether it follows can't be told in "
        f"{len(sweep.share)} backgrounds ({sweep.due_ratio:.2f} times would be in proportion to the score's rise)",
        size=sweep.ratio,
        size_of="share of |relevance| with the motif over that without it",
        cause="unsettled",
        remedy="ask again with more backgrounds (--backgrounds), or with a motif that moves the score more (--motif)",
        details={"most_of_due": sweep.most_of_due, "ratio_due": sweep.due_ratio},
    )
