"""``seqplrp explain``: which bases made a model decide, as tracks, arrays and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqplrp.cli import options
from seqplrp.cli.option_groups import ExecutorOptions, MapOptions, ModelOptions, RunOptions, SequenceOptions, spread

_FORMATS = "bigwig,bedgraph,npz,h5,tsv"
_CHUNK = 1024


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("explain")(explain)


@spread
def explain(
    *,
    model: options.Models,
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    method: Annotated[
        str,
        typer.Option(
            help="plrp, lrp, r-lrp, neuron-mct, neuron-intgrad, gradient-x-input, gradient-correction, saliency, "
            "smoothgrad, background, random; and, with the extra peers, deeplift-shap, ism, integrated-gradients."
        ),
    ] = "plrp",
    sequences: SequenceOptions,
    subject: ModelOptions,
    weights: options.WeightFiles = None,
    formats: Annotated[str | None, typer.Option(help=options.FORMATS, show_default=_FORMATS)] = None,
    overlaps: options.Overlaps = "average",
    chunk_size: Annotated[
        int,
        typer.Option(help="Sequences finished together: what is lost at most when a run is killed.", min=1),
    ] = _CHUNK,
    resume: options.Resume = False,
    settings: MapOptions,
    running: RunOptions,
    executing: ExecutorOptions,
    check: options.Check = False,
    seed: options.Seed = 0,
    overwrite: options.OverwriteDirectory = False,
) -> None:
    """Say which bases made a model decide, as genome tracks, arrays and tables.

    The sequences are the records of a FASTA file, windows of long records, or regions of a genome.

    Writes relevance.bw, relevance.bedgraph, relevance.npz, relevance.h5 (ChromBPNet's layout), summary.tsv and
    ledger.tsv, as --formats asks, and always regions.bed, chrom.sizes and manifest.json. Unless --formats asks for it,
    relevance.h5 is left out where records differ in length or the method has no hypothetical contributions. Records of
    the minus strand stand in the plus strand's order in the tracks. Of several models the mean is written, and its
    spread as relevance_spread.bw and in relevance.npz.

    Each chunk of sequences is kept in OUT/parts as soon as it is done. A run that was stopped or killed goes on with
    --resume and gives the same files; `seqplrp export` makes further formats of the parts.
    """
    arguments = {**locals(), "formats": formats or _FORMATS}
    from seqplrp.cli.method_options import described
    from seqplrp.cli.request import request_of
    from seqplrp.cli.sources import source_of
    from seqplrp.cli.told import tell, telling_what_is_kept
    from seqplrp.pipeline import parse_formats, run
    from seqplrp.storage import RunDirectory

    chosen = parse_formats(_FORMATS if formats is None else formats)
    chosen_method, given = settings.method(method, seed=seed)
    request = request_of(
        subject,
        running,
        models=model,
        weights=weights or (),
        source=source_of(sequences, running.iupac),
        method=chosen_method,
        arguments=arguments,
        formats=chosen,
        formats_given=formats is not None,
        check=check,
        seed=seed,
        chunk_size=chunk_size,
        overlaps=overlaps,
        several_targets=True,
    )
    place = RunDirectory(out, "explain", resume=resume, overwrite=overwrite, inputs=request.read)
    with telling_what_is_kept(place) as progress:
        result = run(request, place, progress, executing.executing())
    how, scores = described(method, given), "the column 'output' of summary.tsv"
    tell(result, place, number=result.sequences, of="sequences", how=how, scores=scores)
