"""Check 1: does |relevance| depend on the position, where the sequences do not?

Over dinucleotide-shuffled sequences every position holds the same kind of bases, so the mean |relevance| is flat unless
the network or the explanation prefers places: where padding cuts windows off, where a pool's stride falls, where a
dense layer behind a flattening has learnt weights for places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from seqplrp.plot import profile_picture
from seqplrp.recovery.audit.findings import CAUSES, Cause, CheckResult, Finding, Range, spoken
from seqplrp.recovery.audit.intervals import CAUSE_TAIL, Bounds, bounds_of, cause_of
from seqplrp.recovery.audit.mutations import FEWEST, affordable, changes, mutants_of
from seqplrp.recovery.audit.profiles import AuditLimits, Comb, Edge, Floats, Profile, Spot, normalised, slopes_on
from seqplrp.recovery.audit.subject import Codes, Subject
from seqplrp.recovery.audit.trial import Trial

CHECK = "position"
TITLE = "|relevance| by position over shuffled sequences"

FEWEST_ROWS = 20


@dataclass(frozen=True)
class Named:
    """An uneven part of a profile in words, with the pattern that it draws on the positions."""

    name: str
    what: str
    size: float
    size_of: str
    p: float
    positions: tuple[Range, ...]
    pattern: Floats
    mass: float
    details: Mapping[str, Any]


def check_position(trial: Trial, *, n: int) -> CheckResult:
    """Explain shuffled sequences and look for edges, combs and uneven stretches in the mean |relevance|.

    Parameters
    ----------
    trial : Trial
        What is audited.
    n : int
        Shuffled sequences.
    """
    codes = trial.backgrounds.draw(n, trial.rng)
    rows = normalised(trial.subject.maps(codes).size)
    if len(rows) < FEWEST_ROWS:
        return CheckResult(
            CHECK, TITLE, f"did not run: {n - len(rows)} of {n} maps are zero at every position", ran=False
        )
    profile = trial.examined(rows)
    parts = uneven_parts(profile, trial.strides, "mean |relevance|")
    model = _mutation_rows(trial.subject, codes, trial.rng) if parts else None
    findings = tuple(finding_of(CHECK, part, model, trial.limits, _REMEDIES) for part in parts)
    summary = (
        f"{len(rows)} sequences ({trial.backgrounds.described}); the interior varies by "
        f"{100 * profile.variation:.1f} % beyond what noise explains (noise of one position: "
        f"{100 * profile.noise / profile.level:.1f} %)"
    )
    return CheckResult(
        CHECK,
        TITLE,
        summary,
        findings=findings,
        statistics=profile_statistics(profile),
        draw=lambda: profile_picture(
            profile.mean / profile.level,
            noise=profile.noise / profile.level,
            marked=[(one.name, one.positions) for one in findings if one.positions],
            combs=[(comb.period, comb.phases) for comb in profile.combs],
            other=None if model is None else ("the score's answer to mutations", levelled(model, parts)),
            ylabel="mean |relevance| (interior = 1)",
            xlabel="position (0-based)",
            title="Shuffled sequences: is any position preferred?",
        ),
    )


_REMEDIES: Mapping[str, str] = {
    "edge": "leave these positions out of comparisons and motif calls, or give the model longer sequences and cut the "
    "maps to the middle",
    "comb": "do not read single bases at this spacing: smooth maps over one period, average over shifted inputs, or "
    "train with a smaller pool stride",
    "uneven": "compare a base with the same position of shuffled sequences (subtract or divide by this profile) "
    "before it is called important; global pooling in place of flattening takes it away",
}


def uneven_parts(profile: Profile, strides: Mapping[int, str], of: str, *, step: int = 1) -> list[Named]:
    """Put a profile's edges, combs and stretches into words; `step` is how far its places lie apart."""
    parts = [_edge(profile, edge, of) for edge in profile.edges]
    parts += [_comb(profile, comb, strides, of, step) for comb in profile.combs]
    if profile.spots:
        parts.append(_uneven(profile, profile.spots, of))
    return parts


def _edge(profile: Profile, edge: Edge, of: str) -> Named:
    width = edge.positions[1] - edge.positions[0]
    where = "first" if edge.end == "start" else "last"
    counted = f"the {where} {width} positions have" if width > 1 else f"the {where} position has"
    return Named(
        name="edge",
        what=f"{counted} {edge.ratio:.2f} of the interior's {of}",
        size=edge.ratio,
        size_of="mean over the interior's",
        p=edge.p,
        positions=(edge.positions,),
        pattern=_pattern(profile, (edge.positions,)),
        mass=profile.displaced((edge.positions,)),
        details={"end": edge.end},
    )


def _comb(profile: Profile, comb: Comb, strides: Mapping[int, str], of: str, step: int) -> Named:
    phases = np.array(comb.phases)
    away = np.abs(phases - phases.mean())
    length = len(profile.mean)
    return Named(
        name="comb",
        what=f"{of} repeats with a period of {_period(comb, phases, strides, step)}",
        size=comb.contrast,
        size_of="highest less lowest phase, over the mean",
        p=comb.p,
        positions=tuple((i, i + 1) for i in range(length) if away[i % comb.period] > 0.5 * away.max()),
        pattern=np.asarray((phases - phases.mean())[np.arange(length) % comb.period]),
        mass=profile.comb_mass(comb),
        details={"period": comb.period, "phases": comb.phases, "layer": strides.get(comb.period)},
    )


