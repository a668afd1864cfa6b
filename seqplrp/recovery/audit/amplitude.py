"""Checks 6 and 7: does the map depend on how large the input's numbers are, where the letters stay the same?

Scaling multiplies the one-hot input by a factor. Capping takes the certainty out of it: the base that is there gets
the cap and the other three share the rest. The letters are the same, so a reader expects
the same map; biases, batch norms and saturated units that rule a map show in how fast it changes. Whether the score
does the same is not asked. A network of ReLUs without biases is scaled exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from seqplrp.evaluate import MeanInterval, bootstrap_mean
from seqplrp.genomics import codes_to_one_hot
from seqplrp.plot import amplitude_picture
from seqplrp.recovery.audit.findings import CheckResult, Finding, Level
from seqplrp.recovery.audit.profiles import Floats
from seqplrp.recovery.audit.subject import Codes, Subject

SCALING, CAPPING = "scaling", "capping"
SCALES = (0.5, 0.8, 1.25, 2.0)
CAPS = (0.5, 0.7, 0.85, 0.95)

MOST = 0.5
"""A finding: less than this of the agreement beyond that of unrelated sequences is left at the mildest changes."""

SOME = 0.8
"""A note: less than this is left, and less than this is the agreement itself. Both bounds are choices of ours; the
upper bound of a 95 % interval must be below them."""

_MILD = {SCALING: (0.8, 1.25), CAPPING: (0.95,)}


def agreement(one: Floats, other: Floats) -> Floats:
    """Return what two maps (N, L) have in common: sum min of |r| brought to a sum of 1 where signs agree, 0 to 1."""
    sizes = [np.abs(maps).sum(axis=1, keepdims=True) for maps in (one, other)]
    shares = [np.divide(np.abs(m), s, out=np.zeros_like(m), where=s > 0) for m, s in zip((one, other), sizes)]
    return np.asarray((np.minimum(*shares) * (np.sign(one) == np.sign(other))).sum(axis=1))


def check_scaling(subject: Subject, codes: Codes, *, what: str, seed: int) -> CheckResult:
    """Explain inputs times `SCALES` and compare the maps with those of the inputs as they are."""
    x = codes_to_one_hot(codes)
    return _check(subject, SCALING, "the input scaled", SCALES, [x * scale for scale in SCALES], codes, what, seed)


def check_capping(subject: Subject, codes: Codes, *, what: str, seed: int) -> CheckResult:
    """Explain inputs whose certainty is capped at `CAPS` and compare the maps with those of the inputs as they are."""
    x = codes_to_one_hot(codes)
    capped = [_capped(x, cap) for cap in CAPS]
    return _check(subject, CAPPING, "the input capped", CAPS, capped, codes, what, seed)


def _capped(x: Tensor, cap: float) -> Tensor:
    known = x.sum(dim=1, keepdim=True)
    return torch.where(x > 0, torch.full_like(x, cap), (1 - cap) / 3 * known)


def _check(
    subject: Subject,
    check: str,
    title: str,
    amounts: Sequence[float],
    inputs: Sequence[Tensor],
    codes: Codes,
    what: str,
    seed: int,
) -> CheckResult:
    plain = subject.maps(codes)
    kept = plain.size.any(axis=1)
    if not kept.any():
        return CheckResult(check, title, "did not run: every map is zero at every position", ran=False)
    changed = [subject.maps_of(x) for x in inputs]
    agreements = [agreement(plain.relevance[kept], maps.relevance[kept]) for maps in changed]
    chance = float(agreement(plain.relevance[kept], np.roll(plain.relevance[kept], 1, axis=0)).mean())
    intervals = [bootstrap_mean(values, seed=seed) for values in agreements]
    worst = min((i for i, amount in enumerate(amounts) if amount in _MILD[check]), key=lambda i: intervals[i].mean)
    level = _level(intervals[worst], chance)
    findings = () if level is None else (_finding(check, level, amounts[worst], intervals[worst], chance),)
    shown = ", ".join(f"{amount:g}: {one.mean:.2f}" for amount, one in zip(amounts, intervals))
    return CheckResult(
        check,
        title,
        f"{len(codes)} sequences ({what}): agreement with the map of the input as it is (1: the same; unrelated "
        f"sequences: {chance:.2f}) at {shown}",
        findings=findings,
        statistics={
            "amounts": list(amounts),
            "agreement": [one.mean for one in intervals],
            "low": [one.low for one in intervals],
            "high": [one.high for one in intervals],
            "chance": chance,
            "score": [float(maps.output.mean()) for maps in changed],
            "score_as_it_is": float(plain.output.mean()),
        },
        draw=lambda: amplitude_picture(
            amounts,
            [one.mean for one in intervals],
            [one.low for one in intervals],
            [one.high for one in intervals],
            chance,
            chance + MOST * (1 - chance),
            _XLABELS[check],
        ),
    )


def _level(interval: MeanInterval, chance: float) -> Level | None:
    """Say what an agreement comes to; one whose interval holds the bound of a finding is unsettled."""
    least, most = ((bound - chance) / max(1 - chance, 1e-9) for bound in (interval.low, interval.high))
    if interval.low < SOME and least < MOST <= most:
        return "unsettled"
    if most < SOME and interval.high < SOME:
        return "finding" if most < MOST else "note"
    return None


_XLABELS = {SCALING: "factor on the one-hot input", CAPPING: "share of the base that is there"}


def _finding(check: str, level: Level, amount: float, interval: MeanInterval, chance: float) -> Finding:
    how = f"times {amount:g}" if check == SCALING else f"capped at {amount:g}"
    return Finding(
        check=check,
        name=check,
        level=level,
        what=f"with the input {how}, which changes no letter, maps agree by {interval.mean:.2f} (95 % interval "
        f"{interval.low:.2f} to {interval.high:.2f}) with what they were (unrelated sequences: {chance:.2f})"
        + (f"; whether less than half is left can't be told of {interval.n}" if level == "unsettled" else ""),
        size=interval.mean,
        size_of="overlap of the two maps' |relevance|, 1 for the same",
        remedy="biases or saturated units can do this: look at the ledger's columns bias and stabiliser, try the rules "
        "gamma or zplus, and do not compare maps of inputs that differ in scale or certainty"
        + ("; explain more sequences (--sequences)" if level == "unsettled" else ""),
        cause="unsettled" if level == "unsettled" else "not asked",
        details={"amount": amount, "unrelated": chance},
    )
