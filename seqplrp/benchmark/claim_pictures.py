"""Pictures of the paper's claims that sweeps alone do not show: lambda beside matrix, and how steep deletion begins."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from seqplrp.benchmark.claims import AS_STEEP, MODE_MEASURES, curve_of, steep_pairs
from seqplrp.benchmark.pairs import compare_pairs
from seqplrp.benchmark.summary import Summary
from seqplrp.benchmark.sweeps import mode_pairs, swept_families
from seqplrp.benchmark.variants import Variant
from seqplrp.benchmark.verdicts import records
from seqplrp.evaluate import Measure
from seqplrp.plot import measure_bars, sweep_curves

STEEPNESS = Measure("early_share", "Early drop, share of that at p = 0", "higher", "how steep deletion begins")


def mode_picture(summary: Summary, group: str) -> Figure | None:
    """Draw pruned LRP in lambda mode above the same in matrix mode, with intervals; None where no pair was measured."""
    means = summary.mean_table(group)
    there = set(means["method"])
    pairs = [pair for pair in mode_pairs(summary.config) if all(variant.name in there for variant in pair)]
    names = list(dict.fromkeys(variant.name for pair in _beside(pairs) for variant in pair))
    table = means[means["method"].isin(names) & means["measure"].isin(MODE_MEASURES)]
    measures = [name for name in MODE_MEASURES if name in set(table["measure"])]
    if not measures:
        return None
    table = table.assign(order=table["method"].map(names.index)).sort_values("order", kind="stable")
    return measure_bars(
        with_interval(table), measures=measures, title=f"{group} tasks: lambda, and matrix beneath it, all else alike"
    )


def _beside(pairs: list[tuple[Variant, Variant]]) -> list[tuple[Variant, Variant]]:
    """Return pairs with those of one lambda next to one another, which then stands above all of its matrices."""
    first = [pair[0] for pair in pairs]
    return sorted(pairs, key=lambda pair: first.index(pair[0]))


def with_interval(table: pd.DataFrame) -> pd.DataFrame:
    """Return means whose interval is unknown with one of no width, which no picture shows."""
    return table.assign(**{key: table[key].fillna(table["mean"]) for key in ("low", "high")})


def steep_table(summary: Summary, group: str) -> pd.DataFrame:
    """Return the early drop of each pruned map as a share of the same rule's without pruning.

    Returns
    -------
    DataFrame
        ``family`` (the sweep), ``x`` (p), ``mean`` (the share) and its interval ``low, high``: that of the paired
        difference, over the unpruned mean.
    """
    found = []
    for line, points in swept_families(summary.config).items():
        curve = curve_of(summary, group, points, "deletion_early")
        pairs = steep_pairs(curve) if points[0][1].is_pruned else []
        unpruned = curve[0][2] if pairs else np.nan
        if not unpruned > 0:  # a share of nothing, or of a rise, says nothing
            continue
        for (p, _, _), row in zip(curve[1:], records(compare_pairs(summary, group, pairs)), strict=True):
            shares = {key: row[of] / unpruned + AS_STEEP for key, of in _OF.items()}
            found.append({"family": line, "x": p, **shares})
    return pd.DataFrame(found, columns=["family", "x", *_OF])


_OF = {"mean": "difference", "low": "low", "high": "high"}


def steep_picture(summary: Summary, group: str) -> Figure | None:
    """Draw how steep deletion begins under pruning, beside no pruning; None where no sweep was measured."""
    table = steep_table(summary, group)
    if table.empty:
        return None
    return sweep_curves(
        table.assign(measure=STEEPNESS.name),
        references={"as steep": {STEEPNESS.name: 1.0}, f"{100 * AS_STEEP:.0f} %": {STEEPNESS.name: AS_STEEP}},
        known={STEEPNESS.name: STEEPNESS},
        title=f"{group} tasks: the first tenth deleted",
    )
