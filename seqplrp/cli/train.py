"""``seqplrp train``: a classifier of DNA from labelled sequences, or from peaks and their shuffles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from seqplrp.cli.options import Device, Iupac, OverwriteDirectory

if TYPE_CHECKING:
    from seqplrp.models import Kind, SequenceData, TrainedModel


_OPTIONS = (
    "batch_size",
    "class_weights",
    "device",
    "epochs",
    "iupac",
    "kind",
    "learning_rate",
    "patience",
    "seed",
    "test_fraction",
    "validation_fraction",
    "weight_decay",
)
"""Arguments of the library that options of the same names set."""

_RENAMED = {"architecture": "--arch", "model options": "--option"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("train")(train)


def train(
    out: Annotated[Path, typer.Option(help="The model directory to write.")],
    data: Annotated[
        Path | None,
        typer.Option(help="A directory with sequences.fa and labels.tsv, as `seqplrp simulate` writes it."),
    ] = None,
    positives: Annotated[Path | None, typer.Option(help="FASTA of positives, instead of --data.")] = None,
    negatives: Annotated[
        str | None,
        typer.Option(help="FASTA of negatives; or shuffle: one exact dinucleotide shuffle of every positive."),
    ] = None,
    test_positives: Annotated[
        Path | None, typer.Option(help="FASTA of the positives to test on; a share is held out if not given.")
    ] = None,
    test_negatives: Annotated[Path | None, typer.Option(help="FASTA of the negatives to test on.")] = None,
    arch: Annotated[
        str,
        typer.Option(help="basset-small, deepbind, basset, deepsea, resnet1d or dilated-residual (bpnet-lite)."),
    ] = "basset-small",
    option: Annotated[
        list[str] | None,
        typer.Option(help="A setting of the architecture, as filters=32,64,64 (repeat the option)."),
    ] = None,
    kind: Annotated[str, typer.Option(help="Of --data: auto, binary, multilabel or multiclass.")] = "auto",
    length: Annotated[
        int | None, typer.Option(min=1, help="Crop sequences about their centres, or pad them with N, to this.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training sequences, at most.")] = 15,
    patience: Annotated[
        int, typer.Option(min=1, help="Stop after so many epochs without a better validation AUPRC.")
    ] = 5,
    batch_size: Annotated[
        int | None, typer.Option(min=2, help="Sequences per step; 128, or less for few, if not given.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The schedule's peak; the architecture's own if not given.")
    ] = None,
    weight_decay: Annotated[float, typer.Option(help="AdamW's weight decay.")] = 0.5,
    class_weights: Annotated[str, typer.Option(help="balanced or none.")] = "balanced",
    reverse_complement: Annotated[
        bool,
        typer.Option(
            "--reverse-complement/--no-reverse-complement",
            help="Train on both strands; not for classes that differ by strand.",
        ),
    ] = True,
    validation_fraction: Annotated[float, typer.Option(help="Share held out to stop early.")] = 0.1,
    test_fraction: Annotated[float, typer.Option(help="Share held out to test on, without test files.")] = 0.1,
    iupac: Iupac = "reject",
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of splits, shuffles, weights, batches and dropout.")] = 0,
    overwrite: OverwriteDirectory = False,
) -> None:
    """Train a classifier of DNA and measure it on held-out sequences.

    Give --data, or --positives with --negatives. Writes model.safetensors, config.json (with all metrics),
    history.tsv, test_predictions.tsv and learning_curve.svg and .png. A run that learned little is said in a
    warning, with what to try.
    """
    from seqplrp.cli.console import warn
    from seqplrp.cli.named_values import named_values
    from seqplrp.errors import as_options
    from seqplrp.models import TrainOptions, check_architecture, train_model
    from seqplrp.storage import output_directory

    options = named_values(option or [], "filters=32")
    settings = TrainOptions(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        patience=patience,
        class_weights=cast(Literal["balanced", "none"], class_weights),  # checked next
        reverse_complement=reverse_complement,
        seed=seed,
        device=device,
    )
    with as_options(*_OPTIONS, **_RENAMED):
        settings.validate()
        check_architecture(arch, options)
    files = {
        "positives": positives,
        "negatives": negatives,
        "test_positives": test_positives,
        "test_negatives": test_negatives,
    }
    reading = {
        "length": length,
        "iupac": iupac,
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "seed": seed,
    }
    _check_source(data, files, kind)
    read = [data, *files.values()]
    with output_directory(out, command="train", overwrite=overwrite, inputs=read) as stage:
        with as_options(*_OPTIONS, **_RENAMED):
            sequences = _read(data, files, kind, reading)
            result = train_model(sequences, arch, options=options, training=settings, progress=None)
        _write(result, stage)
    for advice in result.advice:
        warn(advice.where, advice.what, advice.remedy)
    typer.echo(_summary(result, sequences, out))


def _check_source(data: Path | None, files: dict[str, Any], kind: str) -> None:
    from seqplrp.errors import SeqplrpError, option_of

    given = [option_of(name) for name, value in files.items() if value is not None]
    if data is not None and given:
        raise SeqplrpError("--data", f"given together with {given[0]}", "give --data, or --positives and --negatives")
    if data is None and not {"--positives", "--negatives"} <= set(given):
        what = f"{given[0]} alone is not enough" if given else "there is nothing to train on"
        raise SeqplrpError("seqplrp train", what, "give --data, or --positives and --negatives")
    if data is None and kind not in ("auto", "binary"):
        raise SeqplrpError("--kind", f"{kind} for positives and negatives, which are binary", "leave it out")


def _read(data: Path | None, files: dict[str, Any], kind: str, reading: dict[str, Any]) -> SequenceData:
    from seqplrp.models import ReadOptions, read_labelled_directory, read_positives_negatives

    options = ReadOptions(**reading)
    if data is not None:  # the kind is checked there
        return read_labelled_directory(data, kind=cast("Kind | Literal['auto']", kind), options=options)
    return read_positives_negatives(options=options, **files)


def _write(result: TrainedModel, directory: Path) -> None:
    from seqplrp.models import save_training
    from seqplrp.plot import learning_curve, save_figure

    save_training(result, directory)
    figure = learning_curve(
        result.history,
        best_epoch=result.best_epoch,
        title=f"{result.config.architecture}, seed {result.config.seed}",
    )
    for suffix in ("svg", "png"):
        save_figure(figure, directory / f"learning_curve.{suffix}")


def _summary(result: TrainedModel, data: SequenceData, out: Path) -> str:
    training, test = result.config.training, result.config.metrics["test"]
    splits = ", ".join(f"{count['n']} {name}" for name, count in data.counts().items())
    width = max(9, *(len(name) for name in test["classes"]))
    lines = [
        f"trained {result.config.architecture} on {data.length} bp ({splits}) in {training['seconds']:.1f} s; "
        f"kept epoch {training['best_epoch']} of {training['epochs_run']}",
        f"{'test set':{width}}  AUROC  AUPRC  accuracy  positives",
    ]
    for name, row in test["classes"].items():
        measures = f"{row['auroc']:.3f}  {row['auprc']:.3f}  {row['accuracy']:8.3f}"
        lines.append(f"{name:{width}}  {measures}  {row['positives']} of {test['n']}")
    if len(test["classes"]) > 1:
        macro = test["macro"]
        lines.append(f"{'mean':{width}}  {macro['auroc']:.3f}  {macro['auprc']:.3f}  {macro['accuracy']:8.3f}")
    lines.append(f"wrote {out}: model.safetensors, config.json, history.tsv, test_predictions.tsv, learning_curve.svg")
    return "\n".join(lines)
