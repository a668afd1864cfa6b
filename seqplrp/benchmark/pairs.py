"""Two methods at a time: paired differences with intervals and tests, corrected over all that is asked together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqplrp.benchmark import summary as run_summary
from seqplrp.benchmark.summary import Summary
from seqplrp.benchmark.verdicts import judged
from seqplrp.evaluate import compare_runs, holm

PAIR_COLUMNS = ("measure", "first", "second", "share")


@dataclass(frozen=True)
class Pair:
    """A question: is the first method's value above the second's, or above a share of it?

    Attributes
    ----------
    first, second : str
        Methods.
    measure : str
    share : float
        The difference is first - share * second: with 0.95, whether the first has at least 95 % of what the second has.
    """

    first: str
    second: str
    measure: str
    share: float = 1.0


def compare_pairs(summary: Summary, group: str, pairs: Sequence[Pair]) -> pd.DataFrame:
    """Answer questions over all models of a group of tasks.

    Parameters
    ----------
    summary : Summary
    group : str
    pairs : sequence of Pair
        Holm's correction is over all of them.

    Returns
    -------
    DataFrame
        One row a pair of which both were measured: `PAIR_COLUMNS`, then those of `seqplrp.evaluate.compare_runs` and of
        `judged`, whose verdict is by the direction of the measure.
    """
    rows = summary.rows[summary.rows["group"] == group]
    rows = rows[rows["measure"].isin([pair.measure for pair in pairs])]
    rows = rows[rows["method"].isin([name for pair in pairs for name in (pair.first, pair.second)])]
    parts = [part for part in (_compared(rows, pair) for pair in pairs) if part is not None]
    if not parts:
        return pd.DataFrame(columns=[*PAIR_COLUMNS, "difference", "low", "high", "verdict", "rests_on"])
    table = pd.concat(parts, ignore_index=True)
    for name in ("p", "p_models"):
        table[f"{name}_holm"] = holm(table[name].to_numpy(dtype=np.float64))
    return judged(table, summary.measures, ())


def _compared(rows: pd.DataFrame, pair: Pair) -> pd.DataFrame | None:
    """Compare the values of a pair; None where one of the two was not measured."""
    of = rows[rows["measure"] == pair.measure]
    first, second = (of[of["method"] == name] for name in (pair.first, pair.second))
    if first.empty or second.empty:
        return None
    both = pd.concat(
        [first.assign(method="first"), second.assign(method="second", value=pair.share * second["value"])],
        ignore_index=True,
    ).astype({"measure": object})
    found = compare_runs(both, "first", peers=["second"], draws=run_summary.DRAWS)
    asked = pd.DataFrame([{name: getattr(pair, name) for name in PAIR_COLUMNS}])
    return pd.concat([asked, found.drop(columns=["measure", "reference", "other"])], axis=1)
