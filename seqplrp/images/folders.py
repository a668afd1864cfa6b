"""The layouts in which data sets of images stand in folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from seqplrp.errors import SeqplrpError
from seqplrp.images.classes import Classes, in_order, number_of, numbers_of
from seqplrp.images.records import ImageCollection, ImageRecord
from seqplrp.models import read_table

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""How the names of images end, in letters of either case."""

LABELS_FILE = "labels.tsv"
"""Beside a data set's folders: a table with the columns id (the image's name) and class, and split if there is one."""

Unknown = Literal["error", "unlabelled"]

_SIZES_OF_IMAGENET_S = (50, 300, 919)


def read_images(path: Path | str) -> ImageCollection:
    """Find images without masks or labels.

    Parameters
    ----------
    path : path
        An image, or a folder, in which images are looked for in all folders.

    Raises
    ------
    SeqplrpError
        Where there is no such path, or no image in it.
    """
    place = Path(path)
    if place.is_file():
        return ImageCollection((ImageRecord(place.stem, place),))
    found = _images_in(place)
    return ImageCollection(tuple(ImageRecord(name, file) for name, file in found.named()), remarks=found.remarks)


def read_class_folders(
    directory: Path | str, *, classes: Classes | None = None, unknown: Unknown = "error"
) -> ImageCollection:
    """Find images in a folder for each class, as ImageNet has them: ``CLASS/NAME.jpg``.

    Parameters
    ----------
    directory : path
        The folder with the classes' folders.
    classes : mapping, sequence of str or path, optional
        The number of each class by its folder's name: see `seqplrp.images.Classes`. Unless given, classes are numbered
        in the order of their names, as torchvision's ImageFolder does; that is right only for a network that was
        trained on the same folders, and a remark says so.
    unknown : {"error", "unlabelled"}
        What is done where not one folder is among the classes; unlabelled images are told by a remark.

    Raises
    ------
    SeqplrpError
        Where there is no such folder or no image, for an image outside of the classes' folders, and for a folder that
        is no class.
    """
    place = Path(directory)
    found = _images_in(place)
    folders = {file: file.relative_to(place).parts for file in found.files}
    for file, parts in folders.items():
        if len(parts) < 2:
            raise SeqplrpError(file, "is in no class's folder", f"move it into {place}/CLASS")
    names = [parts[0] for parts in folders.values()]
    if _all_unknown(classes, names, unknown):
        records = tuple(ImageRecord(name, file) for name, file in found.named())
        return ImageCollection(records, remarks=(*found.remarks, _UNLABELLED))
    numbers, remarks = _numbers(classes, names, place)
    records = tuple(
        ImageRecord(name, file, label=number_of(folders[file][0], numbers, place / folders[file][0]))
        for name, file in found.named()
    )
    return ImageCollection(records, numbers, (*found.remarks, *remarks))


def read_images_and_masks(
    images: Path | str,
    masks: Path | str,
    *,
    labels: Path | str | None = None,
    classes: Classes | None = None,
    split: str | None = None,
) -> ImageCollection:
    """Find images and their masks of the same names in another folder.

    Parameters
    ----------
    images, masks : path
        The folders; names agree but for their suffixes, also within folders in them. Or an image and its mask.
    labels : path, optional
        A tab-separated table with the columns ``id`` (an image's name, with or without its suffix), ``class``, and
        ``split`` if `split` is asked for.
    classes : mapping, sequence of str or path, optional
        As in `read_class_folders`.
    split : str, optional
        Only images of this split.

    Raises
    ------
    SeqplrpError
        Where there is no such folder or no image in it, for an image without mask or label, two images or masks of one
        name, and a class that is none.

    Notes
    -----
    Masks without image, and labels without image, are left out; remarks say how many.
    """
    if Path(images).is_file() and Path(masks).is_file():
        found, painted = (_Files(Path(one).parent, (Path(one),), ()) for one in (images, masks))
        by_stem, mask_of = found.by_stem(), dict.fromkeys(found.by_stem(), Path(masks))
    else:
        found, painted = _images_in(Path(images)), _images_in(Path(masks))
        by_stem, mask_of = found.by_stem(), painted.by_stem()
    without = [file for stem, file in by_stem.items() if stem not in mask_of]
    if without:
        raise SeqplrpError(
            without[0],
            f"has no mask of its name in {masks}" + (f", nor have {len(without) - 1} others" if without[1:] else ""),
            "add the masks, or move these images elsewhere",
        )
    spare = [file for stem, file in mask_of.items() if stem not in by_stem]
    records = [ImageRecord(stem, file, mask_of[stem]) for stem, file in by_stem.items()]
    remarks = (*found.remarks, *painted.remarks, *_left_out(spare, "masks without an image of their name"))
    if labels is None:
        if split is not None:
            raise SeqplrpError("split", f"{split!r} was asked for, but there is no table of labels", "leave it out")
        return ImageCollection(tuple(records), remarks=remarks)
    return _labelled(records, Path(labels), classes, split, remarks)


