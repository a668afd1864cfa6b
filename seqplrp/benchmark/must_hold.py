"""What a configuration holds its default to (`must_hold`), judged by the run's own numbers on report tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import pandas as pd

from seqplrp.benchmark.aims import Aims, CostShare, Lead
from seqplrp.benchmark.cell import cut_name
from seqplrp.benchmark.pairs import Pair, compare_pairs
from seqplrp.benchmark.summary import Summary, in_scope
from seqplrp.benchmark.verdicts import (
    BETTER,
    NOT_APART,
    UNDECIDED,
    UNDEFINED,
    WORSE,
    models_can_say,
    records,
    verdict_of,
)

Held = Literal["holds", "does not hold", "open"]
GROUP = "report"


@dataclass(frozen=True)
class HeldTo:
    """One line of the table.

    Attributes
    ----------
    claim : str
        What must hold, such as "better than ism".
    measure : str
        A measure's name, or ``cost``.
    method, other : str
    value, low, high : float
        A difference, method - other, with its 95 % interval; a share of the other's cost, the median over models, with
        the lowest and the highest.
    p_holm, p_models_holm : float
        NaN where nothing was tested.
    limit : float
        What p, the share or the difference is held against.
    verdict : {"holds", "does not hold", "open"}
    why : str
        Empty where it holds.
    """

    claim: str
    measure: str
    method: str
    other: str
    value: float
    low: float
    high: float
    p_holm: float
    p_models_holm: float
    limit: float
    verdict: Held
    why: str


HELD_COLUMNS = tuple(one.name for one in fields(HeldTo))


def held_to(summary: Summary) -> list[HeldTo]:
    """Judge all that must hold; nothing where the configuration names nothing or no report task has a finished cell."""
    aims = summary.config.must_hold
    if aims is None or GROUP not in summary.groups:
        return []
    return [
        *_better(summary, aims),
        *_matched(summary, aims),
        *(_not_below(summary, measure, share) for measure, share in (aims.not_below_best or {}).items()),
        *(_cost(summary, one) for one in aims.cost_shares),
        *(_lead(summary, one) for one in aims.leads),
    ]


def held_table(held: list[HeldTo]) -> pd.DataFrame:
    """Return the table of ``must_hold.tsv``."""
    return pd.DataFrame([vars(one) for one in held], columns=list(HELD_COLUMNS))


def _better(summary: Summary, aims: Aims) -> Iterator[HeldTo]:
    """Yield whether the default is better than each peer, by the tests of the table of tests."""
    default = summary.config.default.name
    for measure in aims.better_in:
        for peer in summary.config.peers:
            row = _test_of(summary, default, peer.name, measure)
            yield _tested(summary, row, f"better than {peer.name}", (default, peer.name), measure, aims.p)


def _matched(summary: Summary, aims: Aims) -> Iterator[HeldTo]:
    matched = summary.config.matched
    assert matched is not None or not aims.matched_better_in  # read_aims sees to it
    for measure in aims.matched_better_in:
        assert matched is not None
        for variant in matched.methods:
            names = matched.to.name, cut_name(variant, matched.to)
            claim = f"better than {variant.name} at the same sparsity"
            yield _tested(summary, _test_of(summary, *names, measure), claim, names, measure, aims.p)


def _test_of(summary: Summary, reference: str, other: str, measure: str) -> dict[str, Any] | None:
    """Return the row of a test over all report tasks; None where there is none."""
    if summary.tests.empty:
        return None
    tests = in_scope(summary.tests, GROUP)
    tests = tests[(tests["reference"] == reference) & (tests["other"] == other) & (tests["measure"] == measure)]
    return records(tests)[0] if len(tests) else None


def _tested(
    summary: Summary, row: Mapping[str, Any] | None, claim: str, names: tuple[str, str], measure: str, p: float
) -> HeldTo:
    if row is None:
        return _nothing(claim, measure, names, p)
    verdict: Held = "does not hold"
    found = verdict_of(row, summary.measures[measure].better, p)
    why = _WHY.get(found, found)
    if found == UNDEFINED:
        verdict = "open"
    elif found != WORSE and not models_can_say(row, p):
        verdict, why = "open", f"{row['models']} models are too few for their test to fall below {p:g}"
    elif found == BETTER:
        verdict, why = "holds", ""
    numbers = (row["difference"], row["low"], row["high"], row["p_holm"], row["p_models_holm"])
    return HeldTo(claim, measure, *names, *numbers, p, verdict, why)


_WHY = {
    UNDEFINED: "no pair of values is defined",
    UNDECIDED: "mean and ranks, or the two tests, point in opposite ways",
    NOT_APART: "neither test tells them apart",
}


def _nothing(claim: str, measure: str, names: tuple[str, str], limit: float) -> HeldTo:
    none = (np.nan, np.nan, np.nan, np.nan, np.nan)
    return HeldTo(claim, measure, *names, *none, limit, "open", "no value is defined")


def _not_below(summary: Summary, measure: str, share: float) -> HeldTo:
    """Hold the default against the best peer's mean, less a share of it, by the interval of the paired difference."""
    default = summary.config.default.name
    better = summary.measures[measure].better
    means = summary.mean_table(GROUP)
    of_peers = means[(means["measure"] == measure) & means["method"].isin([p.name for p in summary.config.peers])]
    of_peers = of_peers.dropna(subset=["mean"])
    claim = f"not more than {100 * share:g} % short of the best peer"
    if of_peers.empty:
        return _nothing(claim, measure, (default, ""), share)
    ordered = of_peers.sort_values("mean", ascending=better == "lower", kind="stable")
    best, mean = str(ordered["method"].iloc[0]), float(ordered["mean"].iloc[0])
    up = 1 if better == "higher" else -1
    # what it may fall short by is a share of the best one's size, whatever its sign
    allowed = 1 - up * share * np.sign(mean)
    row = _pair(summary, Pair(default, best, measure, share=float(allowed)))
    if row is None:
        return _nothing(claim, measure, (default, best), share)
    # back to the plain difference, so that the interval is read against what is allowed
    back = (allowed - 1) * mean
    verdict = _by_interval(up * row["difference"], *sorted((up * row["low"], up * row["high"])))
    why = "" if verdict == "holds" else f"at most {abs(share * mean):.3g} is allowed"
    numbers = (row["difference"] + back, row["low"] + back, row["high"] + back)
    return HeldTo(f"{claim}, {best}", measure, default, best, *numbers, np.nan, np.nan, share, verdict, why)


