"""The paper's qualitative claims, each held against a run's own numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from seqplrp.methods import PLRP
from seqplrp.recovery.benchmark.pictures import swept_families
from seqplrp.recovery.benchmark.summary import Summary
from seqplrp.recovery.benchmark.variants import Variant

Verdict = Literal["holds", "does not hold", "in part", "open"]


_AS_STEEP = 0.95
_NO_SWEEP = "no sweep was measured at p = 0 and beyond"
_NO_LINE = "no sweep was measured at two p or more"


@dataclass(frozen=True)
class Claim:
    """A claim and what was found.

    Attributes
    ----------
    says : str
    verdict : {"holds", "does not hold", "in part", "open"}
    evidence : str
        The numbers that it rests on.
    """

    says: str
    verdict: Verdict
    evidence: str


def claims_of(summary: Summary, group: str) -> list[Claim]:
    """Return the claims that a run has numbers for, on one group of tasks."""
    means = summary.mean_table(group)
    lines = {line: points for line, points in swept_families(summary.config).items() if points[0][1].is_pruned}
    found = []
    if lines and "gini" in summary.measures:
        found.append(_rises(means, lines))
    if lines and "rma" in summary.measures:
        found.append(_rises_then_falls(means, lines))
    if lines and "deletion_early" in summary.measures:
        found.append(_as_steep(means, lines))
    found += list(_lambda_beats_matrix(summary, means))
    return found


_Lines = dict[str, list[tuple[float, Variant]]]


def _curve(means: pd.DataFrame, points: list[tuple[float, Variant]], measure: str) -> tuple[list[float], list[float]]:
    """Return a sweep's points that were measured: a protocol may have been asked of some methods alone."""
    of = means[means["measure"] == measure].set_index("method")["mean"]
    there = [(value, float(of[variant.name])) for value, variant in points if variant.name in of.index]
    return [value for value, _ in there], [mean for _, mean in there]


def _rises(means: pd.DataFrame, lines: _Lines) -> Claim:
    held, told = [], []
    for line, points in lines.items():
        p, values = _curve(means, points, "gini")
        if len(p) < 2:
            continue
        held.append(bool(np.all(np.diff(values) > 0)))
        told.append(f"{line}: {values[0]:.3f} at p = {p[0]:g}, {values[-1]:.3f} at p = {p[-1]:g}")
    return Claim("Gini rises with p", _verdict(held), "; ".join(told) or _NO_LINE)


def _rises_then_falls(means: pd.DataFrame, lines: _Lines) -> Claim:
    held, told = [], []
    for line, points in lines.items():
        p, values = _curve(means, points, "rma")
        if len(p) < 2:
            continue
        top = int(np.nanargmax(values)) if not np.isnan(values).all() else 0
        held.append(0 < top < len(values) - 1)
        told.append(f"{line}: highest ({values[top]:.3f}) at p = {p[top]:g} of {p[0]:g} to {p[-1]:g}")
    return Claim("RMA rises with p, then falls", _verdict(held), "; ".join(told) or _NO_LINE)


def _as_steep(means: pd.DataFrame, lines: _Lines) -> Claim:
    """Hold the first deletion steps of pruned maps against those of the same rule without pruning (p = 0)."""
    held, told = [], []
    for line, points in lines.items():
        p, values = _curve(means, points, "deletion_early")
        if len(p) < 2 or p[0] != 0 or not np.isfinite(values).all():
            continue
        steep = [value >= _AS_STEEP * values[0] for value in values[1:]]
        held += steep
        told.append(f"{line}: " + ", ".join(f"{value:.2f} at p = {at:g}" for at, value in zip(p, values, strict=True)))
    says = f"First deletion steps as steep as LRP's (the early drop at least {100 * _AS_STEEP:.0f} % of it)"
    return Claim(says, _verdict(held), "; ".join(told) or _NO_SWEEP)


def _lambda_beats_matrix(summary: Summary, means: pd.DataFrame) -> Iterator[Claim]:
    """Compare all pairs of methods that differ in the mode alone."""
    by_name = means.set_index(["method", "measure"])["mean"]
    measures = [m for m in ("auprc", "rra", "rma") if m in summary.measures]
    held, told = [], []
    for first, second in _mode_pairs(summary):
        for measure in measures:
            if not {(first.name, measure), (second.name, measure)} <= set(by_name.index):
                continue  # asked of one of the two alone
            a, b = float(by_name[first.name, measure]), float(by_name[second.name, measure])
            held.append(a > b)
            told.append(f"{summary.measures[measure].label} {a:.3f} ({first.name}) and {b:.3f} ({second.name})")
    if held:
        yield Claim("lambda beats matrix", _verdict(held), "; ".join(told))


def _mode_pairs(summary: Summary) -> list[tuple[Variant, Variant]]:
    def apart_from_mode(variant: Variant) -> Any:
        fields = {**vars(variant.method), "mode": None, "tau": None} if variant.method is not None else {}
        return repr(sorted(fields.items(), key=lambda item: item[0]))

    pruned = [(v, v.method.mode) for v in summary.config.variants if isinstance(v.method, PLRP)]
    of_lambda = {apart_from_mode(v): v for v, mode in pruned if mode == "lambda"}
    of_matrix = [v for v, mode in pruned if mode == "matrix"]
    return [(of_lambda[apart_from_mode(v)], v) for v in of_matrix if apart_from_mode(v) in of_lambda]


def _verdict(held: list[bool]) -> Verdict:
    if not held:
        return "open"
    return "holds" if all(held) else "in part" if any(held) else "does not hold"
