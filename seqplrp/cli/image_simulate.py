"""``seqplrp image simulate``: small images of shapes, with the truth about every pixel."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from seqplrp.cli.options import OverwriteDirectory

_OPTIONS = ("contrast", "distractor_radius", "distractors", "hidden", "radius", "seed", "size")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("simulate")(simulate)


def simulate(
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    n: Annotated[int, typer.Option("-n", min=1, help="Number of images; one in five is for testing.")] = 10_000,
    size: Annotated[int, typer.Option(help="Pixels of a side; slim networks take multiples of 32.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    distractors: Annotated[
        tuple[int, int], typer.Option(metavar="LEAST MOST", help="How many distractors there are in an image.")
    ] = (1, 3),
    radius: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LEAST MOST",
            help="Size of the class's shape: the radius of a circle of its area, as a share of the side.",
        ),
    ] = None,
    distractor_radius: Annotated[
        tuple[float, float] | None, typer.Option(metavar="LEAST MOST", help="The same of the distractors.")
    ] = None,
    hidden: Annotated[float | None, typer.Option(help="The largest share of an object that others may hide.")] = None,
    contrast: Annotated[
        float | None,
        typer.Option(help="The least distance of an object's mean colour from the background's, in RGB of 0 to 1."),
    ] = None,
    image_format: Annotated[str, typer.Option("--format", help="Of the images: png or jpg.")] = "png",
    overwrite: OverwriteDirectory = False,
) -> None:
    """Make images of shapes: a textured background, distractors, and the shape whose name is the image's class.

    Writes images/ and ground_truth_mask/ (ECSSD's layout), distractor_mask/, labels.tsv (id, class, split),
    objects.tsv (every object with its place, size, rotation and hidden share), settings.json and SHA256SUMS. Only the
    outline tells the class: sizes, places, colours and textures are drawn alike for all.
    """
    from seqplrp.cli.console import progress
    from seqplrp.errors import as_options
    from seqplrp.images.shapes import ImageFormat, ShapesSettings, write_shapes
    from seqplrp.storage import output_directory

    began = time.perf_counter()
    asked = {"radius": radius, "distractor_radius": distractor_radius, "hidden": hidden, "contrast": contrast}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    settings = ShapesSettings(n=n, size=size, seed=seed, distractors=distractors, **given)
    with as_options(*_OPTIONS, n="-n", image_format="--format"):
        settings.validate()
        with (
            output_directory(out, command="image simulate", overwrite=overwrite) as stage,
            progress("drawing", n, "images") as advance,
        ):
            write_shapes(stage, settings, image_format=cast(ImageFormat, image_format), progress=advance)
    typer.echo(f"drew {n} images of {size} x {size} pixels: {', '.join(settings.classes)}")
    typer.echo(f"wrote {out} ({time.perf_counter() - began:.1f} s)")
