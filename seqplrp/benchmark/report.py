"""One page on a run: what was compared, how the default does, where it loses, what it costs, what to distrust."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqplrp.benchmark.blocks import Block, Grid, Heading, Points, Text, as_html, as_markdown
from seqplrp.benchmark.cell import NOT_LEARNED
from seqplrp.benchmark.claims import claims_of
from seqplrp.benchmark.config import CUT, Comparison
from seqplrp.benchmark.curve_tables import curve_grids, curves_of_run
from seqplrp.benchmark.domain import Words
from seqplrp.benchmark.model_protocols import library_versions
from seqplrp.benchmark.must_hold import GROUP as HELD_GROUP
from seqplrp.benchmark.must_hold import HeldTo, held_to
from seqplrp.benchmark.pictures import Picture, shown_measures
from seqplrp.benchmark.protocols import Options
from seqplrp.benchmark.provenance import settled_lines, source_lines, source_warning
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
from seqplrp.benchmark.versions import versions
from seqplrp.evaluate import Measure


def write_report(summary: Summary, pictures: Sequence[Picture], out: Path) -> list[Path]:
    """Write ``report.md`` and ``report.html``; return their paths."""
    blocks = list(report_blocks(summary, pictures))
    paths = [out / "report.md", out / "report.html"]
    paths[0].write_text(as_markdown(blocks), encoding="utf-8")
    paths[1].write_text(as_html(blocks, summary.config.name), encoding="utf-8")
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
    for group in reversed(summary.groups):  # what was not used for choosing comes first
        yield Heading(_title(group))
        yield from _group(summary, group)
        yield from (picture for picture in pictures if picture.group == group)
    yield from _models(summary)
    yield from _reading(summary)


def _title(group: str) -> str:
    return {
        "report": "Report tasks: not used for choosing anything",
        "control": "Control tasks: the truth is known to be the wrong one, so no method should do well",
        "development": "Development tasks: defaults may have been chosen on them",
    }[group]


def _group(summary: Summary, group: str) -> Iterator[Block]:
    yield from _main_table(summary, group)
    if group == HELD_GROUP and summary.config.must_hold is not None:
        yield from _must_hold(summary)
    if not summary.config.tested:
        yield Text("No peers are named, so nothing was tested.")
    for comparison in summary.config.tested:
        yield Heading(f"Where {comparison.reference.name} loses", 3)
        yield from _losses(summary, group, comparison)
        yield from _test_table(summary, group, comparison)
    if summary.config.matched is not None:
        yield from _matched(summary, group)
    for name in summary.of_models:
        yield from _of_models(summary, group, name)
    yield from _curves(summary, group)
    yield from _claims(summary, group)
    yield from _by_task(summary, group)


def _main_table(summary: Summary, group: str, task: str = ALL, architecture: str = ALL) -> Iterator[Block]:
    means = summary.mean_table(group, task, architecture)
    measures = shown_measures(summary, 9)
    costs = in_scope(summary.costs, group, task, architecture) if not summary.costs.empty else summary.costs
    cost = {} if costs.empty else costs.set_index("method")[["ms", "ratio"]].to_dict(orient="index")
    best = {m: _best(means[means["measure"] == m], summary.measures[m].better) for m in measures}
    rows = []
    cells = {(row["method"], row["measure"]): row for row in records(means)}
    for name in (v.name for v in summary.config.variants):
        row = [name]
        for measure in measures:
            shown = _mean(cells[name, measure]) if (name, measure) in cells else ""
            row.append(f"*{shown}*" if name in best[measure] else shown)
        row += [_number(cost[name]["ms"], 2), _number(cost[name]["ratio"], 1)] if name in cost else ["", ""]
        rows.append(row)
    head = ["method", *(summary.measures[m].label for m in measures), f"ms {summary.words.a}", "times gradient x input"]
    yield Grid(head, rows, strong=summary.config.default.name)
    if means.empty:
        yield Text("No value of any method is defined here.")
    elif task == ALL and architecture == ALL:
        models = int(means["models"].max())
        strata = len({(c.cell.task.name, c.cell.architecture.name) for c in summary.cells if _counts(c, group)})
        undefined = means[(means["undefined"] > 0) & means["measure"].isin(measures)]
        yield Text(
            f"Means with 95 % bootstrap intervals over {_drawn(summary, group)}: {models} models of {strata} pairs "
            f"of a task and an architecture, {int(means['n'].max())} explanations of each method. Each pair counts the "
            "same. The best of a column, floor and ceiling apart, is marked by stars."
        )
        if len(undefined):
            worst = undefined.sort_values("undefined", ascending=False).iloc[0]
            yield Text(
                f"Undefined values are left out of means: at most {int(worst['undefined'])} of "
                f"{int(worst['undefined'] + worst['n'])} ({worst['method']}, "
                f"{summary.measures[worst['measure']].label})."
            )


def _drawn(summary: Summary, group: str) -> str:
    """Say what intervals are over: of one training seed nothing is known beyond it."""
    words, scored = summary.words, [one for one in summary.cells if _counts(one, group)]
    places = [(one.cell.task.name, one.cell.architecture.name) for one in scored]
    seeds = max(places.count(place) for place in places) > 1
    sequences = max(int(one.manifest["scored"]) for one in scored) > 1
    if seeds and sequences:
        return f"training seeds and {words.many}"
    if seeds or sequences:
        kind, other = ("training seeds", words.one) if seeds else (words.many, "training seed")
        return f"{kind} alone, as there is one {other}"
    return f"training seeds and {words.many}, of which there is one each, so that there are none"


def _counts(one: Any, group: str) -> bool:
    return bool(one.scored and one.cell.task.group == group)


def _best(of: pd.DataFrame, better: str) -> set[str]:
    of = of[of["mean"].notna() & ~of["method"].isin(["truth", "random"]) & ~of["method"].str.contains(r" \| cut to ")]
    if of.empty or better == "neither":
        return set()
    target = of["mean"].max() if better == "higher" else of["mean"].min()
    return set(of.loc[of["mean"] == target, "method"])


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
    yield from _untested(summary, group, comparison, tests)
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


def _untested(summary: Summary, group: str, comparison: Comparison, tests: pd.DataFrame) -> Iterator[Block]:
    there = set(tests["other"])
    missing = [peer.name for peer in comparison.peers if peer.name not in there]
    if missing:
        yield Text(f"Not tested, as no value is defined: {', '.join(missing)}.")


def _told(summary: Summary, measure: str, rows: pd.DataFrame) -> str:
    told = [
        f"{_difference(row)} against {row['other']} (p {_p(row['p_holm'])} over {summary.words.many}, "
        f"{_p(row['p_models_holm'])} over models)"
        for row in records(rows)
    ]
    return f"{summary.measures[measure].label}: {'; '.join(told)}"


def _in_one_place(summary: Summary, key: Any, rows: pd.DataFrame) -> str:
    task, architecture = key
    told = [
        f"{summary.measures[row['measure']].label} against {row['other']} ({_signed(row['difference'])}"
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
            _difference(row),
            _p(row["p_holm"]),
            _p(row["p_models_holm"]),
            row["verdict"],
        ]
        for measure in shown_measures(summary, 9)
        for row in records(tests[tests["measure"] == measure])
    ]
    yield Grid(["measure", "peer", "difference", f"p, {summary.words.many}", "p, models", f"{name} is"], rows)


def _matched(summary: Summary, group: str) -> Iterator[Block]:
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
            _difference(row),
            _p(row["p_holm"]),
            _p(row["p_models_holm"]),
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
            _number(row["sparser_gini"], 3),
            _number(row["sparser_goal"], 3),
            _number(row["away"], 4),
        ]
        for row in records(table)
    ]
    head = ["peer, cut", "maps", "matched", "sparser already", "no map"]
    yield Grid([*head, "mean Gini of the sparser", "what it should be", "largest miss of the matched"], rows)


def _of_models(summary: Summary, group: str, name: str) -> Iterator[Block]:
    """Show what a protocol of whole models gave, overall and by task."""
    protocol, options = summary.config.domain.model_protocols[name], summary.config.model_protocols[name]
    means = summary.of_models[name]
    overall = in_scope(means, group)
    if overall.empty:
        return
    scored = [int(one.manifest["scored"]) for one in summary.cells if _counts(one, group)]
    used = [min(n, options.sequences) if options.sequences else n for n in scored]
    yield Heading(protocol.title, 3)
    yield Text(
        f"{protocol.says} All scored {summary.words.many} of a model are used together: {min(used)} to {max(used)} a "
        f"model, {sum(used)} in all, of {len(used)} models. Numbers are means over models, each counting the same; in "
        "parentheses over how many, where a value is undefined on others (as precision is where there is no pattern). "
        f"Settings: {_settings(options)}."
    )
    yield _model_grid(summary, name, overall)
    tasks = list(dict.fromkeys(means.loc[(means["group"] == group) & (means["task"] != ALL), "task"]))
    for task in tasks if len(tasks) > 1 else []:
        yield Text(f"{task}:")
        yield _model_grid(summary, name, in_scope(means, group, task))


def _settings(options: Options) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(options).items() if name not in _WHAT_OF)


_WHAT_OF = ("sequences", "methods")  # what is measured, not how


def _model_grid(summary: Summary, name: str, means: pd.DataFrame) -> Grid:
    protocol = summary.config.domain.model_protocols[name]
    measures = [one for one in protocol.measures if one.name in protocol.shown]
    cells = {(row["method"], row["measure"]): row for row in records(means)}
    best = {one.name: _best(means[means["measure"] == one.name], one.better) for one in measures}
    rows = []
    for method in (method for method in summary.methods if method in set(means["method"])):
        texts = [_model_mean(cells[method, one.name]) for one in measures]
        starred = [f"*{text}*" if method in best[one.name] else text for text, one in zip(texts, measures, strict=True)]
        rows.append([method, *starred])
    return Grid(["method", *(one.label for one in measures)], rows, strong=summary.config.default.name)


def _model_mean(row: dict[str, Any]) -> str:
    if not row["n"]:
        return "undefined"
    some = f" ({row['n']} of {row['models']})" if row["n"] < row["models"] else ""
    return f"{row['mean']:.3g}{some}"


def _curves(summary: Summary, group: str) -> Iterator[Block]:
    for title, says, head, rows in curve_grids(curves_of_run(summary), group, summary.words.parts):
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


def _by_task(summary: Summary, group: str) -> Iterator[Block]:
    scopes = summary.means[(summary.means["group"] == group) & (summary.means["task"] != ALL)]
    pairs = list(dict.fromkeys(zip(scopes["task"], scopes["architecture"], strict=True)))
    if len(pairs) < 3:  # one task and one architecture: the same table again
        return
    for task, architecture in pairs:
        if architecture == ALL:
            continue
        yield Heading(f"{task}, {architecture}", 3)
        yield from _main_table(summary, group, task, architecture)


def _must_hold(summary: Summary) -> Iterator[Block]:
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
        measure, found = summary.measures[one.measure].label, _difference(row)
    why = f": {one.why}" if one.why else ""
    claim = one.claim if one.method == summary.config.default.name else f"{one.method} {one.claim}"
    return [measure, claim, found, _p(one.p_holm), _p(one.p_models_holm), f"{one.verdict}{why}"]


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
            _number(row["seconds"], 0),
        ]
        for row in records(table)
    ]
    head = ["task", "architecture", "seed", *(fact.label for fact in facts), "scored", "left out", "seconds"]
    yield Grid(head, rows)


def _fact(value: float, digits: int | None) -> str:
    """Return what is told of a model; nothing where it is not known."""
    if not np.isfinite(value):
        return ""
    return str(int(value)) if digits is None else _number(value, digits)


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


def _mean(row: dict[str, Any]) -> str:
    if not np.isfinite(row["mean"]):
        return "undefined"
    interval = f" [{row['low']:.3f}, {row['high']:.3f}]" if np.isfinite(row["low"]) else ""
    return f"{row['mean']:.3f}{interval}"


def _difference(row: dict[str, Any]) -> str:
    if not np.isfinite(row["difference"]):
        return "undefined"
    interval = f" [{_signed(row['low'])}, {_signed(row['high'])}]" if np.isfinite(row["low"]) else ""
    return f"{_signed(row['difference'])}{interval}"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else ""


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _p(value: float) -> str:
    if not np.isfinite(value):
        return "none"
    return "< 1e-4" if value < 1e-4 else f"{value:.4f}"
