"""``seqplrp image explain``: heat maps of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from seqplrp.cli import options
from seqplrp.cli.image_options import ImageOptions, NetworkOptions
from seqplrp.cli.option_groups import MethodOptions, spread

if TYPE_CHECKING:
    from seqplrp.images import ImageMaps, Preprocessing
    from seqplrp.methods import Method

OF_DNA = ("gradient-correction", "background", "deeplift-shap", "ism")
"""Methods that need one-hot DNA."""

USUAL_RULE = "epsilon-gamma-box"
"""Of LRP and PLRP on images, where no rule is given (Montavon et al. 2019)."""


def register(app: typer.Typer) -> None:
    """Add the command to the application of image commands."""
    app.command("explain")(explain)


@spread
def explain(
    *,
    network: NetworkOptions,
    images: ImageOptions,
    out: Annotated[Path, typer.Option(help="The directory to write.")],
    method: Annotated[
        str,
        typer.Option(
            help="plrp, lrp, r-lrp, neuron-mct, neuron-intgrad, gradient-x-input, saliency, smoothgrad, random; and, "
            "with the extra peers, integrated-gradients."
        ),
    ] = "plrp",
    beside: Annotated[
        list[str] | None,
        typer.Option(help="Another method, with its own settings, to stand beside it in pictures and tables (repeat)."),
    ] = None,
    target: Annotated[
        str,
        typer.Option(help="predicted, label (the image's own class), a class's name, or its number."),
    ] = "predicted",
    settings: MethodOptions,
    formats: Annotated[str, typer.Option(help="What to write, with commas between: png, svg, npz.")] = "png,npz",
    show: Annotated[
        str, typer.Option(help="What pictures show, with commas between: map (on white), overlay (over the image).")
    ] = "map,overlay",
    pictures: Annotated[int, typer.Option(min=0, help="Images that get pictures of their own, the first ones.")] = 100,
    grid: Annotated[int, typer.Option(min=0, help="Images that stand in one picture together, the first ones.")] = 8,
    shared_scale: Annotated[
        bool, typer.Option("--shared-scale", help="One colour scale for all methods of an image.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Images that are opened and explained together.")] = 16,
    device: options.Device = "auto",
    check: options.Check = False,
    seed: Annotated[int, typer.Option(min=0, help="For methods that draw at random, and for random weights.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped; images that are done stay.")
    ] = False,
    overwrite: options.OverwriteDirectory = False,
) -> None:
    """Say which pixels made a network decide, as heat maps, arrays and a table.

    Writes summary.tsv (one row an image and method; where there are masks, how well the map finds the object), for each
    image maps/, overlays/ and arrays/, and grid.png with some of them together. Red speaks for the class, blue against
    it. Each image is kept in OUT/parts as soon as it is done.
    """
    from seqplrp.cli.told import telling_what_is_kept
    from seqplrp.images import ImageRequest, MapFiles, explained_images, kept_maps
    from seqplrp.plot import Show
    from seqplrp.storage import RunDirectory

    files = MapFiles(
        formats=_listed(formats),
        shows=cast("Sequence[Show]", _listed(show)),
        pictures=pictures,
        grid=grid,
        shared_scale=shared_scale,
    )
    inputs = (images.images, images.masks, images.labels, images.categories, *network.files)
    place = RunDirectory(out, "image explain", resume=resume, overwrite=overwrite, inputs=inputs)
    place.check()
    loaded = network.load(seed=seed)
    methods = _methods(method, beside or (), settings, loaded.preprocessing, seed)
    collection = images.collection(loaded, network.classes, out)
    files.check([record.name for record in collection])
    request = ImageRequest(
        network=loaded,
        images=collection,
        methods=methods,
        target=target,
        batch_size=batch_size,
        device=device,
        check=check,
    )
    with (
        telling_what_is_kept(place) as watched,
        explained_images(request, place, watched) as run,
        place.finishing() as folder,
        watched("writing", run.images) as advance,
    ):
        files.write(_told(kept_maps(request, place), advance), folder)
    each = f" ({1000 * run.seconds / run.made:.0f} ms each)" if run.made else ""
    typer.echo(f"explained {run.images} images by {', '.join(methods)}{each}")
    for note in run.notes:
        typer.echo(f"note: {note}")
    if "npz" not in _listed(formats) and run.images > pictures:
        typer.echo(f"note: pictures were made of the first {pictures} images: see --pictures")
    typer.echo(f"wrote {out}")


def _told(found: Iterable[ImageMaps], advance: Callable[[int], None]) -> Iterator[ImageMaps]:
    for maps in found:
        yield maps
        advance(1)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _methods(
    name: str, beside: Sequence[str], settings: MethodOptions, preprocessing: Preprocessing, seed: int
) -> dict[str, Method]:
    """Return the methods by the names that they have in tables."""
    from seqplrp.errors import SeqplrpError

    found = {name: image_method(name, settings, preprocessing, seed=seed)}
    for other in beside:
        if other in found:
            raise SeqplrpError("--beside", f"{other} stands there already", "name each method once")
        found[other] = image_method(other, MethodOptions(), preprocessing, seed=seed)
    return found


def image_method(name: str, settings: MethodOptions, preprocessing: Preprocessing, *, seed: int = 0) -> Method:
    """Make a method for images: as for DNA, but that composites know the bounds of this network's pixels.

    Raises
    ------
    SeqplrpError
        If the method is none for images, it has no such setting, or a value does not suit it.
    """
    from seqplrp.cli.method_options import method_of
    from seqplrp.errors import SeqplrpError
    from seqplrp.images import IMAGE_COMPOSITES, image_composite

    if name in OF_DNA:
        raise SeqplrpError("--method", f"{name} needs DNA", "choose plrp, lrp, gradient-x-input ...")
    given: dict[str, Any] = settings.settings()
    rules = given.pop("rule") or []
    usual = name in ("plrp", "lrp") and not rules
    composites = [USUAL_RULE] if usual else [text for text in rules if text.strip() in IMAGE_COMPOSITES]
    named = len(composites) == 1 and (usual or "rule" in _fields(name))
    others = [text for text in rules if text not in composites] if named else rules
    method, set_ = method_of(name, rule=others or None, seed=seed, **given)
    if not named:
        return method
    placed = image_composite(composites[0].strip(), preprocessing)
    if others:  # patterns, which go before the composite's own
        patterns = set_["rule"]
        if not isinstance(patterns, dict):
            what = f"gives {composites[0]!r} and {others[0]!r} for all layers"
            raise SeqplrpError("--rule", what, "write PATTERN=RULE, or one of the two alone")
        rest = placed if isinstance(placed, dict) else {"*": placed}
        placed = patterns | {key: rule for key, rule in rest.items() if key not in patterns}
    changed: dict[str, Any] = {"rule": placed}
    return replace(method, **changed)


def _fields(name: str) -> tuple[str, ...]:
    from seqplrp.errors import as_options
    from seqplrp.methods import options_of

    with as_options("method"):
        return options_of(name)
