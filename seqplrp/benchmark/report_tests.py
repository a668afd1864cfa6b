"""What a report says of tests: where methods lose, whether it is only sparsity, and what must hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from seqplrp.benchmark.blocks import Block, Grid, Heading, Points, Text
from seqplrp.benchmark.config import CUT, Comparison
from seqplrp.benchmark.domain import Words
from seqplrp.benchmark.must_hold import HeldTo, held_to
from seqplrp.benchmark.number_text import difference_text, number_text, p_text, signed_text
from seqplrp.benchmark.pictures import shown_measures
from seqplrp.benchmark.sparsity_control import cut_maps
from seqplrp.benchmark.summary import ALL, Summary, in_scope
from seqplrp.benchmark.verdicts import (
    BETTER,
    BETTER_BY_ONE,
    BOTH,
    NOT_APART,
    SEQUENCES,
    SIGNIFICANT,
    UNDECIDED,
    WORSE,
    WORSE_BY_ONE,
    records,
)


def compared(summary: Summary, group: str, comparison: Comparison) -> Iterator[Block]:
    """Say where a method loses to its peers, and show all of its tests against them."""
    yield Heading(f"Where {comparison.reference.name} loses", 3)
    yield from _losses(summary, group, comparison)
    yield from _test_table(summary, group, comparison)


def _losses(summary: Summary, group: str, comparison: Comparison) -> Iterator[Block]:
    """Say wherever the tests find a method worse than a peer, overall first; nothing is left out."""
    words = summary.words
    tests = _of_comparison(summary.tests, comparison)
    tests = tests[tests["group"] == group] if len(tests) else tests
    if tests.empty:
        yield Text("Nothing could be tested: no pair of values is defined.")
        return
    overall = in_scope(tests, group)
    said = overall[overall["verdict"].isin(_SAID)]
    counts = said["verdict"].value_counts()
    yield Text(
        f"Over all tasks and architectures, {len(said)} comparisons were made ({len(comparison.peers)} peers; Holm's "
        f"correction over the peers of each measure, {SIGNIFICANT:g}; {_rests_on(said, words)}): "
        f"{comparison.reference.name} is "
        f"{', '.join(f'{saying} in {counts.get(verdict, 0)}' for verdict, saying in _SAID.items())}."
    )
    yield from _untested(comparison, tests)
    for verdict, title in _TOLD.items():
        found = overall[overall["verdict"] == verdict]
        if len(found):
            yield Text(title.format(many=words.many))
            yield Points([_told(summary, str(name), rows) for name, rows in found.groupby("measure", sort=False)])
    apart = tests[(tests["task"] != ALL) & (tests["architecture"] != ALL)]
    parts = apart[apart["verdict"].isin([WORSE, WORSE_BY_ONE])]
    if len(parts):
        yield Text(
            f"On single pairs of a task and an architecture it is worse in {len(parts)} comparisons "
            f"({_rests_on(parts, words)}):"
        )
        yield Points([_in_one_place(summary, key, rows) for key, rows in parts.groupby(["task", "architecture"])])
    elif not (overall["verdict"] == WORSE).any():
        yield Text("No single pair of a task and an architecture shows it worse than a peer, either.")
    open_ = int((apart["verdict"] == UNDECIDED).sum())
    if open_:
        yield Text(
            f"On single pairs {open_} more are undecided: what most {words.many} say and what their mean says differ."
        )


_SAID = {
    BETTER: "better",
    BETTER_BY_ONE: "better by one of the two tests alone",
    WORSE: "worse",
    WORSE_BY_ONE: "worse by one of the two tests alone",
    UNDECIDED: "undecided (mean and ranks, or the two tests, point in opposite ways)",
    NOT_APART: "not to be told apart",
}


_TOLD = {
    WORSE: "Worse:",
    WORSE_BY_ONE: "Worse by the test over {many} or that over models alone:",
    UNDECIDED: "Undecided:",
}
"""What is spelled out: nothing that might be a loss is hidden among what can't be told apart."""


def _rests_on(said: pd.DataFrame, words: Words) -> str:
    """Say by how many tests a verdict was given."""
    if (said["rests_on"] == BOTH).all():
        return f"better and worse are by both tests, over {words.many} and over models"
    if (said["rests_on"] == SEQUENCES).all():
        return f"by the test over {words.many} alone, as there are too few models for the other one"
    return f"better and worse are by both tests, over {words.many} alone where models are too few for the other one"


def _untested(comparison: Comparison, tests: pd.DataFrame) -> Iterator[Block]:
    there = set(tests["other"])
    missing = [peer.name for peer in comparison.peers if peer.name not in there]
    if missing:
        yield Text(f"Not tested, as no value is defined: {', '.join(missing)}.")


def _told(summary: Summary, measure: str, rows: pd.DataFrame) -> str:
    told = [
        f"{difference_text(row)} against {row['other']} (p {p_text(row['p_holm'])} over {summary.words.many}, "
        f"{p_text(row['p_models_holm'])} over models)"
        for row in records(rows)
    ]
    return f"{summary.measures[measure].label}: {'; '.join(told)}"


