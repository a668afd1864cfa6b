"""Check 2: does the relevance move with a motif that is moved through every offset, and as much at each?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import gcd

import numpy as np

from seqplrp.genomics.motifs import Motif
from seqplrp.plot import profile_picture
from seqplrp.recovery.audit.findings import CheckResult, Finding
from seqplrp.recovery.audit.position import (
    Named,
    finding_of,
    levelled,
    profile_statistics,
    uneven_parts,
)
from seqplrp.recovery.audit.probes import t_statistic
from seqplrp.recovery.audit.profiles import AuditLimits, Floats, examine, normalised
from seqplrp.recovery.audit.subject import Backgrounds, Subject, planted, word_of

CHECK = "offset"
TITLE = "one motif moved through every offset"
_OF = "share of |relevance| on the motif"

_MOST_OFFSETS = 400
_LEAST_T = 4.0
_LEAST_GAIN = 1.05

_REMEDIES: Mapping[str, str] = {
    "edge": "do not take a motif's low (or high) relevance near this end for its importance: shift the window so that "
    "it stands in the middle",
    "comb": "average the map over inputs shifted by 0 to period - 1 bases before motifs are ranked",
    "uneven": "compare motifs at equal places only, or centre each one in its window before it is scored",
}


def check_offset(
    subject: Subject,
    backgrounds: Backgrounds,
    motif: Motif,
    *,
    n: int,
    limits: AuditLimits,
    strides: Mapping[int, str],
    rng: np.random.Generator,
) -> CheckResult:
    """Move a motif's consensus through backgrounds and see which share of |relevance| it gets at each offset.

    Parameters
    ----------
    subject : Subject
        What is audited.
    backgrounds : Backgrounds
        What the motif is written into.
    motif : Motif
        One that the model answers to.
    n : int
        Backgrounds.
    limits, strides, rng
        As in `check_position`.
    """
    offsets = offsets_to_try(subject.length - motif.width + 1, tuple(strides))
    step = int(offsets[1] - offsets[0]) if len(offsets) > 1 else 1
    if len(offsets) < 12:
        return CheckResult(
            CHECK, TITLE, f"did not run: {motif.name} ({motif.width} bp) has {len(offsets)} offsets", ran=False
        )
    codes = backgrounds.draw(n, rng)
    before = subject.maps(codes)
    share, change = _moved(subject, codes, before.output, motif, offsets)
    without = _windows(before.size, motif.width)[:, offsets]
    rows = normalised(share)
    profile = examine(rows, rng, limits=limits, strides=tuple(strides))
    parts = [_at_offsets(one, offsets) for one in uneven_parts(profile, strides, _OF, step=step)]
    model = normalised(np.maximum(change * np.sign(change.mean()), 0))
    findings = [finding_of(CHECK, part, model if len(model) > 3 else None, limits, _REMEDIES) for part in parts]
    if len(model) > 3:
        findings += _score_by_offset(motif, model, offsets, limits, strides, rng)
    gain = share.mean(axis=1) - without.mean(axis=1)
    ratio = float(share.mean() / max(without.mean(), 1e-12))
    follows = t_statistic(gain) > _LEAST_T and ratio > _LEAST_GAIN
    # a motif that lowers the score may do so by silencing units, and silent units have no relevance to give
    if not follows and t_statistic(change.mean(axis=1)) > _LEAST_T:
        findings.insert(0, _does_not_follow(motif, ratio, float(change.mean())))
    summary = (
        f"{motif.name} ({motif.consensus}) at {len(offsets)} offsets{f', every {step}' if step > 1 else ''}, in {n} "
        f"backgrounds: it gets {100 * share.mean():.0f} % of |relevance|, {ratio:.1f} times what its place has without "
        f"it (t = {t_statistic(gain):.0f}), and changes the score by {change.mean():+.3g}"
    )
    return CheckResult(
        CHECK,
        TITLE,
        summary,
        findings=tuple(findings),
        statistics={
            "motif": motif.name,
            "word": motif.consensus,
            "offsets": offsets,
            "share": share.mean(axis=0),
            "share_without": float(without.mean()),
            "score_change": change.mean(axis=0),
            **profile_statistics(profile),
        },
        draw=lambda: profile_picture(
            profile.mean / profile.level,
            noise=profile.noise / profile.level,
            places=offsets,
            marked=[(part.name, part.positions) for part in parts],
            combs=[(comb.period, comb.phases) for comb in profile.combs if step == 1],
            other=("change of the score", levelled(model, parts)) if len(model) > 3 else None,
            ylabel="motif's share of |relevance|\n(interior = 1)",
            xlabel="offset of the motif's first base (0-based)",
            title=f"{motif.name} moved through the sequence: is it seen everywhere alike?",
        ),
    )


def offsets_to_try(available: int, strides: tuple[int, ...]) -> np.ndarray:
    """Return every offset, or some hundred evenly spaced ones in which all phases of all strides come in turn."""
    step = -(-available // _MOST_OFFSETS)
    while step > 1 and any(gcd(step, stride) > 1 for stride in strides):
        step += 1
    return np.arange(0, available, step)


def _moved(
    subject: Subject, codes: np.ndarray, before: Floats, motif: Motif, offsets: np.ndarray
) -> tuple[Floats, Floats]:
    """Share of |relevance| on the motif, and change of the score, each (backgrounds, offsets)."""
    word = word_of(motif)
    share, change = np.empty((2, len(codes), len(offsets)))
    for row, one in enumerate(codes):
        maps = subject.maps(planted(np.repeat(one[None], len(offsets), axis=0), word, offsets))
        share[row] = _windows(maps.size, motif.width)[np.arange(len(offsets)), offsets]
        change[row] = maps.output - before[row]
    return share, change


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


def _score_by_offset(
    motif: Motif,
    model: Floats,
    offsets: np.ndarray,
    limits: AuditLimits,
    strides: Mapping[int, str],
    rng: np.random.Generator,
) -> list[Finding]:
    """Say whether the score itself answers to the motif more at some offsets, whatever the map does."""
    profile = examine(model, rng, limits=limits, strides=tuple(strides))
    step = int(offsets[1] - offsets[0])
    parts = uneven_parts(profile, strides, "change of the score", step=step)
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
            level="finding" if max(part.mass for part in parts) >= limits.mass else "note",
            what=f"the score itself answers {ratio:.1f} times as much to {motif.name} near offset {offsets[high + 2]} "
            f"as near {offsets[low + 2]}, whatever the map shows: {said}",
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


def _does_not_follow(motif: Motif, ratio: float, change: float) -> Finding:
    return Finding(
        check=CHECK,
        name="does not follow",
        level="finding",
        what=f"the score answers to {motif.name} ({change:+.3g} on average), but its bases get only {ratio:.2f} times "
        "the relevance that its place has without it",
        size=ratio,
        size_of="share of |relevance| with the motif over that without it",
        cause="explanation",
        remedy="do not use this method on this model; compare with ISM, and try another rule",
    )
