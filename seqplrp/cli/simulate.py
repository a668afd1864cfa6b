"""``seqplrp simulate``: synthetic DNA with motifs whose places are known."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqplrp.cli.options import OverwriteDirectory

if TYPE_CHECKING:
    from seqplrp.genomics.simulation import SimulatedData

_PRESETS = "single-motif, and-pair, spacing-grammar, decoys, tal1-gata"  # a test holds it to the package's list


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("simulate")(simulate)


def simulate(
    task: Annotated[str, typer.Option(help=f"A preset ({_PRESETS}) or a YAML file.")],
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    n: Annotated[
        int | None, typer.Option("-n", min=1, help="Number of sequences; the task's own, or 10000, if not given.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The same seed gives the same bytes; the task's own, or 0, if not given.")
    ] = None,
    simdna: Annotated[
        bool, typer.Option("--simdna", help="Write sequences.simdata too, simdna's table of sequences and motifs.")
    ] = False,
    overwrite: OverwriteDirectory = False,
) -> None:
    """Make synthetic DNA with motifs whose places are known.

    Writes sequences.fa, labels.tsv (one column of 0 and 1 per class), truth.bed (BED6, motif, and the classes that
    the instance supports), task.yaml (complete: simulating it makes the same files), sequences.tsv and motifs.meme.
    """
    from seqplrp.cli.console import progress
    from seqplrp.errors import as_options
    from seqplrp.genomics.simulation import load_task, write_simdna, write_simulated
    from seqplrp.genomics.simulation import simulate as make
    from seqplrp.storage import output_directory

    began = time.perf_counter()
    with as_options("task"):
        described = load_task(task)
    with output_directory(out, command="simulate", overwrite=overwrite, inputs=[task]) as stage:
        with progress("simulating", n or described.n) as advance:
            data = make(described, n, seed, progress=advance)
        write_simulated(stage, data)
        if simdna:
            write_simdna(stage / "sequences.simdata", data)
    _warn_of_missing(data)
    typer.echo(_summary(data))
    typer.echo(f"wrote {out} ({time.perf_counter() - began:.1f} s)")


def _warn_of_missing(data: SimulatedData) -> None:
    """Say which classes stayed empty: nothing can be learnt of them."""
    from seqplrp.cli.console import warn

    if not data.missing:
        return
    fewest = data.task.fewest
    remedy = f"give -n {fewest} or more, so that every group of the task has one"
    if len(data) >= fewest:
        remedy = "give more, or change what the groups of the task plant"
    number = f"{len(data)} sequence{'s' * (len(data) != 1)}"
    warn("-n", f"{number}, and none {' or '.join(data.missing)}", remedy)


def _summary(data: SimulatedData) -> str:
    numbers = [f"{name} {count}" for name, count in zip(data.classes, data.labels.sum(axis=0).tolist())]
    rest = int((data.labels.sum(axis=1) == 0).sum())
    if rest:
        numbers.append(f"{data.task.negative} {rest}")
    length = data.sequences.shape[1]
    text = f"simulated {len(data)} sequences of {length} bp with {len(data.truth)} motifs: {', '.join(numbers)}"
    if data.task.accidental == "flag":
        text += f"\n{len(data.accidental)} matches that were not planted are in accidental.bed"
    return text
