"""``seqplrp variants``: what the variants of a VCF file change, in scores and in relevance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqplrp.cli import options
from seqplrp.cli.option_groups import ExecutorOptions, MapOptions, ModelOptions, RunOptions, spread

_CHUNK = 512


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("variants")(variants)


@spread
def variants(
    *,
    vcf: Annotated[Path, typer.Option(help="The variants: VCF, plain or gzipped.")],
    genome: Annotated[Path, typer.Option(help="FASTA of the genome that they were called on, plain or bgzipped.")],
    model: options.Models,
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    method: Annotated[str, typer.Option(help="As `seqplrp explain` has them.")] = "plrp",
    width: Annotated[
        int | None,
        typer.Option(min=1, help="Bases of each window; what the model takes unless given, where that is known."),
    ] = None,
    mismatch: Annotated[
        str, typer.Option(help="Variants whose REF is not what the genome has: error, or skip.")
    ] = "error",
    apply_filters: Annotated[
        str | None,
        typer.Option(
            "--apply-filters",
            "-f",
            help="Use only variants with one of these in FILTER, with commas between, as bcftools does: PASS,. for "
            "those that passed. Unless given all are used, and those that did not pass are listed.",
        ),
    ] = None,
    edge: Annotated[str, typer.Option(help="Windows that run off their contig: pad (with N), skip or error.")] = "pad",
    unknown_contig: Annotated[
        str, typer.Option(help="Variants on contigs that the genome does not have: error, or skip.")
    ] = "error",
    logos: Annotated[int, typer.Option(min=0, help="Draw so many of the largest changes.")] = 0,
    chunk_size: Annotated[
        int,
        typer.Option(help="Variants finished together, at most: what is lost when a run is killed.", min=1),
    ] = _CHUNK,
    resume: options.Resume = False,
    subject: ModelOptions,
    weights: options.WeightFiles = None,
    settings: MapOptions,
    running: RunOptions,
    executing: ExecutorOptions,
    check: options.Check = False,
    seed: options.Seed = 0,
    overwrite: options.OverwriteDirectory = False,
) -> None:
    """Say what variants change: the score of either allele, and which bases make it.

    Both alleles stand in windows that begin at the same base, with the variant in the middle. Writes variants.tsv (a
    row for each alternative allele and target: scores of the reference and of the alternative, their change, and how
    the relevance changes, most and in sum), variants.npz (sequences, relevance and hypothetical contributions of both
    alleles, and which of their letters belong together), remarks.tsv where alleles were left out or windows padded,
    and manifest.json; with --logos pictures of both alleles, one over the other. Change is alternative less reference.
    Of several models the mean is written, with the spread of each map, score and change.

    Each chunk of variants is kept in OUT/parts as soon as it is done. A run that was stopped or killed goes on with
    --resume and gives the same files.

    --target can be repeated. A file of --arg has one row for all, or two for each variant that is used: the
    reference's, then the alternative's.
    """
    arguments = dict(locals())
    from seqplrp.cli.method_options import described
    from seqplrp.cli.request import request_of
    from seqplrp.cli.sources import chosen
    from seqplrp.cli.told import tell, telling_what_is_kept
    from seqplrp.pipeline import VariantSource, run_variants
    from seqplrp.storage import RunDirectory

    chosen_method, given = settings.method(method, seed=seed)
    source = VariantSource(
        vcf,
        genome,
        width,
        mismatch=chosen("mismatch", mismatch),
        edge=chosen("edge", edge),
        unknown=chosen("unknown_contig", unknown_contig),
        iupac=chosen("iupac", running.iupac),
        filters=_filters(apply_filters),
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
        chunk_size=chunk_size,
        several_targets=True,
    )
    place = RunDirectory(out, "variants", resume=resume, overwrite=overwrite, inputs=request.read)
    with telling_what_is_kept(place) as progress:
        result = run_variants(request, place, logos=logos, progress=progress, how=executing.executing())
    how, scores = described(method, given), "the columns 'score_...' of variants.tsv"
    tell(result, place, number=result.variants, of="variants", how=how, scores=scores)


def _filters(text: str | None) -> tuple[str, ...] | None:
    """Return the names in a list with commas between."""
    from seqplrp.errors import SeqplrpError

    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if not all(names):
        raise SeqplrpError("--apply-filters", f"{text!r} holds an empty name", "give names as PASS,. or PASS,q10")
    return names
