"""``seqplrp image train``: a slim VGG or ResNet on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from seqplrp.cli.options import Device, OverwriteDirectory

if TYPE_CHECKING:
    from seqplrp.images import LabelledImages, TrainedImageNetwork

_OPTIONS = (
    "augment",
    "batch_size",
    "device",
    "epochs",
    "learning_rate",
    "seed",
    "shift",
    "validation_fraction",
    "warmup",
    "weight_decay",
)
"""Arguments of the library that options of the same names set."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("train")(train)


def train(
    data: Annotated[
        Path,
        typer.Option(
            help="A directory in ECSSD's layout with labels.tsv (id, class, split), as `seqplrp image simulate` writes "
            "it."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    arch: Annotated[str, typer.Option(help="vgg16-slim, vgg16_bn-slim or resnet50-slim.")] = "vgg16-slim",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training images; the network's own number if not given.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=2, help="Images per step.")] = 64,
    learning_rate: Annotated[
        float | None, typer.Option(help="The schedule's peak; the network's own if not given.")
    ] = None,
    weight_decay: Annotated[float, typer.Option(help="AdamW's weight decay.")] = 0.05,
    augment: Annotated[
        str, typer.Option(help="turns (the eight ways to lay a square), flips (left to right) or none.")
    ] = "turns",
    shift: Annotated[float, typer.Option(help="By how much images are moved at most, as a share of their side.")] = 1
    / 16,
    validation_fraction: Annotated[
        float, typer.Option(help="Share of the training images by which the best epoch is chosen.")
    ] = 0.1,
    half: Annotated[
        bool, typer.Option("--half", help="Store the weights in 16 bits; they are measured so, too.")
    ] = False,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of weights, batches, augmentation and dropout.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that was stopped in --out.")] = False,
    overwrite: OverwriteDirectory = False,
) -> None:
    """Train a slim network, torchvision's VGG-16 or ResNet-50 with fewer channels, and measure it on the test images.

    Writes model.safetensors (for --network of the other commands), config.json (with all metrics), history.tsv,
    test_predictions.tsv, confusion.tsv and learning_curve.svg and .png. Each finished epoch is kept in OUT/parts: a run
    that was stopped goes on with --resume and gives the same files.
    """
    from seqplrp.cli.console import progress, warn
    from seqplrp.errors import as_options
    from seqplrp.images import (
        Augmentation,
        ImageTrainOptions,
        check_slim,
        load_labelled_images,
        train_in_directory,
    )
    from seqplrp.storage import RunDirectory

    settings = ImageTrainOptions(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        augment=cast(Augmentation, augment),  # checked next
        shift=shift,
        half=half,
        seed=seed,
        device=device,
    )
    place = RunDirectory(out, "image train", resume=resume, overwrite=overwrite, inputs=(data,))
    place.check()
    done: list[int] = []
    with as_options(*_OPTIONS, architecture="--arch"):
        settings.validate()
        check_slim(arch)
        with progress("reading", None, "images") as advance:
            images = load_labelled_images(data, validation_fraction=validation_fraction, seed=seed, progress=advance)
        try:
            result = train_in_directory(
                place,
                images,
                arch,
                training=settings,
                progress=None,
                on_epoch=lambda row: done.append(int(row["epoch"])),
            )
        except BaseException:
            if done:
                typer.echo(f"note: {done[-1]} finished epochs are kept in {out}: --resume goes on with them", err=True)
            raise
    for remark in images.remarks:
        typer.echo(f"note: {remark}")
    for advice in result.advice:
        warn(advice.where, advice.what, advice.remedy)
    typer.echo(_summary(result, images, out))


def _summary(result: TrainedImageNetwork, data: LabelledImages, out: Path) -> str:
    training, test = result.description["training"], result.description["metrics"]["test"]
    splits = ", ".join(f"{count['n']} {name}" for name, count in data.counts().items())
    width = max(9, *(len(name) for name in test["classes"]))
    lines = [
        f"trained {result.network.name} on images of {data.size} x {data.size} pixels ({splits}) in "
        f"{training['seconds']:.0f} s; kept epoch {training['best_epoch']} of {training['epochs_run']}",
        f"{'test set':{width}}  accuracy  AUROC  images",
    ]
    for name, row in test["classes"].items():
        lines.append(f"{name:{width}}  {row['accuracy']:8.3f}  {row['auroc']:.3f}  {row['positives']:6d}")
    macro = test["macro"]
    lines.append(f"{'all':{width}}  {macro['accuracy']:8.3f}  {macro['auroc']:.3f}  {test['n']:6d}")
    lines.append(f"wrote {out}: model.safetensors, config.json, history.tsv, test_predictions.tsv, confusion.tsv")
    return "\n".join(lines)
