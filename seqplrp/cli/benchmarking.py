"""What the commands that compare methods say while they run and at the end, whatever their inputs are."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.status import Status

    from seqplrp.benchmark import BenchmarkConfig, Event, Outcome, Summary


def run_and_tell(described: BenchmarkConfig, out: Path, *, most: int | None, again: bool) -> None:
    """Run a benchmark, with a line for each model, and print the means and where to look.

    Parameters
    ----------
    described : BenchmarkConfig
        From `seqplrp.benchmark.read_config`.
    out, most, again
        As `seqplrp.benchmark.run_benchmark` takes them.
    """
    from seqplrp.benchmark import cells_of, run_benchmark
    from seqplrp.cli.stopping import Stopped

    typer.echo(f"{described.name}: {len(cells_of(described))} models, {len(described.variants)} methods")
    try:
        with _telling(described) as listener:
            outcome = run_benchmark(described, out, most=most, again=again, listener=listener)
    except (KeyboardInterrupt, Stopped) as stop:
        typer.echo(f"stopped; what is finished stays in {out}, and the same command goes on from there", err=True)
        raise typer.Exit(128 + stop.number if isinstance(stop, Stopped) else 130) from None
    typer.echo(_said(outcome))


class _Teller:
    """Prints a line for each finished cell; in between, shows what is being done, on a terminal alone."""

    def __init__(self, config: BenchmarkConfig, status: Status | None) -> None:
        self.config, self.status = config, status

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
            f"{place}: {self._learned(manifest)}{outcome}, {_duration(manifest['seconds'])}"
            + (f"; {left}" if left and event.done < event.total else "")
        )

    def _learned(self, manifest: Mapping[str, Any]) -> str:
        """Say how well the model does, by what says whether it learned; nothing where that is not known."""
        domain = self.config.domain
        for fact in domain.facts:
            value = manifest["model"].get(fact.key)
            if fact.key == domain.learned and value is not None:
                return f"{fact.label} {value:.3f}, "
        return ""


@contextmanager
def _telling(config: BenchmarkConfig) -> Iterator[_Teller]:
    if not sys.stderr.isatty():
        yield _Teller(config, None)
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield _Teller(config, status)


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
    from seqplrp.benchmark import shown_measures

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
    lines.append(f"cost: times gradient x input on the same {summary.words.many}")
    return lines
