"""``seqplrp variants``: what the variants of a VCF file change, in scores and in relevance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqplrp.cli import options
from seqplrp.cli.option_groups import MapOptions, ModelOptions, RunOptions, spread


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("variants")(variants)


@spread
def variants(
    *,
    vcf: Annotated[Path, typer.Option(help="The variants: VCF, plain or gzipped.")],
    genome: Annotated[Path, typer.Option(help="FASTA of the genome that they were called on, plain or bgzipped.")],
    model: Annotated[
        list[str],
        typer.Option(
            help="A directory that `seqplrp train` wrote, a .pt2 file of torch.export.save, or module:callable for any "
            "torch model. Repeat it for an ensemble: the mean is explained."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    method: Annotated[str, typer.Option(help="As `seqplrp explain` has them.")] = "plrp",
    width: Annotated[
        int | None,
        typer.Option(min=1, help="Bases of each window; what the model takes unless given, where that is known."),
    ] = None,
    mismatch: Annotated[
        str, typer.Option(help="Variants whose REF is not what the genome has: error, or skip.")
    ] = "error",
    edge: Annotated[str, typer.Option(help="Windows that run off their contig: pad (with N), skip or error.")] = "pad",
    unknown_contig: Annotated[
        str, typer.Option(help="Variants on contigs that the genome does not have: error, or skip.")
    ] = "error",
    logos: Annotated[int, typer.Option(min=0, help="Draw so many of the largest changes.")] = 0,
    subject: ModelOptions,
    weights: options.WeightFiles = None,
    settings: MapOptions,
    running: RunOptions,
    check: options.Check = False,
    seed: Annotated[int, typer.Option(help="For methods that draw at random.")] = 0,
    overwrite: options.OverwriteDirectory = False,
) -> None:
    """Say what variants change: the score of either allele, and which bases make it.

    Both alleles stand in windows that begin at the same base, with the variant in the middle. Writes variants.tsv (a
    row for each alternative allele and target: scores of the reference and of the alternative, their change, and how
    the relevance changes, most and in sum), variants.npz (sequences, relevance and hypothetical contributions of both
    alleles, and which of their letters belong together), remarks.tsv where alleles were left out or windows padded,
    and manifest.json; with --logos pictures of both alleles, one over the other. Change is alternative less reference.

    --target can be repeated. A file of --arg has one row for all, or two for each variant that is used: the
    reference's, then the alternative's.
    """
    arguments = dict(locals())
    from seqplrp.cli.console import progress
    from seqplrp.cli.method_options import described
    from seqplrp.cli.request import request_of
    from seqplrp.cli.sources import chosen
    from seqplrp.pipeline import VariantSource, run_variants

    chosen_method, given = settings.method(method, seed=seed)
    source = VariantSource(
        vcf,
        genome,
        width,
        mismatch=chosen("mismatch", mismatch),
        edge=chosen("edge", edge),
        unknown=chosen("unknown_contig", unknown_contig),
        iupac=chosen("iupac", running.iupac),
    )
    request = request_of(
        subject,
        running,
        models=model,
        weights=weights or (),
        source=source,
        method=chosen_method,
        arguments=arguments,
        check=check,
        seed=seed,
        several_targets=True,
    )
    result = run_variants(request, out, overwrite=overwrite, logos=logos, progress=progress)
    each = 1000 * result.explain_seconds / result.variants
    typer.echo(f"explained {result.variants} variants by {described(method, given)} ({each:.2f} ms each)")
    if result.negative_scores:
        typer.echo(
            f"note: {result.negative_scores} of the {result.scores} explained scores are negative, and their maps "
            "share out a negative number: see the columns 'score_...' of variants.tsv"
        )
    for note in result.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"wrote {out} ({result.wall_seconds:.1f} s)")
