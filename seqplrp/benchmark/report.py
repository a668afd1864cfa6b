"""One page on a run: what was compared, how the default does, where it loses, what it costs, what to distrust."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seqplrp.benchmark.blocks import Block, Grid, Heading, Points, Text, as_html, as_markdown
from seqplrp.benchmark.cell import NOT_LEARNED
from seqplrp.benchmark.claims import claims_of
from seqplrp.benchmark.curve_tables import curve_grids, curves_of_run
from seqplrp.benchmark.model_protocols import library_versions
from seqplrp.benchmark.must_hold import GROUP as HELD_GROUP
from seqplrp.benchmark.number_text import number_text
from seqplrp.benchmark.pictures import Picture
from seqplrp.benchmark.provenance import settled_lines, source_lines, source_warning
from seqplrp.benchmark.report_means import mean_table, tables_by_task, whole_model_tables
from seqplrp.benchmark.report_tests import compared, held_claims, sparsity_control
from seqplrp.benchmark.summary import Summary
from seqplrp.benchmark.verdicts import records
from seqplrp.benchmark.versions import versions
from seqplrp.evaluate import Measure
from seqplrp.storage import write_whole


def write_report(summary: Summary, pictures: Sequence[Picture], out: Path) -> list[Path]:
    """Write ``report.md`` and ``report.html``; return their paths."""
    blocks = list(report_blocks(summary, pictures))
    paths = [out / "report.md", out / "report.html"]
    for path, text in zip(paths, (as_markdown(blocks), as_html(blocks, summary.config.name)), strict=True):
        write_whole(path, text.encode())
    return paths


def report_blocks(summary: Summary, pictures: Sequence[Picture]) -> Iterator[Block]:
    """Yield what the page says, from top to bottom."""
    config = summary.config
    yield Heading(f"{summary.words.title}: {config.name}", 1)
    if config.description:
        yield Text(" ".join(config.description.split()))
    finished = len(summary.cells)
    if finished < summary.total:
        yield Text(f"INCOMPLETE: {finished} of {summary.total} models are finished. The same command goes on.")
    for warning in source_warning([one.manifest for one in summary.cells], config.domain.source):
        yield Text(warning)
    curves = curves_of_run(summary)
    for group in reversed(summary.groups):  # what was not used for choosing comes first
        yield Heading(_title(group))
        yield from _group(summary, group, curves)
        yield from (picture for picture in pictures if picture.group == group)
    yield from _models(summary)
    yield from _reading(summary)


def _title(group: str) -> str:
    return {
        "report": "Report tasks: not used for choosing anything",
        "control": "Control tasks: the truth is known to be the wrong one, so no method should do well",
        "development": "Development tasks: defaults may have been chosen on them",
    }[group]


def _group(summary: Summary, group: str, curves: Mapping[str, pd.DataFrame]) -> Iterator[Block]:
    yield from mean_table(summary, group)
    if group == HELD_GROUP and summary.config.must_hold is not None:
        yield from held_claims(summary)
    if not summary.config.tested:
        yield Text("No peers are named, so nothing was tested.")
    for comparison in summary.config.tested:
        yield from compared(summary, group, comparison)
    if summary.config.matched is not None:
        yield from sparsity_control(summary, group)
    for name in summary.of_models:
        yield from whole_model_tables(summary, group, name)
    yield from _curves(summary, group, curves)
    yield from _claims(summary, group)
    yield from tables_by_task(summary, group)


def _curves(summary: Summary, group: str, curves: Mapping[str, pd.DataFrame]) -> Iterator[Block]:
    for title, says, head, rows in curve_grids(curves, group, summary.words.parts):
        if title:
            yield Heading(title, 3)
        yield Text(says)
        yield Grid(head, rows, strong=summary.config.default.name)


def _claims(summary: Summary, group: str) -> Iterator[Block]:
    claims = claims_of(summary, group)
    if claims:
        yield Heading("What the paper says, and what was found", 3)
        yield Text(
            f"By paired tests over {summary.words.many} and over models (Holm's correction over all comparisons of a "
            "claim): a part holds where both say so, is refuted where both say the opposite, and is open otherwise."
        )
        yield Grid(["claim", "found", "by what"], [[claim.says, claim.verdict, claim.evidence] for claim in claims])


def _models(summary: Summary) -> Iterator[Block]:
    config, words = summary.config, summary.words
    yield Heading("The models")
    table = summary.models
    failed = table[table["status"] == NOT_LEARNED]
    empty = table[table["status"] == words.nothing_scored]
    least = ", ".join(f"{task.name} {config.least(task):g}" for task in config.tasks)
    yield Text(
        f"Rule: {words.learned.format(least=least)}. {len(failed)} of {len(table)} were; {len(empty)} more got no "
        f"{words.one} right. Of the others {words.scored}."
    )
    facts = [fact for fact in config.domain.facts if fact.label]
    rows = [
        [
            row["task"],
            row["architecture"],
            str(row["seed"]),
            *(_fact(row[fact.key], fact.digits) for fact in facts),
            f"{row['scored']} of {row['candidates']}" if row["candidates"] else "",
            row["left_out"] if row["status"] != NOT_LEARNED else NOT_LEARNED,
            number_text(row["seconds"], 0),
        ]
        for row in records(table)
    ]
    head = ["task", "architecture", "seed", *(fact.label for fact in facts), "scored", "left out", "seconds"]
    yield Grid(head, rows)


def _fact(value: float, digits: int | None) -> str:
    """Return what is told of a model; nothing where it is not known."""
    if not np.isfinite(value):
        return ""
    return str(int(value)) if digits is None else number_text(value, digits)


def _reading(summary: Summary) -> Iterator[Block]:
    config, many = summary.config, summary.words.many
    yield Heading("How it was done")
    yield Points([f"{task.name} ({task.group}): {task.says}" for task in config.tasks])
    yield Points([f"{variant.name}: `{variant.recipe}`" for variant in config.variants])
    manifests = [one.manifest for one in summary.cells]
    yield Text("What methods fall back on, written out, and what cells recorded of it:")
    yield Points(settled_lines(config.variants, manifests) or ["nothing: every method says all that it does"])
    yield Points(source_lines(manifests, config.domain.source))
    yield Points(
        [
            f"{measure.label} ({measure.better} is better): {measure.meaning}"
            if measure.better != "neither"
            else f"{measure.label}: {measure.meaning}"
            for measure in (*summary.measures.values(), *_model_measures(summary))
        ]
    )
    yield Text(
        f"Tests are Wilcoxon's signed-rank tests of paired differences: over {many}, one difference each, its mean "
        f"over the models; and over models, one each, its mean over the {many}, which needs six models or more to "
        "say anything. A test points where its ranks do, which need not be where the mean does. Better and worse is "
        "what both tests and the mean say; where models are too few for their test to reach the level after "
        f"correction, the test over {many} and the mean."
    )
    yield Text(
        f"Intervals are percentiles of a bootstrap over training seeds and {many} (see `seqplrp.evaluate.runs`); of "
        "a single value there is none. Costs are medians over batches in this run, tracing apart, each timed beside "
        f"gradient x input on the same {many}; the ratio is what carries over to other machines."
    )
    yield Text("Our implementation of PLRP is reconstructed from secondary sources (METHODS, section 3).")
    domain = config.domain
    used = versions(domain.libraries) | library_versions(domain.model_protocols, list(config.model_protocols))
    yield Text("Versions: " + ", ".join(f"{name} {number}" for name, number in used.items()) + ".")
    yield Text(f"To repeat: `{summary.words.command} --config {config.source} --out DIR`")


def _model_measures(summary: Summary) -> list[Measure]:
    """Return what protocols of whole models measure, each once: two of them may measure the same."""
    known = summary.config.domain.model_protocols
    return list(dict.fromkeys(m for name in summary.of_models for m in known[name].measures))