def _period(comb: Comb, phases: Floats, strides: Mapping[int, str], step: int) -> str:
    """Say a comb's period, the layer that makes it, and its phases."""
    if gcd(step, comb.period) > 1:
        return f"{comb.period} of the places tried, which lie {step} apart"
    layer = strides.get(comb.period, "")
    known = f" (the stride that {layer} reaches)" if layer else ""
    if not layer and any(stride % comb.period == 0 for stride in strides):
        known = " (which divides a stride of the model)"
    high, low = (int(i) * step % comb.period for i in (phases.argmax(), phases.argmin()))
    return (
        f"{comb.period} positions{known}: {phases.max():.2f} of the mean where the position modulo {comb.period} is "
        f"{high}, {phases.min():.2f} where it is {low}"
    )


def _uneven(profile: Profile, spots: tuple[Spot, ...], of: str) -> Named:
    places = tuple(spot.positions for spot in spots)
    worst = max(spots, key=lambda spot: abs(np.log(max(spot.ratio, 1e-3))))
    listed = ", ".join(f"{a}-{b} ({s.ratio:.2f})" for s in spots[:6] for a, b in [s.positions])
    more = f" and {len(spots) - 6} more" if len(spots) > 6 else ""
    mass = profile.displaced(places)
    return Named(
        name="uneven",
        what=f"{of} depends on the position in the interior, too: {listed}{more} of its mean",
        size=worst.ratio,
        size_of=f"mean of {worst.positions[0]}-{worst.positions[1]}, the farthest off, over the interior's",
        p=profile.spot_p,
        positions=places,
        pattern=_pattern(profile, places),
        mass=mass,
        details={"stretches": [{"positions": s.positions, "ratio": s.ratio} for s in spots]},
    )


def _pattern(profile: Profile, ranges: tuple[Range, ...]) -> Floats:
    pattern = np.zeros(len(profile.mean))
    for start, end in ranges:
        pattern[start:end] = profile.mean[start:end] / profile.level - 1.0
    return pattern


def finding_of(
    check: str, part: Named, model: Floats | None, limits: AuditLimits, remedies: Mapping[str, str]
) -> Finding:
    """Make a finding of an uneven part, and say whether the model's score shows the same."""
    cause, share = cause_in_score(part.pattern, model)
    told = ""
    if share is not None:
        told = (
            f" (the score's own answers show {share.mean:.2f} of that pattern, "
            f"{100 * (1 - 2 * CAUSE_TAIL):g} % interval {share.low:.2f} to {share.high:.2f}: {CAUSES[cause]})"
        )
    return Finding(
        check=check,
        name=part.name,
        level="finding" if part.mass >= limits.mass else "note",
        what=part.what + told,
        size=part.size,
        size_of=part.size_of,
        p=part.p,
        positions=part.positions,
        cause=cause,
        remedy=remedies[part.name],
        details={
            **part.details,
            "displaced_share": part.mass,
            "share_in_the_score": None if share is None else share.mean,
        },
    )


def cause_in_score(pattern: Floats, model: Floats | None) -> tuple[Cause, Bounds | None]:
    """Say who makes a pattern, and how much of it the model's own answers at each position, rows (n, P), have."""
    if model is None or not pattern.any():
        return "not asked", None
    slopes = slopes_on(pattern, model)
    return cause_of(slopes, np.ones(len(slopes))), bounds_of(slopes, CAUSE_TAIL)


def levelled(rows: Floats, parts: Sequence[Named]) -> Floats:
    """Return the mean of rows (n, P), 1 where no edge and no uneven stretch was found."""
    mean = rows.mean(axis=0)
    plain = np.all([part.pattern == 0 for part in parts if part.name != "comb"], axis=0) & np.ones(len(mean), bool)
    return np.asarray(mean / (mean[plain].mean() if plain.any() else 1.0))


def _mutation_rows(subject: Subject, codes: Codes, rng: np.random.Generator) -> Floats | None:
    """|change of the score| when one base is replaced by a random other one, a row each; None for long sequences."""
    some = affordable(codes)
    if not len(some):
        return None
    changed = normalised(np.abs(changes(subject, some, mutants_of(some, rng))))
    return changed if len(changed) >= FEWEST else None


def profile_statistics(profile: Profile) -> dict[str, Any]:
    """Return a profile's figures for findings.json."""
    return {
        "rows": profile.rows,
        "mean": profile.mean / profile.level,
        "noise": profile.noise / profile.level,
        "variation": profile.variation,
        "edges": [{"end": e.end, "positions": e.positions, "ratio": e.ratio, "p": e.p} for e in profile.edges],
        "combs": [{"period": c.period, "contrast": c.contrast, "phases": c.phases, "p": c.p} for c in profile.combs],
        "stretches": spoken([s.positions for s in profile.spots], most=50),
        "stretches_p": profile.spot_p,
    }