def _lead(summary: Summary, lead: Lead) -> HeldTo:
    """Hold a lead against its aim by the interval of the paired difference."""
    names = lead.method.name, lead.over.name
    claim = f"ahead of {lead.over.name} by {lead.by:g}"
    row = _pair(summary, Pair(*names, lead.measure))
    if row is None:
        return _nothing(claim, lead.measure, names, lead.by)
    up = 1 if summary.measures[lead.measure].better == "higher" else -1
    low, high = sorted((up * row["low"], up * row["high"]))
    verdict = _by_interval(up * row["difference"] - lead.by, low - lead.by, high - lead.by)
    why = "" if verdict == "holds" else f"{lead.by - up * row['difference']:.3f} short of it"
    if verdict == "open":
        why = "the interval holds the aim"
    numbers = (row["difference"], row["low"], row["high"])
    return HeldTo(claim, lead.measure, *names, *numbers, np.nan, np.nan, lead.by, verdict, why)


def _pair(summary: Summary, pair: Pair) -> dict[str, Any] | None:
    table = compare_pairs(summary, GROUP, [pair])
    return records(table)[0] if len(table) and np.isfinite(table["difference"].iloc[0]) else None


def _by_interval(value: float, low: float, high: float) -> Held:
    """Say whether a number is above 0 as its interval has it; open where the interval holds 0, or is not there."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "open"
    return "holds" if low >= 0 and value >= 0 else "does not hold" if high < 0 else "open"


def _cost(summary: Summary, aim: CostShare) -> HeldTo:
    """Hold the median over models of the share of the other's cost against its limit; both are in gradients."""
    names = aim.method.name, aim.of.name
    claim = f"costs at most {aim.at_most:g} of {aim.of.name}"
    shares = np.array([share for share in _shares(summary, *names) if np.isfinite(share)])
    if not len(shares):
        return _nothing(claim, "cost", names, aim.at_most)
    share = float(np.median(shares))
    numbers = (share, float(shares.min()), float(shares.max()))
    verdict: Held = "holds" if share <= aim.at_most else "does not hold"
    kept = int((shares <= aim.at_most).sum())
    why = "" if kept == len(shares) else f"{kept} of {len(shares)} models keep it"
    return HeldTo(claim, "cost", *names, *numbers, np.nan, np.nan, aim.at_most, verdict, why)


def _shares(summary: Summary, method: str, of: str) -> Iterator[float]:
    """Yield each model's share; both were timed beside gradient x input, which takes out how busy a machine was."""
    for one in summary.cells:
        costs = one.manifest.get("costs", {})
        if one.scored and one.cell.task.group == GROUP and method in costs and of in costs:
            yield costs[method]["ratio"] / costs[of]["ratio"]
