"""Check 5: one fixed permutation of the positions, retrained and inverted: what does convolution itself contribute?

The permutation takes the neighbourhood of bases away and leaves all information. A network that is trained on permuted
sequences has the same layers, paddings and pools, and nothing in the data lies where it lay. So a pattern over
positions that is the same in the maps of both networks, each in its own order of positions, is the architecture's; one
that is the same after the permutation is inverted is the data's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from seqplrp.models import SequenceData, SequenceModel, TrainOptions, train_model
from seqplrp.plot import permutation_picture
from seqplrp.recovery.audit.amplitude import agreement
from seqplrp.recovery.audit.findings import CheckResult, Finding, ranges_of
from seqplrp.recovery.audit.position import Named, profile_statistics, uneven_parts
from seqplrp.recovery.audit.profiles import AuditLimits, Floats, Profile, examine, normalised
from seqplrp.recovery.audit.subject import ExplainFunction, Subject

CHECK = "permutation"
TITLE = "positions permuted, retrained, inverted"
NOT_RUN = "did not run: it needs the training data (--data)"

_LEAST_SHARED = 0.5  # correlation, and share of the level: choices of ours, of what a reader would see
_LEAST_VARIATION = 0.1
_MOST_MAPS = 400
_OF = "mean |relevance|"
_REMEDY = "divide maps by this profile before positions are compared, or pool over the whole sequence at the end"


@dataclass(frozen=True)
class Retraining:
    """What is trained twice, as it is and permuted.

    Parameters
    ----------
    data : SequenceData
        What the audited model was trained on, or its like.
    architecture : str
        A name of the zoo.
    options : mapping
        Fields of its configuration.
    training : TrainOptions
        How to train. Both strands are never shown: a turned sequence has no place in a permuted order.
    explain : callable
        From a trained model to an `ExplainFunction` of it.
    """

    data: SequenceData
    architecture: str
    options: Mapping[str, Any]
    training: TrainOptions
    explain: Callable[[SequenceModel], ExplainFunction]


def check_permutation(
    retraining: Retraining, *, n: int, limits: AuditLimits, rng: np.random.Generator, advance: Callable[[int], None]
) -> CheckResult:
    """Train one network on the data and one on the data permuted, and compare their maps.

    Parameters
    ----------
    retraining : Retraining
        What is trained.
    n : int
        Test sequences explained, at most.
    limits : AuditLimits
        When something is told.
    rng : numpy.random.Generator
        Of the permutation and the shifts.
    advance : callable
        Told of every batch explained.
    """
    nets = _two_networks(retraining, n, rng, advance)
    if len(nets.own) < 20:
        return CheckResult(CHECK, TITLE, f"did not run: only {len(nets.own)} maps are not zero", ran=False)
    profiles = [normalised(np.abs(maps)) for maps in (nets.own, nets.permuted, nets.inverted)]
    shared, p = _shared(profiles[0], profiles[1], limits.draws, rng)
    of_data, p_data = _shared(profiles[0], profiles[2], limits.draws, rng)
    profile = examine(profiles[1], rng, limits=limits)
    variation = float(profile.mean.std() / profile.level)
    overlap = float(agreement(nets.own, nets.inverted).mean())
    chance = float(agreement(nets.own, np.roll(nets.inverted, 1, axis=0)).mean())
    findings = [_of_layers(part, limits) for part in uneven_parts(profile, {}, _OF) if part.name in ("edge", "comb")]
    if shared > _LEAST_SHARED and variation > _LEAST_VARIATION:
        findings += _same_places(shared, p, variation, profile, limits)
    one, other = nets.auroc
    return CheckResult(
        CHECK,
        TITLE,
        f"{retraining.architecture} trained twice on {retraining.data.counts()['train']['n']} sequences: test AUROC "
        f"{one:.3f} as they are, {other:.3f} permuted, a difference of {one - other:+.3f} between one training each "
        f"(other seeds were not tried); maps of {len(nets.own)} test sequences agree by "
        f"{overlap:.2f} after inversion (unrelated ones: {chance:.2f}); their "
        f"mean |relevance| by position correlates by {shared:.2f} in the networks' own order (p = {p:.3g}) and by "
        f"{of_data:.2f} in the sequences' (p = {p_data:.3g})",
        findings=tuple(findings),
        statistics={
            "auroc": one,
            "auroc_permuted": other,
            "agreement_inverted": overlap,
            "agreement_unrelated": chance,
            "correlation_in_network_order": shared,
            "p_in_network_order": p,
            "correlation_in_sequence_order": of_data,
            "p_in_sequence_order": p_data,
            "variation_permuted": variation,
            "order": nets.order,
            "permuted": profile_statistics(profile),
        },
        draw=lambda: permutation_picture(*(rows.mean(axis=0) for rows in profiles), shared=shared, of_data=of_data),
    )


@dataclass(frozen=True)
class _Networks:
    """Maps (N, L) of both networks, those of the second also brought back to the sequences' order, and test AUROCs."""

    own: Floats
    permuted: Floats
    inverted: Floats
    order: npt.NDArray[np.int64]
    auroc: tuple[float, float]


