"""``seqplrp export``: further files of a run that has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqplrp.cli import options


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("export")(export)


def export(
    directory: Annotated[Path, typer.Argument(help="The directory that `seqplrp explain` wrote.")],
    *,
    to: Annotated[str, typer.Option(help=options.FORMATS)],
    overlaps: options.Overlaps = "average",
    pruned: Annotated[
        bool, typer.Option("--pruned", help="Give TF-MoDISco pruned contributions where the run kept no others.")
    ] = False,
) -> None:
    """Write what `seqplrp explain` found in further formats, into its directory.

    Nothing is explained again: the files are made of the chunks in DIRECTORY/parts. A file that is there already is
    replaced.
    """
    from seqplrp.cli.console import progress
    from seqplrp.errors import SeqplrpError
    from seqplrp.genomics.tracks import OVERLAPS
    from seqplrp.pipeline import export as export_run
    from seqplrp.pipeline import parse_formats

    chosen = parse_formats(to, "--to")
    found = [kind for kind in OVERLAPS if kind == overlaps]
    if not found:
        raise SeqplrpError("--overlaps", f"{overlaps!r} is not known", f"choose {' or '.join(OVERLAPS)}")
    done = export_run(directory, chosen, found[0], pruned, progress)
    for name in done.files:
        typer.echo(f"wrote {directory / name}")
    for command in done.commands:
        typer.echo(f"next: {command}")
