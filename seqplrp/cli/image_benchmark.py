"""``seqplrp image benchmark``: the benchmark of explanations, on images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqplrp.cli.options import Again, BenchmarkDirectory, Cells


def register(app: typer.Typer) -> None:
    """Add the command to the application of image commands."""
    app.command("benchmark")(benchmark)


def benchmark(
    config: Annotated[Path, typer.Option(help="The benchmark: tasks, networks, methods, measures (YAML).")],
    out: BenchmarkDirectory,
    cells: Cells = None,
    again: Again = False,
) -> None:
    """Explain image networks by many methods, and measure the explanations against where the object is.

    A cell is one network: a task, an architecture and, where it is trained here, a training seed. Tables, tests,
    pictures and pages are those of `seqplrp benchmark`, with an image where that has a sequence, and heat maps where
    that has logos.
    """
    from seqplrp.cli.benchmarking import run_and_tell
    from seqplrp.images.benchmark import read_config

    run_and_tell(read_config(config), out, most=cells, again=again)