def _two_networks(
    retraining: Retraining, n: int, rng: np.random.Generator, advance: Callable[[int], None]
) -> _Networks:
    data = retraining.data
    order = rng.permutation(data.length)
    permuted_data = replace(data, codes=np.ascontiguousarray(data.codes[:, order]))
    settings = replace(retraining.training, reverse_complement=False)
    rows = data.rows("test")[: min(n, _MOST_MAPS)]
    maps, auroc = [], []
    for number, one in enumerate((data, permuted_data)):
        # of other seeds, or what they have in common may be the weights that both began with
        training = replace(settings, seed=settings.seed + number)
        result = train_model(one, retraining.architecture, options=retraining.options, training=training)
        subject = Subject(retraining.explain(result.model), data.length, advance)
        maps.append(subject.maps(one.codes[rows]).relevance)
        auroc.append(float(result.config.metrics["test"]["macro"]["auroc"]))
    kept = maps[0].any(axis=1) & maps[1].any(axis=1)
    own, permuted = maps[0][kept], maps[1][kept]
    inverted = np.empty_like(permuted)
    inverted[:, order] = permuted
    return _Networks(own, permuted, inverted, order, (auroc[0], auroc[1]))


def _shared(one: Floats, other: Floats, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """Correlation of two mean profiles, and the chance of one as large when the second is turned at random."""
    first, second = one.mean(axis=0), other.mean(axis=0)
    seen = _correlation(first, second)
    turned = [_correlation(first, np.roll(second, shift)) for shift in _turns(len(first), draws, rng)]
    return seen, float((1 + (np.array(turned) >= seen).sum()) / (len(turned) + 1))


def _turns(length: int, draws: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    shifts = np.arange(1, length)
    return shifts if len(shifts) <= draws else rng.choice(shifts, size=draws, replace=False)


def _correlation(one: Floats, other: Floats) -> float:
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _of_layers(part: Named, limits: AuditLimits) -> Finding:
    """Tell an edge or a comb of the permuted network: its data have no neighbourhood that could make one."""
    return Finding(
        check=CHECK,
        name=part.name,
        level="finding" if part.mass >= limits.mass else "note",
        what=f"trained on permuted positions, {part.what}: the order of bases in the data can't make that, paddings "
        f"and pools can",
        size=part.size,
        size_of=part.size_of,
        p=part.p,
        positions=part.positions,
        cause="model",
        remedy=_REMEDY,
        details={**part.details, "displaced_share": part.mass},
    )


def _same_places(shared: float, p: float, variation: float, profile: Profile, limits: AuditLimits) -> list[Finding]:
    """Tell that two networks prefer the same places, if that is certain; of short sequences it can't be.

    There are no more turns than positions, so p is never below 1 / L.
    """
    length = len(profile.mean)
    if p > max(limits.alpha, 1.5 / length):
        return []
    certain = p <= limits.alpha
    unsure = (
        ""
        if certain
        else f"; of all {length} turns of one profile this one fits best, and {length} are too few to be sure"
    )
    return [
        Finding(
            check=CHECK,
            name="architecture",
            level="finding" if certain else "unsettled",
            what=f"the network that never saw the bases in order prefers the same positions (correlation {shared:.2f}; "
            f"its mean |relevance| varies by {100 * variation:.0f} % over positions), which the order of bases in the "
            f"data can't explain{unsure}",
            size=shared,
            size_of="correlation of mean |relevance| by position between the two networks, in their own order",
            p=p,
            positions=ranges_of(np.abs(profile.mean / profile.level - 1) > max(0.25, 2 * variation), gap=2),
            cause="model" if certain else "unsettled",
            remedy=_REMEDY,
            details={"variation": variation},
        )
    ]
