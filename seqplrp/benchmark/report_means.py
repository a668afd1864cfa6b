"""What a report says of means: of each input's measures, with costs, and of what was measured of whole models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd

from seqplrp.benchmark.blocks import Block, Grid, Heading, Text
from seqplrp.benchmark.config import CUT
from seqplrp.benchmark.number_text import mean_text, number_text
from seqplrp.benchmark.pictures import shown_measures
from seqplrp.benchmark.protocols import Options
from seqplrp.benchmark.summary import ALL, FinishedCell, Summary, in_scope
from seqplrp.benchmark.verdicts import records


def mean_table(summary: Summary, group: str, task: str = ALL, architecture: str = ALL) -> Iterator[Block]:
    """Show the means of all methods with what they cost, and say what they are over."""
    means = summary.mean_table(group, task, architecture)
    measures = shown_measures(summary, 9)
    costs = in_scope(summary.costs, group, task, architecture) if not summary.costs.empty else summary.costs
    cost = {} if costs.empty else costs.set_index("method")[["ms", "ratio"]].to_dict(orient="index")
    best = {m: _best(summary, means[means["measure"] == m], summary.measures[m].better) for m in measures}
    rows = []
    cells = {(row["method"], row["measure"]): row for row in records(means)}
    for name in (v.name for v in summary.config.variants):
        row = [name]
        for measure in measures:
            shown = mean_text(cells[name, measure]) if (name, measure) in cells else ""
            row.append(f"*{shown}*" if name in best[measure] else shown)
        row += [number_text(cost[name]["ms"], 2), number_text(cost[name]["ratio"], 1)] if name in cost else ["", ""]
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


def _counts(one: FinishedCell, group: str) -> bool:
    return one.scored and one.cell.task.group == group


def _best(summary: Summary, of: pd.DataFrame, better: str) -> set[str]:
    """Return the best methods by their means; floor and ceiling, and maps that were cut down, are beside the point."""
    controls = [variant.name for variant in summary.config.variants if variant.is_control]
    of = of[of["mean"].notna() & ~of["method"].isin(controls) & ~of["method"].str.contains(CUT, regex=False)]
    if of.empty or better == "neither":
        return set()
    target = of["mean"].max() if better == "higher" else of["mean"].min()
    return set(of.loc[of["mean"] == target, "method"])


def whole_model_tables(summary: Summary, group: str, name: str) -> Iterator[Block]:
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
    best = {one.name: _best(summary, means[means["measure"] == one.name], one.better) for one in measures}
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


def tables_by_task(summary: Summary, group: str) -> Iterator[Block]:
    """Show the means again for each pair of a task and an architecture."""
    scopes = summary.means[(summary.means["group"] == group) & (summary.means["task"] != ALL)]
    pairs = list(dict.fromkeys(zip(scopes["task"], scopes["architecture"], strict=True)))
    if len(pairs) < 3:  # one task and one architecture: the same table again
        return
    for task, architecture in pairs:
        if architecture == ALL:
            continue
        yield Heading(f"{task}, {architecture}", 3)
        yield from mean_table(summary, group, task, architecture)
