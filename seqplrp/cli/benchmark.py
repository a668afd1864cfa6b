"""``seqplrp benchmark``: does an explanation find what the model used, and can the comparison be believed?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.status import Status

    from seqplrp.recovery.benchmark import Event, Outcome, Summary


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("benchmark")(benchmark)


def benchmark(
    config: Annotated[Path, typer.Option(help="The benchmark: tasks, architectures, seeds, methods, measures (YAML).")],
    out: Annotated[
        Path, typer.Option(help="The run's directory. A run that was stopped goes on there; what is finished stays.")
    ],
    cells: Annotated[
        int | None,
        typer.Option(
            min=0, help="Train and measure at most so many models, then report what is finished; 0: only report."
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Measure anew what was made from another description; models that would be trained alike are kept.",
        ),
    ] = False,
) -> None:
    """Train models, explain them by many methods, and measure the explanations against what was planted or is known.

    A cell is one model: a task, an architecture and a training seed. Each is a file of rows; Ctrl-C or a crash loses
    one method of one cell at most, and the same command goes on.

    Writes report.md and report.html with pictures/, and tables: results.tsv.gz (one row a sequence, method and measure;
    results.parquet, too, with the extra parquet), summary.tsv (means with intervals), tests.tsv (the default against
    each peer), must_hold.tsv (what the configuration holds the default to, if anything), costs.tsv and models.tsv;
    where faithfulness and randomisation are measured, curves.tsv (deletion and insertion, point by point) and
    randomisation_depths.tsv (likeness of maps, layer by layer). For each protocol of whole models that the
    configuration names, such as motifs: motifs.tsv (one row a model, method and measure), motifs_summary.tsv (means
    over models), motifs_patterns.tsv (one row a motif that was discovered: consensus, seqlets, the library motif it is
    most like, q) and motifs_patterns/ (their matrices, one MEME file a model). benchmark.json marks the directory;
    cells/ holds each trained model and what was measured of it, from which all else is made.
    """
    from seqplrp.cli.stopping import Stopped
    from seqplrp.recovery.benchmark import read_config, run_benchmark

    described = read_config(config)
    total = len(described.tasks) * len(described.architectures) * len(described.seeds)
    typer.echo(f"{described.name}: {total} models, {len(described.variants)} methods")
    try:
        with _telling() as listener:
            outcome = run_benchmark(described, out, most=cells, again=again, listener=listener)
    except (KeyboardInterrupt, Stopped) as stop:
        typer.echo(f"stopped; what is finished stays in {out}, and the same command goes on from there", err=True)
        raise typer.Exit(128 + stop.number if isinstance(stop, Stopped) else 130) from None
    typer.echo(_said(outcome))


class _Teller:
    """Prints a line for each finished cell; in between, shows what is being done, on a terminal alone."""

    def __init__(self, status: Status | None) -> None:
        self.status = status

    def __call__(self, event: Event) -> None:
        left = "" if event.seconds_left is None else f"about {_duration(event.seconds_left)} left"
        place = f"[{event.done}/{event.total}] {event.cell.name}"
        if event.manifest is None:
            if self.status is not None:
                text = f"{place}: {event.doing}" + (f" ({left})" if left else "")
                self.status.update(text)
            return
        manifest = event.manifest
        scored = f"{manifest['scored']} of {manifest['candidates']} scored"
        outcome = scored if manifest["status"] == "scored" else manifest["status"]
        typer.echo(
            f"{place}: AUROC {manifest['model']['auroc']:.3f}, {outcome}, {_duration(manifest['seconds'])}"
            + (f"; {left}" if left and event.done < event.total else "")
        )


@contextmanager
def _telling() -> Iterator[_Teller]:
    import sys

    if not sys.stderr.isatty():
        yield _Teller(None)
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield _Teller(status)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _said(outcome: Outcome) -> str:
    """The means over the tasks that were not used for choosing, or else over the others, and where to look."""
    summary = outcome.summary
    lines = [""]
    if len(summary.cells) < summary.total:
        lines.append(f"incomplete: {len(summary.cells)} of {summary.total} models; the same command goes on")
    for group in reversed(summary.groups):
        lines += [f"{group} tasks, means over {_models(summary, group)} models", *_table(summary, group), ""]
    lines += [f"  {path}" for path in outcome.files]
    return "\n".join(lines)


def _models(summary: Summary, group: str) -> int:
    means = summary.mean_table(group)
    return 0 if means.empty else int(means["models"].max())


def _table(summary: Summary, group: str) -> list[str]:
    from seqplrp.recovery.benchmark import shown_measures

    means = summary.mean_table(group)
    measures = shown_measures(summary)
    ratio = summary.cost_ratios(group)
    names = [variant.name for variant in summary.config.variants]
    # what a protocol was not asked of, or what is never defined, has no row
    wide = means.pivot(index="method", columns="measure", values="mean").reindex(index=names, columns=measures)
    width = max(map(len, names)) + 2
    titles = [summary.measures[m].label for m in measures]
    lines = [f"{'method':{width}}" + "".join(f"{title:>{max(9, len(title) + 2)}}" for title in titles) + "   cost"]
    for name in names:
        marked = f"> {name}" if name == summary.config.default.name else f"  {name}"
        means_of = wide.loc[name].to_numpy(dtype=float)
        shown = ("" if math.isnan(mean) else f"{mean:.3f}" for mean in means_of)
        numbers = "".join(f"{text:>{max(9, len(title) + 2)}}" for text, title in zip(shown, titles, strict=True))
        lines.append(f"{marked:{width}}{numbers}" + (f"{ratio[name]:6.1f}x" if name in ratio else ""))
    lines.append("cost: times gradient x input on the same sequences")
    return lines