def _in_one_place(summary: Summary, key: Any, rows: pd.DataFrame) -> str:
    task, architecture = key
    told = [
        f"{summary.measures[row['measure']].label} against {row['other']} ({signed_text(row['difference'])}"
        + (", by one test alone)" if row["verdict"] == WORSE_BY_ONE else ")")
        for row in records(rows)
    ]
    return f"{task}, {architecture}: {'; '.join(told)}"


def _of_comparison(tests: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    names = [peer.name for peer in comparison.peers]
    if tests.empty:
        return tests
    return tests[(tests["reference"] == comparison.reference.name) & tests["other"].isin(names)]


def _test_table(summary: Summary, group: str, comparison: Comparison) -> Iterator[Block]:
    name = comparison.reference.name
    tests = _of_comparison(summary.tests, comparison)
    if tests.empty:
        return
    tests = in_scope(tests, group)
    yield Heading(f"{name} against each peer", 3)
    rows = [
        [
            summary.measures[row["measure"]].label,
            row["other"],
            difference_text(row),
            p_text(row["p_holm"]),
            p_text(row["p_models_holm"]),
            row["verdict"],
        ]
        for measure in shown_measures(summary, 9)
        for row in records(tests[tests["measure"] == measure])
    ]
    yield Grid(["measure", "peer", "difference", f"p, {summary.words.many}", "p, models", f"{name} is"], rows)


def sparsity_control(summary: Summary, group: str) -> Iterator[Block]:
    """Show how a method does against others that were cut to its sparsity."""
    matched, one = summary.config.matched, summary.words.one
    assert matched is not None
    tests = in_scope(summary.tests, group) if not summary.tests.empty else summary.tests
    if tests.empty:
        return
    tests = tests[tests["other"].str.contains(CUT, regex=False)]
    yield Heading("Is it only sparsity? Peers cut to the same Gini", 3)
    yield Text(
        f"Maps were cut, {one} by {one}, until their Gini index was as near to that of {matched.to.name} as it "
        "can be. A map that is sparser already can't be matched by cutting, and stays as it is. What lead remains is "
        "not owed to sparsity."
    )
    yield from _cut_maps(summary, group)
    rows = [
        [
            summary.measures[row["measure"]].label,
            row["other"].split(CUT)[0],
            difference_text(row),
            p_text(row["p_holm"]),
            p_text(row["p_models_holm"]),
            row["verdict"],
        ]
        for measure in ("auprc", "rra", "rma", "gini")
        for row in records(tests[tests["measure"] == measure])
    ]
    head = ["measure", "peer, cut", "difference", f"p, {summary.words.many}", "p, models", f"{matched.to.name} is"]
    yield Grid(head, rows)


def _cut_maps(summary: Summary, group: str) -> Iterator[Block]:
    """Say how many maps were matched, and how far from it the others are."""
    table = cut_maps(summary, group)
    if table.empty:
        yield Text("Gini was not measured (protocol sparsity), so it is not known how many maps could be matched.")
        return
    rows = [
        [
            row["method"],
            str(row["maps"]),
            str(row["matched"]),
            str(row["sparser"]),
            str(row["undefined"]),
            number_text(row["sparser_gini"], 3),
            number_text(row["sparser_goal"], 3),
            number_text(row["away"], 4),
        ]
        for row in records(table)
    ]
    head = ["peer, cut", "maps", "matched", "sparser already", "no map"]
    yield Grid([*head, "mean Gini of the sparser", "what it should be", "largest miss of the matched"], rows)


def held_claims(summary: Summary) -> Iterator[Block]:
    """Show what the configuration holds the default to."""
    aims, held = summary.config.must_hold, held_to(summary)
    assert aims is not None
    counts = {verdict: sum(one.verdict == verdict for one in held) for verdict in ("holds", "does not hold", "open")}
    yield Heading("Must hold", 3)
    yield Text(
        f"What this run's description holds {summary.config.default.name} to. Of {len(held)} claims {counts['holds']} "
        f"hold, {counts['does not hold']} do not, {counts['open']} are open. To be better, a method needs a p below "
        f"{aims.p:g} in both tests, over {summary.words.many} and over models, after Holm's correction. What has no p "
        "is judged by the interval of the paired difference; a cost by the median over models (in brackets lowest and "
        "highest)."
    )
    head = ["measure", "claim", "found", f"p, {summary.words.many}", "p, models", "verdict"]
    yield Grid(head, [_held_row(summary, one) for one in held])


def _held_row(summary: Summary, one: HeldTo) -> list[str]:
    if one.measure == "cost":
        measure, found = (
            "cost",
            f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}]" if np.isfinite(one.value) else "none",
        )
    else:
        row = {"difference": one.value, "low": one.low, "high": one.high}
        measure, found = summary.measures[one.measure].label, difference_text(row)
    why = f": {one.why}" if one.why else ""
    claim = one.claim if one.method == summary.config.default.name else f"{one.method} {one.claim}"
    return [measure, claim, found, p_text(one.p_holm), p_text(one.p_models_holm), f"{one.verdict}{why}"]
