"""``seqplrp benchmark``: does an explanation find what the model used, and can the comparison be believed?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqplrp.cli.options import Again, BenchmarkDirectory, Cells


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("benchmark")(benchmark)


def benchmark(
    config: Annotated[Path, typer.Option(help="The benchmark: tasks, architectures, seeds, methods, measures (YAML).")],
    out: BenchmarkDirectory,
    cells: Cells = None,
    again: Again = False,
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
    from seqplrp.cli.benchmarking import run_and_tell
    from seqplrp.recovery.benchmark import read_config

    run_and_tell(read_config(config), out, most=cells, again=again)
