"""``seqplrp logo``: explained sequences as sequence logos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqplrp.cli.options import ExplainedClass, OverwriteFile


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("logo")(logo)


def logo(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that `seqplrp explain` wrote.")],
    record: Annotated[list[str], typer.Option(help="The sequence to draw, by its id (repeat it for more).")],
    out: Annotated[Path, typer.Option(help="The picture; .svg, .png or .pdf by its ending.")],
    region: Annotated[
        str | None, typer.Option(help="Draw only start-end, 0-based and half-open, such as 50-120.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Mark the motifs of this BED file (BED6, motif and class).")
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option(help="Stack the same sequences of another such directory (repeated).")
    ] = None,
    class_: ExplainedClass = None,
    hypothetical: Annotated[
        bool, typer.Option("--hypothetical", help="Draw what each of the four bases would contribute.")
    ] = False,
    shared_scale: Annotated[bool, typer.Option("--shared-scale", help="One y axis for all methods.")] = False,
    columns: Annotated[int, typer.Option(min=1, help="Sequences side by side.")] = 1,
    overwrite: OverwriteFile = False,
) -> None:
    """Draw explained sequences as logos, methods stacked, known motifs marked under them."""
    from seqplrp.errors import as_options
    from seqplrp.genomics import read_truth_bed
    from seqplrp.plot import check_suffix, comparison_panel, save_figure
    from seqplrp.recovery import parse_region, read_explanations, sequence_panel
    from seqplrp.storage import output_file

    check_suffix(out)
    with output_file(out, overwrite=overwrite, inputs=[truth]) as stage:
        with as_options("record", "region", "hypothetical"):
            place = None if region is None else parse_region(region)
            runs = [read_explanations(path) for path in (directory, *(also or ()))]
            known = None if truth is None else read_truth_bed(truth)
            panels = [
                sequence_panel(runs, name, region=place, truth=known, explained_class=class_, hypothetical=hypothetical)
                for name in record
            ]
        save_figure(comparison_panel(panels, columns=columns, shared_scale=shared_scale), stage)
    typer.echo(f"wrote {out}")