def read_ecssd(directory: Path | str, *, classes: Classes | None = None, split: str | None = None) -> ImageCollection:
    """Find images and masks as ECSSD lays them out: ``images/NAME.jpg`` and ``ground_truth_mask/NAME.png``.

    Parameters
    ----------
    directory : path
        The folder with both. Where it has a `LABELS_FILE` too, as the shapes data have, images get their labels.
    classes, split
        As in `read_images_and_masks`.

    Raises
    ------
    SeqplrpError
        As `read_images_and_masks`.
    """
    place = Path(directory)
    labels = place / LABELS_FILE
    return read_images_and_masks(
        place / "images",
        place / "ground_truth_mask",
        labels=labels if labels.exists() else None,
        classes=classes,
        split=split,
    )


def read_imagenet_s(
    directory: Path | str,
    *,
    split: str = "validation",
    classes: Classes | None = None,
    categories: Path | str | Sequence[str] | None = None,
    unknown: Unknown = "error",
) -> ImageCollection:
    """Find images and masks as ImageNet-S lays them out: ``SPLIT/CLASS/`` and ``SPLIT-segmentation/CLASS/``.

    Parameters
    ----------
    directory : path
        ``ImageNetS50``, ``ImageNetS300`` or ``ImageNetS919``.
    split : str
        ``validation`` or ``train-semi``.
    classes : mapping, sequence of str or path, optional
        The network's numbers of the classes by their WordNet ids; unless given, images have no labels.
    categories : sequence of str or path, optional
        WordNet ids of all classes of the data set (``ImageNetS_categories_im50.txt``); needed where the split has not
        all of them, as their order says which number is which in the masks.
    unknown : {"error", "unlabelled"}
        As in `read_class_folders`.

    Raises
    ------
    SeqplrpError
        As `read_images_and_masks`, and where the categories are needed or lack a class.

    Notes
    -----
    The object is what a mask gives the class of the image's folder; other classes in it are background. Source: Gao et
    al., arXiv 2106.03149, and the data set's own description.
    """
    place = Path(directory)
    pairs = read_images_and_masks(place / split, place / f"{split}-segmentation")
    folders = [Path(record.name).parts[0] for record in pairs]
    identifiers = _identifiers(sorted(set(folders)), categories, place / split)
    remarks = pairs.remarks
    if _all_unknown(classes, folders, unknown):
        classes, remarks = None, (*remarks, _UNLABELLED)
    numbers = None if classes is None else numbers_of(classes)
    records = []
    for record, folder in zip(pairs, folders, strict=True):
        label = None if numbers is None else number_of(folder, numbers, place / split / folder)
        records.append(replace(record, label=label, mask_identifier=identifiers[folder]))
    return ImageCollection(tuple(records), numbers, remarks)


def _identifiers(folders: Sequence[str], categories: Path | str | Sequence[str] | None, place: Path) -> dict[str, int]:
    """Number the classes of ImageNet-S: from 1, in the order of their WordNet ids."""
    if categories is None:
        if len(folders) not in _SIZES_OF_IMAGENET_S:
            raise SeqplrpError(
                place,
                f"has {len(folders)} classes; their numbers in the masks are known only where all are there",
                "give the data set's categories, such as ImageNetS_categories_im50.txt",
            )
        known: Iterable[str] = folders
    else:
        known = list(numbers_of(categories))
    identifiers = {name: number for number, name in enumerate(sorted(known), start=1)}
    for folder in folders:
        if folder not in identifiers:
            raise SeqplrpError(place / folder, "is none of the categories", "give the categories of this data set")
    return identifiers


# ---- labels


def _all_unknown(classes: Classes | None, names: Iterable[str], unknown: Unknown) -> bool:
    """Say whether images are to go without labels, as the classes that are known have other names altogether."""
    return unknown == "unlabelled" and classes is not None and not set(names) & set(numbers_of(classes))


_UNLABELLED = (
    "images have no labels: the network has other names for its classes than the folders (give a file of classes)"
)


