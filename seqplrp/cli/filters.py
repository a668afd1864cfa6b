"""``seqplrp filters``: which first-layer filters carry the relevance, and what they are like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqplrp.cli import options
from seqplrp.cli.option_groups import MethodOptions, ModelOptions, RunOptions, spread

if TYPE_CHECKING:
    from seqplrp.recovery import FilterReport


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("filters")(filters)


@spread
def filters(
    *,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A directory that `seqplrp train` wrote, a .pt2 file of torch.export.save, or module:callable for any "
            "torch model.",
        ),
    ],
    fasta: Annotated[Path, typer.Argument(metavar="FASTA", help="DNA, plain or gzipped.")],
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    method: Annotated[str, typer.Option(help="plrp, lrp or r-lrp.")] = "plrp",
    subject: ModelOptions,
    weights: Annotated[
        Path | None, typer.Option(help="Weights for module:callable: safetensors or a saved state dict.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Windows of each filter to make its matrix of.")] = 100,
    per_sequence: Annotated[
        int, typer.Option(min=1, help="How many of them one sequence may give; several do not overlap.")
    ] = 1,
    motifs: Annotated[
        Path | None, typer.Option(help="Known motifs (MEME or JASPAR); the library of seqplrp if not given.")
    ] = None,
    match: Annotated[bool, typer.Option("--match/--no-match", help="Compare filters with known motifs.")] = True,
    max_filters: Annotated[int, typer.Option(min=1, help="Leading filters to draw and to print.")] = 12,
    settings: MethodOptions,
    running: RunOptions,
    check: options.Check = False,
    overwrite: options.OverwriteDirectory = False,
) -> None:
    """Say which first-layer filters carry the relevance, and which known motifs they are like.

    Writes filters.tsv (a row a filter, the largest share first), windows.tsv (where their best windows are),
    filters.meme (their matrices), filters.png (the leading ones over the known motifs that they are like) and
    manifest.json. Comparing needs memelite, of the extra modisco, and on a machine's first run up to a minute to
    compile it. Unless --rule is given, plrp is under gamma in all layers: under its own rule the first layer shares
    what arrives at its filters anew before it hands it on.
    """
    arguments = dict(locals())
    from dataclasses import replace

    if match:
        _check_comparing()  # before what takes seconds to import
    from seqplrp.cli.filtering import Looks, run
    from seqplrp.cli.method_options import described
    from seqplrp.cli.request import request_of
    from seqplrp.cli.sources import fasta_source
    from seqplrp.storage import output_directory

    looks = Looks(top=top, per_sequence=per_sequence, motifs=motifs, match=match, drawn=max_filters)
    looks.check()
    if method == "plrp" and settings.rule is None:
        settings = replace(settings, rule=["gamma"])  # what arrives at a filter is then what the map has from it
    chosen_method, given = settings.method(method)
    request = request_of(
        subject,
        running,
        models=(model,),
        weights=() if weights is None else (weights,),
        source=fasta_source(fasta, running.iupac),
        method=chosen_method,
        arguments=arguments,
        check=check,
    )
    with (
        _arguments_by_place(),
        output_directory(out, command="filters", overwrite=overwrite, inputs=[*request.read, motifs]) as stage,
    ):
        found = run(request, looks, stage)
    typer.echo(f"explained {found.sequences} sequences by {described(method, given)}")
    _print_table(found.report, max_filters)
    for note in found.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"wrote {out} ({found.wall_seconds:.1f} s)")


def _check_comparing() -> None:
    """Raise a SeqplrpError where the library that compares with known motifs is not there."""
    from importlib.util import find_spec

    from seqplrp.errors import SeqplrpError

    if find_spec("memelite") is None:
        raise SeqplrpError(
            "memelite",
            "is not installed, and comparing with known motifs needs it",
            "pip install 'seqplrp[modisco]', or give --no-match",
        )


@contextmanager
def _arguments_by_place() -> Iterator[None]:
    """Let errors of parts that speak of --model, as other commands call it, speak of this one's argument."""
    from seqplrp.errors import SeqplrpError

    try:
        yield
    except SeqplrpError as error:
        if "--model" not in error.where + error.what + error.remedy:
            raise
        parts = (part.replace("--model", "MODEL") for part in (error.where, error.what, error.remedy))
        raise SeqplrpError(*parts) from error


def _print_table(report: FilterReport, most: int) -> None:
    """Print the leading filters."""
    import sys

    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    # Where it is narrow, names and words are folded, numbers stay whole.
    table.add_column("filter", overflow="fold")
    for name in ("share", "active", "leads", "windows"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("core", overflow="fold")
    table.add_column("known motif", no_wrap=True)
    table.add_column("q", justify="right", no_wrap=True)
    shown = [i for i, one in enumerate(report.filters) if one.share > 0][:most]
    statuses = report.statuses()
    for i in shown:
        one, match = report.filters[i], report.matches[i]
        matched = statuses[i] == "match" and match is not None
        table.add_row(
            one.name,
            f"{100 * one.share:.1f} %",
            str(one.active),
            str(one.leading),
            str(len(one.windows)),
            "" if one.core_motif is None else one.core_motif.iupac,
            f"{match.target.name} {match.strand}" if matched and match is not None else statuses[i],
            f"{match.q:.2g}" if match is not None else "",
        )
    # Where nobody watches, no width is a limit: what is cut off could not be read by a program.
    width = None if sys.stdout.isatty() else 240
    if shown:
        Console(file=sys.stdout, width=width, markup=False, highlight=False).print(table)
    rest = len(report.filters) - len(shown)
    if rest:
        typer.echo(f"and {rest} more filters: see filters.tsv")
