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
from seqplrp.recovery.audit.findings import CheckResult, Finding, ranges_of, spoken
from seqplrp.recovery.audit.profiles import AuditLimits, Floats, examine, normalised
from seqplrp.recovery.audit.subject import ExplainFunction, Subject

CHECK = "permutation"
TITLE = "positions permuted, retrained, inverted"
NOT_RUN = "did not run: it needs the training data (--data)"

_LEAST_SHARED = 0.5
_LEAST_VARIATION = 0.1
_MOST_MAPS = 400


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
    data = retraining.data
    order = rng.permutation(data.length)
    settings = replace(retraining.training, reverse_complement=False)
    permuted_data = replace(data, codes=np.ascontiguousarray(data.codes[:, order]))
    plain, permuted = (
        # of other seeds, or what they have in common may be the weights that both began with
        train_model(
            one, retraining.architecture, options=retraining.options, training=replace(settings, seed=settings.seed + k)
        )
        for k, one in enumerate((data, permuted_data))
    )
    rows = data.rows("test")[: min(n, _MOST_MAPS)]
    own, own_permuted = (
        Subject(retraining.explain(one.model), data.length, advance).maps(codes).relevance
        for one, codes in ((plain, data.codes[rows]), (permuted, permuted_data.codes[rows]))
    )
    inverted = np.empty_like(own_permuted)
    inverted[:, order] = own_permuted
    kept = own.any(axis=1) & own_permuted.any(axis=1)
    if kept.sum() < 20:
        return CheckResult(CHECK, TITLE, f"did not run: only {int(kept.sum())} maps are not zero", ran=False)
    profiles = [normalised(np.abs(maps[kept])) for maps in (own, own_permuted, inverted)]
    shared, p = _shared(profiles[0], profiles[1], limits.draws, rng)
    of_data, p_data = _shared(profiles[0], profiles[2], limits.draws, rng)
    uneven = examine(profiles[1], rng, limits=limits)
    variation = float(uneven.mean.std() / uneven.level)
    overlap = float(agreement(own[kept], inverted[kept]).mean())
    chance = float(agreement(own[kept], np.roll(inverted[kept], 1, axis=0)).mean())
    scores = [one.config.metrics["test"]["macro"]["auroc"] for one in (plain, permuted)]
    findings: tuple[Finding, ...] = ()
    fewest = 1.5 / data.length  # there are no more turns than positions: then the largest of all is asked for
    if p <= max(limits.alpha, fewest) and shared > _LEAST_SHARED and variation > _LEAST_VARIATION:
        findings = (_architecture(shared, p, variation, own.shape[1], uneven.mean / uneven.level),)
    return CheckResult(
        CHECK,
        TITLE,
        f"{retraining.architecture} trained twice on {data.counts()['train']['n']} sequences: test AUROC "
        f"{scores[0]:.3f} as they are, {scores[1]:.3f} permuted, so {scores[0] - scores[1]:+.3f} is owed to "
        f"neighbourhood; maps of {int(kept.sum())} test sequences agree by {overlap:.2f} after inversion (unrelated "
        f"ones: {chance:.2f}); their mean |relevance| by position correlates by {shared:.2f} in the networks' own "
        f"order (p = {p:.3g}) and by {of_data:.2f} in the sequences' (p = {p_data:.3g})",
        findings=findings,
        statistics={
            "auroc": scores[0],
            "auroc_permuted": scores[1],
            "agreement_inverted": overlap,
            "agreement_unrelated": chance,
            "correlation_in_network_order": shared,
            "p_in_network_order": p,
            "correlation_in_sequence_order": of_data,
            "p_in_sequence_order": p_data,
            "variation_permuted": variation,
            "order": order,
        },
        draw=lambda: permutation_picture(
            profiles[0].mean(axis=0), profiles[1].mean(axis=0), profiles[2].mean(axis=0), shared, of_data
        ),
    )


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


def _architecture(shared: float, p: float, variation: float, length: int, profile: Floats) -> Finding:
    places = ranges_of(np.abs(profile - 1) > max(0.25, 2 * variation), gap=2)
    where = f", most at {spoken(places)}" if places else ""
    return Finding(
        check=CHECK,
        name="architecture",
        level="finding",
        what=f"the network that never saw the bases in order prefers the same positions (correlation {shared:.2f}; its "
        f"mean |relevance| varies by {100 * variation:.0f} % over positions{where}): the layers make that pattern, not "
        "the data",
        size=shared,
        size_of="correlation of mean |relevance| by position between the two networks, in their own order",
        p=p,
        positions=tuple((a, min(b, length)) for a, b in places),
        cause="model",
        remedy="divide maps by this profile before positions are compared, or pool over the whole sequence at the end",
        details={"variation": variation},
    )