def _labelled(
    records: Sequence[ImageRecord],
    table: Path,
    classes: Classes | None,
    split: str | None,
    remarks: tuple[str, ...],
) -> ImageCollection:
    """Give images the labels of a table, and leave out those of other splits."""
    rows = read_table(table)
    for column in ("id", "class", *(["split"] if split is not None else [])):
        if column not in rows.columns:
            raise SeqplrpError(f"{table}, line 1", f"there is no column {column}", "name the columns id, class, split")
    line_of = dict(zip(rows["id"], rows.index, strict=True))
    if len(line_of) < len(rows):
        line = rows["id"].duplicated().idxmax()
        raise SeqplrpError(f"{table}, line {line}", f"the id {rows.at[line, 'id']!r} is there twice", "leave one out")
    numbers, said = _numbers(classes, list(rows["class"]), table)
    kept = []
    for record in records:
        line = line_of.pop(record.name, None) or line_of.pop(_with_suffix(record), None)
        if line is None:
            raise SeqplrpError(table, f"there is no id {record.name!r}", "add the image's row, or move it elsewhere")
        if split is None or rows.at[line, "split"] == split:
            label = number_of(str(rows.at[line, "class"]), numbers, f"{table}, line {line}")
            kept.append(replace(record, label=label))
    if not kept:
        splits = ", ".join(map(repr, sorted(set(rows["split"]))))
        raise SeqplrpError(table, f"no image is of the split {split!r}", f"choose one of {splits}")
    return ImageCollection(
        tuple(kept), numbers, (*remarks, *said, *_left_out(list(line_of), "labels without an image"))
    )


def _with_suffix(record: ImageRecord) -> str:
    return record.name + record.image.suffix


def _numbers(classes: Classes | None, names: Sequence[str], where: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the classes' numbers, and what was assumed of them."""
    if classes is not None:
        return numbers_of(classes), ()
    numbers = in_order(names, where)
    return numbers, (f"{len(numbers)} classes were numbered in the order of their names",)


# ---- files


@dataclass(frozen=True)
class _Files:
    """Images in a folder, in the order of their paths in it, and what else was there."""

    place: Path
    files: tuple[Path, ...]
    remarks: tuple[str, ...]

    def named(self) -> list[tuple[str, Path]]:
        """Name each by its path without suffix; with it, where two would have one name."""
        stems = [_stem(file, self.place) for file in self.files]
        paths = [file.relative_to(self.place).as_posix() for file in self.files]
        number = Counter(stems)
        names = [stem if number[stem] == 1 else path for stem, path in zip(stems, paths, strict=True)]
        if len(set(names)) < len(names):  # a.jpg, a.png and a.jpg.png
            names = paths
        return list(zip(names, self.files, strict=True))

    def by_stem(self) -> dict[str, Path]:
        """Return the files by their paths without suffixes; two of one name are an error."""
        found: dict[str, Path] = {}
        for file in self.files:
            other = found.setdefault(_stem(file, self.place), file)
            if other is not file:
                raise SeqplrpError(file, f"has the name of {other.name}", "keep one of the two")
        return found


def _images_in(place: Path) -> _Files:
    """Find the images in a folder and all folders in it; hidden files are nobody's business."""
    if place.is_file():
        raise SeqplrpError(place, "is a file, no folder of images", "name the folder")
    if not place.is_dir():
        raise SeqplrpError(place, "there is no such folder", "check its name")
    everything = sorted(_files_in(place))
    images = tuple(path for path in everything if path.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        found = f"none of the {len(everything)} files in it is" if everything else "there is nothing in it that is"
        raise SeqplrpError(place, f"{found} an image by its name", f"give images: {', '.join(IMAGE_SUFFIXES)}")
    others = [path for path in everything if path.suffix.lower() not in IMAGE_SUFFIXES]
    return _Files(place, images, _left_out(others, "files that are no images by their names"))


def _files_in(place: Path) -> Iterator[Path]:
    """Go through all files that are not hidden, also behind links to folders, but into no folder twice."""
    seen = set()
    for folder, inside, files in os.walk(place, followlinks=True):
        real = os.path.realpath(folder)
        inside[:] = [] if real in seen else [name for name in inside if not name.startswith(".")]
        if real not in seen:
            yield from (Path(folder, name) for name in files if not name.startswith("."))
        seen.add(real)


def _stem(file: Path, place: Path) -> str:
    return file.relative_to(place).with_suffix("").as_posix()


def _left_out(things: Sequence[object], what: str) -> tuple[str, ...]:
    """Say how many things were left out, and which is the first."""
    return (f"{len(things)} {what} were left out, the first is {things[0]}",) if things else ()
