"""``seqplrp audit``: what do the model and the explanation add to maps by themselves?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqplrp.cli import options
from seqplrp.cli.option_groups import MapOptions, ModelOptions, RunOptions, spread

if TYPE_CHECKING:
    from seqplrp.cli.auditing import Found


_MARKS = {"finding": "- ", "unsettled": "? ", "note": "(note) "}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("audit")(audit)


@spread
def audit(
    *,
    model: Annotated[
        list[str],
        typer.Option(
            help="A directory that `seqplrp train` wrote, a .pt2 file of torch.export.save, or module:callable for any "
            "torch model. Repeat it for an ensemble: the mean is explained."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    method: Annotated[
        str, typer.Option(help="As `seqplrp explain` takes it: plrp, lrp, gradient-x-input ...")
    ] = "plrp",
    subject: ModelOptions,
    weights: options.WeightFiles = None,
    fasta: Annotated[
        Path | None,
        typer.Option(help="Real sequences, to be shuffled and to be explained; random DNA stands in for them."),
    ] = None,
    motif: Annotated[
        list[str] | None,
        typer.Option(
            help="The motif to move: a name of the library, or a MEME or JASPAR file; of several the one that moves "
            "the score most. All of the library if not given."
        ),
    ] = None,
    distractor: Annotated[
        list[str] | None,
        typer.Option(
            help="A motif that should not matter: a name, or a file (repeat it). Those of the library that no output "
            "was seen to answer to, if not given; whether the score does is measured."
        ),
    ] = None,
    length: Annotated[
        int | None, typer.Option(min=1, help="Bases of the sequences, where neither model nor --fasta tells.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="What `seqplrp train --data` read: then the check that retrains on permuted positions runs."),
    ] = None,
    positives: Annotated[Path | None, typer.Option(help="What `seqplrp train` read, instead of --data.")] = None,
    negatives: Annotated[str | None, typer.Option(help="FASTA, or shuffle, as for `seqplrp train`.")] = None,
    arch: Annotated[
        str | None, typer.Option(help="Architecture to retrain; the model's own if `seqplrp train` made it.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of retraining; as the model was trained.")] = None,
    checks: Annotated[str | None, typer.Option(help="Which checks to make, with commas between; all.")] = None,
    sequences: Annotated[int, typer.Option(min=50, help="Shuffled sequences to explain.")] = 400,
    backgrounds: Annotated[
        int, typer.Option(min=8, help="Sequences that motifs are written into; four times as many for distractors.")
    ] = 24,
    fail_on_findings: Annotated[
        bool, typer.Option("--fail-on-findings", help="Exit with 1 if anything is found.")
    ] = False,
    settings: MapOptions,
    running: RunOptions,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    overwrite: options.OverwriteDirectory = False,
) -> None:
    """Look for artifacts: what the model and the explanation add to maps by themselves.

    Seven checks: relevance by position over shuffled sequences (padding edges, pool combs, preferred places), a motif
    moved through every offset, the other strand's map, motifs that should not matter, positions permuted and retrained
    (needs --data), and the input scaled and capped. Writes audit.md (one page: what, how large, where, what
    to do), findings.json, a picture a check and manifest.json.
    """
    arguments = dict(locals())
    from seqplrp.cli.auditing import Looks, run
    from seqplrp.cli.method_options import described
    from seqplrp.cli.request import request_of
    from seqplrp.cli.sources import fasta_source
    from seqplrp.storage import output_directory

    chosen_method, given = settings.method(method, seed=seed)
    looks = Looks(
        motifs=tuple(motif or ()),
        distractors=tuple(distractor or ()),
        length=length,
        data=data,
        positives=positives,
        negatives=negatives,
        architecture=arch,
        epochs=epochs,
        checks=checks,
        sequences=sequences,
        backgrounds=backgrounds,
        described=described(method, given),
    )
    request = request_of(
        subject,
        running,
        models=model,
        weights=weights or (),
        source=fasta_source(fasta or Path(), running.iupac),  # run() is told whether there is one
        method=chosen_method,
        arguments=arguments,
        seed=seed,
    )
    read: list[Path | str | None] = [*model, fasta, *(weights or ()), *(subject.arg or ()), data, positives]
    with output_directory(out, command="audit", overwrite=overwrite, inputs=read) as stage:
        found = run(request, looks, stage, has_fasta=fasta is not None)
    _print(found)
    typer.echo(f"wrote {out} ({found.wall_seconds:.1f} s)")
    if fail_on_findings and found.audit.findings:
        raise typer.Exit(1)


def _print(found: Found) -> None:
    """Print a line a check, and the findings under it."""
    audit = found.audit
    for note in found.notes:
        typer.echo(f"note: {note}")
    for result in audit.results:
        typer.echo(f"{result.check:12} {result.status}" if result.ran else f"{result.check:12} {result.summary}")
        for one in result.findings:
            typer.echo(f"  {_MARKS[one.level]}{one.what}")
    count = len(audit.findings)
    unsettled = f", {len(audit.unsettled)} unsettled" if audit.unsettled else ""
    typer.echo(f"{count or 'no'} finding{'' if count == 1 else 's'}{unsettled}; {audit.explained} sequences explained")
