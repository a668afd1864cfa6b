"""What paired tests of two methods say: one is better, one is worse, or why neither may be said.

Two tests are made of each pair, over inputs (sequences, say) and over models (see `seqplrp.evaluate.runs`), and each
points where its ranks do. A method is better where both tests say so and the difference of means does, too. The mean
alone may say otherwise: few inputs on which a method is far ahead outweigh many on which it is a little behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from seqplrp.evaluate import Measure

SIGNIFICANT = 0.05
FEWEST_MODELS = 6
"""Below so many models a signed-rank test over their means can't fall below 0.05, whatever they are."""

BETTER, WORSE = "better", "worse"
BETTER_BY_ONE, WORSE_BY_ONE = "better by one test", "worse by one test"
"""By that over sequences or by that over models alone, where there are models enough for either."""
UNDECIDED = "undecided"
"""A test is significant, but the other one, or the difference of means, points the other way."""
NOT_APART, NOT_JUDGED, UNDEFINED = "not told apart", "not judged", "undefined"

BOTH, SEQUENCES = "sequences and models", "sequences alone"
"""What a verdict rests on; a domain's `Words` say how files call it."""
Better = Literal["higher", "lower", "neither"]


def judged(tests: pd.DataFrame, measures: Mapping[str, Measure], within: Sequence[str]) -> pd.DataFrame:
    """Add to tests of one reference what they say.

    Parameters
    ----------
    tests : DataFrame
        The columns of `seqplrp.evaluate.compare_runs`.
    measures : mapping of str to Measure
    within : sequence of str
        Columns within each combination of which tests were corrected together; all of them where empty.

    Returns
    -------
    DataFrame
        The same with ``corrected_for`` (how many tests over models were corrected together), ``rests_on`` (`BOTH`, or
        `SEQUENCES` where there are too few models for their test to reach `SIGNIFICANT` after correction) and
        ``verdict``. P-values over fewer than `FEWEST_MODELS` models are NaN.
    """
    table = tests.copy()
    table.loc[table["models"] < FEWEST_MODELS, ["p_models", "p_models_holm"]] = np.nan
    together = table.groupby(list(within), dropna=False)["p_models"].transform("count") if within else None
    table["corrected_for"] = table["p_models"].count() if together is None else together.astype(int)
    rows = records(table)
    table["rests_on"] = [BOTH if models_can_say(row) else SEQUENCES for row in rows]
    return table.assign(verdict=[verdict_of(row, measures[row["measure"]].better) for row in rows])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows as mappings from the columns' names."""
    return cast(list[dict[str, Any]], table.to_dict(orient="records"))


def models_can_say(row: Mapping[str, Any], alpha: float = SIGNIFICANT) -> bool:
    """Say whether the models are enough for their test to fall below `alpha` after Holm's correction.

    With n models the smallest p of a signed-rank test is 2 / 2^n: it has to bear the correction for all tests.
    """
    enough = max(row["corrected_for"], 1) * 2.0 ** (1 - row["models"]) < alpha
    return bool(enough and np.isfinite(row["p_models_holm"]))


def verdict_of(row: Mapping[str, Any], better: Better, alpha: float = SIGNIFICANT) -> str:
    """Say what a row's tests say of its first method.

    Parameters
    ----------
    row : mapping
        ``difference, rank_biserial, p_holm, models, rank_biserial_models, p_models_holm, corrected_for``.
    better : {"higher", "lower", "neither"}
        Which way of the measure is better.
    alpha : float
        What p has to be below.
    """
    if not np.isfinite(row["difference"]) or not np.isfinite(row["p_holm"]):
        return UNDEFINED
    if better == "neither":
        return NOT_JUDGED
    good = 1 if better == "higher" else -1
    found = {_points(row["p_holm"], row["rank_biserial"], alpha)}
    if models_can_say(row, alpha):
        found.add(_points(row["p_models_holm"], row["rank_biserial_models"], alpha))
    ways = found - {0}
    if not ways:
        return NOT_APART
    if ways != {int(np.sign(row["difference"]))}:
        return UNDECIDED
    ahead = ways == {good}
    if 0 in found:
        return BETTER_BY_ONE if ahead else WORSE_BY_ONE
    return BETTER if ahead else WORSE


def _points(p: float, rank_biserial: float, alpha: float) -> int:
    """Return 1 or -1 where a significant test points up or down, 0 where it says nothing."""
    return int(np.sign(rank_biserial)) if p < alpha else 0
