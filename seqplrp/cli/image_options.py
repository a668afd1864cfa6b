"""Options of the image commands that go together: the network, and the images with their masks and classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqplrp.cli import options

if TYPE_CHECKING:
    from seqplrp.images import ImageCollection, ImageNetwork

LAYOUTS = ("auto", "plain", "masks", "classes", "ecssd", "imagenet-s")
_NETWORK, _IMAGES = "The network", "The images"


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Which network is explained, with which weights."""

    network: Annotated[
        str,
        typer.Option(
            help="vgg16, vgg16_bn, vgg19, vgg19_bn, resnet18, resnet50, vgg16-slim, resnet50-slim; the directory of "
            "`seqplrp image train`, or the file of weights in it; or module:callable for any torch network from images "
            "(N, 3, H, W) to scores (N, classes).",
            rich_help_panel=_NETWORK,
        ),
    ]
    weights: Annotated[
        str | None,
        typer.Option(
            help="DEFAULT or another name of torchvision's weights, which are downloaded once; a file (safetensors or "
            "a torch state dict); or random.",
            rich_help_panel=_NETWORK,
        ),
    ] = None
    classes: Annotated[
        Path | None,
        typer.Option(
            help="Names of the network's outputs: JSON, or text with one a line, such as LOC_synset_mapping.txt.",
            rich_help_panel=_NETWORK,
        ),
    ] = None
    size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Cut images to squares of so many pixels, after the shorter side was brought to 8/7 of it; the "
            "weights' own size if not given.",
            rich_help_panel=_NETWORK,
        ),
    ] = None
    mean: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="R G B",
            help="What is subtracted from red, green and blue (0 to 1), where the weights don't say, or say otherwise; "
            "ImageNet's if nobody says.",
            rich_help_panel=_NETWORK,
        ),
    ] = None
    std: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="R G B", help="What they are then divided by.", rich_help_panel=_NETWORK),
    ] = None
    trust_pickle: options.TrustPickle = False

    @property
    def files(self) -> list[str | Path]:
        """What is read."""
        return [one for one in (self.network, self.weights, self.classes) if one is not None and Path(one).exists()]

    def load(self, *, seed: int = 0) -> ImageNetwork:
        """Load the network, with the names of its outputs, and with what it expects of images changed as was asked."""
        from dataclasses import replace

        from seqplrp.errors import as_options
        from seqplrp.images import load_network, read_classes

        size = {} if self.size is None else {"resize": round(self.size * 8 / 7), "crop": self.size}
        changed = size | {key: one for key, one in (("mean", self.mean), ("std", self.std)) if one is not None}
        with as_options("network", "weights", "mean", "std", resize="--size", crop="--size"):
            found = load_network(
                self.network, weights=self.weights, changed=changed, seed=seed, trust_pickle=self.trust_pickle
            )
        if self.classes is None:
            return found
        names = {number: name for name, number in reversed(read_classes(self.classes).items())}
        return replace(found, classes=tuple(names.get(number, "") for number in range(max(names) + 1)))


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """Which images, and where their masks and classes are."""

    images: Annotated[
        Path, typer.Option(help="An image, or a folder of images or of a data set.", rich_help_panel=_IMAGES)
    ]
    layout: Annotated[
        str,
        typer.Option(
            help="plain: images alone; masks: with --masks; classes: a folder for each class; ecssd: images/ and "
            "ground_truth_mask/ (labels.tsv); imagenet-s: SPLIT/ and SPLIT-segmentation/; auto: by what is there.",
            rich_help_panel=_IMAGES,
        ),
    ] = "auto"
    masks: Annotated[
        Path | None,
        typer.Option(
            help="A folder of masks with the images' names; or the mask of one image.", rich_help_panel=_IMAGES
        ),
    ] = None
    labels: Annotated[
        Path | None,
        typer.Option(help="With --masks: a table with the columns id and class (and split).", rich_help_panel=_IMAGES),
    ] = None
    categories: Annotated[
        Path | None,
        typer.Option(
            help="With ImageNet-S, of which only some classes are there: its list of all, such as "
            "ImageNetS_categories_im50.txt.",
            rich_help_panel=_IMAGES,
        ),
    ] = None
    split: Annotated[str | None, typer.Option(help="Only images of this split.", rich_help_panel=_IMAGES)] = None
    limit: Annotated[
        int | None, typer.Option(min=1, help="Take so many images at most, the first ones.", rich_help_panel=_IMAGES)
    ] = None

    def collection(self, network: ImageNetwork, classes: Path | None, out: Path) -> ImageCollection:
        """Find the images, in folders in which `out` is not: what is written would be explained the next time."""
        from seqplrp.errors import SeqplrpError
        from seqplrp.images import (
            Unknown,
            read_class_folders,
            read_ecssd,
            read_imagenet_s,
            read_images,
            read_images_and_masks,
        )

        if self.layout not in LAYOUTS:
            raise SeqplrpError("--layout", f"{self.layout!r} is not known", f"choose {', '.join(LAYOUTS)}")
        chosen = self._found() if self.layout == "auto" else self.layout
        if (self.masks is None) == (chosen == "masks"):
            need = "needs --masks" if self.masks is None else "takes no --masks"
            raise SeqplrpError(f"--layout {chosen}", need, "give --masks with --layout masks")
        if self.labels is not None and chosen != "masks":
            raise SeqplrpError("--labels", f"has no use with --layout {chosen}", "leave it out")
        if self.categories is not None and chosen != "imagenet-s":
            raise SeqplrpError("--categories", f"has no use with --layout {chosen}", "leave it out")
        if self.split is not None and chosen in ("plain", "classes"):
            raise SeqplrpError("--split", f"has no use with --layout {chosen}", "leave it out")
        for searched in (self._searched(chosen), self.masks):
            if searched is not None and out.resolve().is_relative_to(searched.resolve()):
                raise SeqplrpError(
                    out, f"is in {searched}, in all of which images are looked for", "choose another --out"
                )
        known = classes if classes is not None else network.class_numbers
        unknown: Unknown = "error" if classes is not None else "unlabelled"
        if chosen == "classes":
            found = read_class_folders(self.images, classes=known, unknown=unknown)
        elif chosen == "masks":
            assert self.masks is not None
            found = read_images_and_masks(self.images, self.masks, labels=self.labels, classes=known, split=self.split)
        elif chosen == "ecssd":
            found = read_ecssd(self.images, classes=known, split=self.split)
        elif chosen == "imagenet-s":
            found = read_imagenet_s(
                self.images,
                split=self.split or "validation",
                classes=known,
                categories=self.categories,
                unknown=unknown,
            )
        else:
            found = read_images(self.images)
        return found if self.limit is None else found[: self.limit]

    def _searched(self, layout: str) -> Path:
        """Return the folder in all of which images are looked for."""
        return self.images / {"ecssd": "images", "imagenet-s": self.split or "validation"}.get(layout, "")

    def _found(self) -> str:
        """Tell the layout by the folders that are there."""
        if self.masks is not None:
            return "masks"
        if (self.images / "ground_truth_mask").is_dir():
            return "ecssd"
        if any(self.images.glob("*-segmentation")):
            return "imagenet-s"
        return "plain"
