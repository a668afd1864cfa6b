"""One page on a run: what was compared, how the default does, where it loses, what it costs, what to distrust."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqplrp.evaluate import Measure
from seqplrp.recovery.benchmark.cell import NOT_LEARNED, NOTHING_SCORED
from seqplrp.recovery.benchmark.claims import claims_of
from seqplrp.recovery.benchmark.config import Comparison
from seqplrp.recovery.benchmark.curve_tables import curve_grids, curves_of_run
from seqplrp.recovery.benchmark.model_protocols import MODEL_PROTOCOLS, library_versions
from seqplrp.recovery.benchmark.pictures import Picture, shown_measures
from seqplrp.recovery.benchmark.protocols import Options
from seqplrp.recovery.benchmark.provenance import settled_lines, source_lines, source_warning
from seqplrp.recovery.benchmark.summary import ALL, SIGNIFICANT, Summary, in_scope, records
from seqplrp.recovery.benchmark.versions import versions


@dataclass(frozen=True)
class Heading:
    """A heading."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """A table of text; rows whose first cell is `strong` are set in bold."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: str = ""


Block = Heading | Text | Points | Grid | Picture


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
    yield Heading(f"Motif recovery benchmark: {config.name}", 1)
    if config.description:
        yield Text(" ".join(config.description.split()))
    finished = len(summary.cells)
    if finished < summary.total:
        yield Text(f"INCOMPLETE: {finished} of {summary.total} models are finished. The same command goes on.")
    for warning in source_warning([one.manifest for one in summary.cells]):
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
    head = ["method", *(summary.measures[m].label for m in measures), "ms a sequence", "times gradient x input"]
    yield Grid(head, rows, strong=summary.config.default.name)
    if task == ALL and architecture == ALL:
        models = int(means["models"].max())
        strata = len({(c.cell.task.name, c.cell.architecture.name) for c in summary.cells if _counts(c, group)})
        undefined = means[(means["undefined"] > 0) & means["measure"].isin(measures)]
        yield Text(
            f"Means with 95 % bootstrap intervals over training seeds and sequences: {models} models of {strata} pairs "
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
    tests = _of_comparison(summary.tests[summary.tests["group"] == group], comparison)
    overall = in_scope(tests, group)
    lost, open_ = overall[overall["verdict"] == "worse"], overall[overall["verdict"] == "not told apart"]
    made = overall[overall["verdict"].isin(["better", "worse", "not told apart"])]
    yield Text(
        f"Over all tasks and architectures, {len(made)} comparisons were made ({len(comparison.peers)} peers; "
        f"Holm's correction over the peers of each measure, {SIGNIFICANT:g}): {comparison.reference.name} is better in "
        f"{int((made['verdict'] == 'better').sum())}, worse in {len(lost)}, and can't be told apart in {len(open_)}."
    )
    if len(lost):
        yield Points([_told(summary, str(measure), rows) for measure, rows in lost.groupby("measure", sort=False)])
    parts = tests[((tests["task"] != ALL) & (tests["architecture"] != ALL)) & (tests["verdict"] == "worse")]
    if len(parts):
        yield Text(f"On single pairs of a task and an architecture it is worse in {len(parts)} comparisons:")
        yield Points([_in_one_place(summary, key, rows) for key, rows in parts.groupby(["task", "architecture"])])
    elif not len(lost):
        yield Text("No single pair of a task and an architecture shows it worse than a peer, either.")


def _told(summary: Summary, measure: str, rows: pd.DataFrame) -> str:
    told = [
        f"{_difference(row)} against {row['other']} (p {_p(row['p_holm'])} over sequences, {_p(row['p_models_holm'])} "
        "over models)"
        for row in records(rows)
    ]
    return f"{summary.measures[measure].label}: {'; '.join(told)}"


def _in_one_place(summary: Summary, key: Any, rows: pd.DataFrame) -> str:
    task, architecture = key
    told = [
        f"{summary.measures[row['measure']].label} against {row['other']} ({_signed(row['difference'])})"
        for row in records(rows)
    ]
    return f"{task}, {architecture}: {'; '.join(told)}"


def _of_comparison(tests: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    names = [peer.name for peer in comparison.peers]
    return tests[(tests["reference"] == comparison.reference.name) & tests["other"].isin(names)]


def _test_table(summary: Summary, group: str, comparison: Comparison) -> Iterator[Block]:
    name = comparison.reference.name
    tests = _of_comparison(in_scope(summary.tests, group), comparison)
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
    yield Grid(["measure", "peer", "difference", "p, sequences", "p, models", f"{name} is"], rows)


def _matched(summary: Summary, group: str) -> Iterator[Block]:
    matched = summary.config.matched
    assert matched is not None
    tests = in_scope(summary.tests, group) if not summary.tests.empty else summary.tests
    if tests.empty:
        return
    tests = tests[tests["other"].str.contains(" | cut to ", regex=False)]
    yield Heading("Is it only sparsity? Peers cut to the same Gini", 3)
    yield Text(
        f"Each map was cut, sequence by sequence, until its Gini index is that of {matched.to.name}. What lead remains "
        "is not owed to sparsity."
    )
    rows = [
        [
            summary.measures[row["measure"]].label,
            row["other"].split(" | cut to ")[0],
            _difference(row),
            _p(row["p_holm"]),
            row["verdict"],
        ]
        for measure in ("auprc", "rra", "rma", "gini")
        for row in records(tests[tests["measure"] == measure])
    ]
    yield Grid(["measure", "peer, cut", "difference", "p, sequences", f"{matched.to.name} is"], rows)


def _of_models(summary: Summary, group: str, name: str) -> Iterator[Block]:
    """Show what a protocol of whole models gave, overall and by task."""
    protocol, options = MODEL_PROTOCOLS[name], summary.config.model_protocols[name]
    means = summary.of_models[name]
    overall = in_scope(means, group)
    if overall.empty:
        return
    scored = [int(one.manifest["scored"]) for one in summary.cells if _counts(one, group)]
    used = [min(n, options.sequences) if options.sequences else n for n in scored]
    yield Heading(protocol.title, 3)
    yield Text(
        f"{protocol.says} All scored sequences of a model are used together: {min(used)} to {max(used)} a model, "
        f"{sum(used)} in all, of {len(used)} models. Numbers are means over models, each counting the same; in "
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
    measures = [one for one in MODEL_PROTOCOLS[name].measures if one.name in MODEL_PROTOCOLS[name].shown]
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
    for title, says, head, rows in curve_grids(curves_of_run(summary), group):
        if title:
            yield Heading(title, 3)
        yield Text(says)
        yield Grid(head, rows, strong=summary.config.default.name)


def _claims(summary: Summary, group: str) -> Iterator[Block]:
    claims = claims_of(summary, group)
    if claims:
        yield Heading("What the paper says, and what was found", 3)
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


def _models(summary: Summary) -> Iterator[Block]:
    config = summary.config
    yield Heading("The models")
    table = summary.models
    failed = table[table["status"] == NOT_LEARNED]
    empty = table[table["status"] == NOTHING_SCORED]
    least = ", ".join(f"{task.name} {config.least_auroc(task):g}" for task in config.tasks)
    yield Text(
        f"Rule: a model whose AUROC on its test sequences (mean over classes) is below the task's bound ({least}) did "
        f"not learn and is left out. {len(failed)} of {len(table)} were; {len(empty)} more got no sequence right. Of "
        "the others only sequences with a truth are scored that the model gets right with a score above 0."
    )
    rows = [
        [
            row["task"],
            row["architecture"],
            str(row["seed"]),
            _number(row["auroc"], 3),
            _number(row["auprc"], 3),
            str(row["parameters"]),
            f"{row['scored']} of {row['candidates']}" if row["candidates"] else "",
            row["left_out"] if row["status"] != NOT_LEARNED else NOT_LEARNED,
            _number(row["seconds"], 0),
        ]
        for row in records(table)
    ]
    head = ["task", "architecture", "seed", "AUROC", "AUPRC", "parameters", "scored", "left out", "seconds"]
    yield Grid(head, rows)


def _reading(summary: Summary) -> Iterator[Block]:
    config = summary.config
    yield Heading("How it was done")
    yield Points([f"{task.name} ({task.group}): {task.says}" for task in config.tasks])
    yield Points([f"{variant.name}: `{variant.recipe}`" for variant in config.variants])
    manifests = [one.manifest for one in summary.cells]
    yield Text("What methods fall back on, written out, and what cells recorded of it:")
    yield Points(settled_lines(config.variants, manifests) or ["nothing: every method says all that it does"])
    yield Points(source_lines(manifests))
    yield Points(
        [
            f"{measure.label} ({measure.better} is better): {measure.meaning}"
            if measure.better != "neither"
            else f"{measure.label}: {measure.meaning}"
            for measure in (*summary.measures.values(), *_model_measures(summary))
        ]
    )
    yield Text(
        "Tests are Wilcoxon's signed-rank tests of paired differences: over sequences, one difference each, its mean "
        "over the models; and over models, one each, its mean over the sequences, which needs six models or more to "
        "say anything. Believe what both say. Intervals are percentiles of a bootstrap over training seeds and "
        "sequences (see `seqplrp.evaluate.runs`). Costs are medians over batches in this run, tracing apart, each "
        "timed beside gradient x input on the same sequences; the ratio is what carries over to other machines."
    )
    yield Text("Our implementation of PLRP is reconstructed from secondary sources (METHODS, section 3).")
    used = versions() | library_versions(list(config.model_protocols))
    yield Text("Versions: " + ", ".join(f"{name} {number}" for name, number in used.items()) + ".")
    yield Text(f"To repeat: `seqplrp benchmark --config {config.source} --out DIR`")


def _model_measures(summary: Summary) -> list[Measure]:
    """Return what protocols of whole models measure, each once: two of them may measure the same."""
    return list(dict.fromkeys(m for name in summary.of_models for m in MODEL_PROTOCOLS[name].measures))


def _mean(row: dict[str, Any]) -> str:
    if not np.isfinite(row["mean"]):
        return "undefined"
    return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _difference(row: dict[str, Any]) -> str:
    if not np.isfinite(row["difference"]):
        return "undefined"
    return f"{_signed(row['difference'])} [{_signed(row['low'])}, {_signed(row['high'])}]"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else ""


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _p(value: float) -> str:
    if not np.isfinite(value):
        return "none"
    return "< 1e-4" if value < 1e-4 else f"{value:.4f}"


def as_markdown(blocks: Sequence[Block]) -> str:
    """Return the blocks as GitHub's markdown."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Text(text):
            return text
        case Points(items):
            return "\n".join(f"- {item}" for item in items)
        case Grid(head, rows, strong):
            lines = [head, ["---"] * len(head)]
            lines += [[f"**{row[0]}**", *row[1:]] if strong and row[0] == strong else row for row in rows]
            return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        case Picture(file, caption):
            return f"![{caption}](pictures/{file}.png)\n\n{caption}"


def as_html(blocks: Sequence[Block], title: str) -> str:
    """Return the blocks as a page of its own, with pictures beside it."""
    body = "\n".join(_html(block) for block in blocks)
    return _PAGE.format(title=html.escape(title), body=body)


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{_inline(text)}</h{level}>"
        case Text(text):
            return f"<p>{_inline(text)}</p>"
        case Points(items):
            return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ul>"
        case Grid(head, rows, strong):
            top = "".join(f"<th>{_inline(cell)}</th>" for cell in head)
            lines = (
                f"<tr{' class=strong' if strong and row[0] == strong else ''}>"
                + "".join(f"<td>{_inline(cell)}</td>" for cell in row)
                + "</tr>"
                for row in rows
            )
            return f"<div><table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        case Picture(file, caption):
            return (
                f"<figure><img src='pictures/{html.escape(file)}.svg' alt='{html.escape(caption, quote=True)}'>"
                f"<figcaption>{_inline(caption)}</figcaption></figure>"
            )


def _inline(text: str) -> str:
    """Escape text; `code` and *best of a column* are all the marks that it may hold."""
    escaped = html.escape(text)
    parts = escaped.split("`")
    with_code = "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
    if len(escaped) > 2 and escaped.startswith("*") and escaped.endswith("*"):
        return f"<em>{escaped[1:-1]}</em>"
    return with_code


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1200px; margin: 2rem auto; padding: 0 1rem; }}
h1, h2, h3 {{ line-height: 1.2; margin-top: 2em; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: 3px 10px 3px 0; border-bottom: 1px solid #ddd; white-space: nowrap; }}
td:last-child {{ white-space: normal; }}
tr.strong td {{ background: #fdf3e1; }}
em {{ font-style: normal; font-weight: 700; }}
figure {{ margin: 2em 0; overflow-x: auto; }}
img {{ max-width: 100%; height: auto; }}
figcaption {{ color: #555; font-size: 13px; }}
code {{ font-size: 12px; }}
</style></head><body>
{body}
</body></html>
"""
