"""The paper's qualitative claims, each held against a run's own numbers by paired tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from seqplrp.benchmark.pairs import Pair, compare_pairs
from seqplrp.benchmark.summary import Summary
from seqplrp.benchmark.sweeps import Points, mode_pairs, swept_families
from seqplrp.benchmark.variants import Variant
from seqplrp.benchmark.verdicts import BETTER, SEQUENCES, WORSE, records

Verdict = Literal["holds", "does not hold", "in part", "open"]

AS_STEEP = 0.95
"""Share of the unpruned map's early drop from which a pruned one's is as steep."""

_NO_STEEP = "no sweep was measured at p = 0 and beyond"
_NO_RISE = "no sweep was measured at two p or more"
_NO_FALL = "no sweep was measured at three p or more"
MODE_MEASURES = ("auprc", "rra", "rma")


@dataclass(frozen=True)
class Claim:
    """A claim and what was found.

    Attributes
    ----------
    says : str
    verdict : {"holds", "does not hold", "in part", "open"}
        Of its parts, such as one rule's sweep: all hold; none holds and some were refuted; some hold; none could be
        told.
    evidence : str
        The numbers that it rests on.
    pairs : DataFrame
        The comparisons that it rests on, from `compare_pairs`.
    """

    says: str
    verdict: Verdict
    evidence: str
    pairs: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False, compare=False)


def claims_of(summary: Summary, group: str) -> list[Claim]:
    """Return the claims that a run has numbers for, on one group of tasks.

    Each part of a claim is a paired comparison (`compare_pairs`; Holm's correction over all of a claim). It holds where
    both tests say so, and is refuted where both say the opposite.
    """
    lines = {line: points for line, points in swept_families(summary.config).items() if points[0][1].is_pruned}
    found = []
    if lines and "gini" in summary.measures:
        found.append(_rises(summary, group, lines))
    if lines and "rma" in summary.measures:
        found.append(_rises_then_falls(summary, group, lines))
    if lines and "deletion_early" in summary.measures:
        found.append(_as_steep(summary, group, lines))
    found += list(_lambda_beats_matrix(summary, group))
    return found


_Lines = Mapping[str, Points]
_Curve = list[tuple[float, Variant, float]]
"""The points of a sweep that were measured: p, method, mean."""


def curve_of(summary: Summary, group: str, points: Points, measure: str) -> _Curve:
    """Return a sweep's points that were measured: a protocol may have been asked of some methods alone."""
    means = summary.mean_table(group)
    of = means[means["measure"] == measure].set_index("method")["mean"].dropna()
    return [(value, variant, float(of[variant.name])) for value, variant in points if variant.name in of.index]


_Ask = Callable[[_Curve], list[Pair]]
_Tell = Callable[[_Curve], str]


def _of_lines(
    summary: Summary, group: str, lines: _Lines, measure: str, says: str, fewest: int, ask: _Ask, tell: _Tell, none: str
) -> Claim:
    """Hold a claim on sweeps against all of them: a sweep's part holds where all of its comparisons do."""
    curves = {line: curve_of(summary, group, points, measure) for line, points in lines.items()}
    asked = {line: ask(curve) for line, curve in curves.items() if len(curve) >= fewest}
    asked = {line: pairs for line, pairs in asked.items() if pairs}
    table = compare_pairs(summary, group, [pair for pairs in asked.values() for pair in pairs])
    verdicts, told = [], []
    for line, pairs in asked.items():
        rows = [row for pair in pairs for row in records(table) if (row["first"], row["second"]) == _names(pair)]
        verdicts.append(_of_part([row["verdict"] for row in rows]))
        told.append(f"{line}: {tell(curves[line])}: {verdicts[-1]} ({_counted(rows, summary.words.many)})")
    return Claim(says, _together(verdicts), "; ".join(told) or none, table)


def _names(pair: Pair) -> tuple[str, str]:
    return pair.first, pair.second


def _rises(summary: Summary, group: str, lines: _Lines) -> Claim:
    def ask(curve: _Curve) -> list[Pair]:
        return [Pair(b.name, a.name, "gini") for (_, a, _), (_, b, _) in pairwise(curve)]

    def tell(curve: _Curve) -> str:
        return f"{curve[0][2]:.3f} at p = {curve[0][0]:g}, {curve[-1][2]:.3f} at p = {curve[-1][0]:g}"

    return _of_lines(summary, group, lines, "gini", "Gini rises with p", 2, ask, tell, _NO_RISE)


def _rises_then_falls(summary: Summary, group: str, lines: _Lines) -> Claim:
    """Hold the best point between the ends of a sweep against both ends."""

    def between(curve: _Curve) -> tuple[float, Variant, float]:
        return max(curve[1:-1], key=lambda point: point[2])

    def ask(curve: _Curve) -> list[Pair]:
        return [Pair(between(curve)[1].name, end[1].name, "rma") for end in (curve[0], curve[-1])]

    def tell(curve: _Curve) -> str:
        return ", ".join(f"{mean:.3f} at p = {p:g}" for p, _, mean in (curve[0], between(curve), curve[-1]))

    return _of_lines(summary, group, lines, "rma", "RMA rises with p, then falls", 3, ask, tell, _NO_FALL)


def steep_pairs(curve: _Curve) -> list[Pair]:
    """Ask of each pruned point of a sweep whether its early drop is `AS_STEEP` times that at p = 0."""
    if not curve or curve[0][0] != 0:
        return []
    return [Pair(one.name, curve[0][1].name, "deletion_early", AS_STEEP) for _, one, _ in curve[1:]]


def _as_steep(summary: Summary, group: str, lines: _Lines) -> Claim:
    """Hold the first deletion steps of pruned maps against those of the same rule without pruning (p = 0)."""

    def tell(curve: _Curve) -> str:
        return ", ".join(f"{mean:.2f} at p = {p:g}" for p, _, mean in curve)

    says = f"First deletion steps as steep as LRP's (the early drop at least {100 * AS_STEEP:.0f} % of it)"
    return _of_lines(summary, group, lines, "deletion_early", says, 2, steep_pairs, tell, _NO_STEEP)


def _lambda_beats_matrix(summary: Summary, group: str) -> Iterator[Claim]:
    """Compare all pairs of methods that differ in the mode alone."""
    pairs = [
        Pair(first.name, second.name, measure)
        for first, second in mode_pairs(summary.config)
        for measure in MODE_MEASURES
        if measure in summary.measures
    ]
    table = compare_pairs(summary, group, pairs)
    if table.empty:
        return
    verdicts, told = [], []
    for row in records(table):
        verdicts.append(_of_part([row["verdict"]]))
        label = summary.measures[row["measure"]].label
        told.append(
            f"{label} {row['difference']:+.3f}{_interval(row)}, {row['first']} - {row['second']}: {verdicts[-1]}"
        )
    yield Claim("lambda beats matrix", _together(verdicts), "; ".join(told), table)


def _interval(row: Mapping[str, float]) -> str:
    return f" [{row['low']:+.3f}, {row['high']:+.3f}]" if np.isfinite(row["low"]) else ""


def _counted(rows: list[dict[str, object]], many: str) -> str:
    yes, no = (sum(row["verdict"] == verdict for row in rows) for verdict in (BETTER, WORSE))
    over = f", over {many} alone" if any(row["rests_on"] == SEQUENCES for row in rows) else ""
    return f"of {len(rows)} comparisons {yes} for it, {no} against it{over}"


def _of_part(verdicts: list[str]) -> Verdict:
    """Judge what needs all of some comparisons."""
    if WORSE in verdicts:
        return "does not hold"
    return "holds" if verdicts and all(verdict == BETTER for verdict in verdicts) else "open"


def _together(parts: list[Verdict]) -> Verdict:
    if "holds" in parts:
        return "holds" if all(part == "holds" for part in parts) else "in part"
    return "does not hold" if "does not hold" in parts else "open"
