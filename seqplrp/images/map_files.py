"""The files of a run on images: a table, arrays and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.images.explaining import ImageMaps
from seqplrp.plot import HeatMap, ImagePanel, Show, heat_map_grid, save_figure

IMAGE_FORMATS = ("png", "svg", "npz")
SHOWS: tuple[Show, ...] = ("map", "overlay")


@dataclass(frozen=True, kw_only=True)
class MapFiles:
    """Which files are made.

    Parameters
    ----------
    formats : sequence of {"png", "svg", "npz"}
        Of pictures, and whether arrays are written. The table is always.
    shows : sequence of {"map", "overlay"}
        Maps on white, over the image, or both.
    pictures : int
        Images that get a picture of their own, the first ones.
    grid : int
        Images that stand in one picture together, the first ones.
    shared_scale : bool
        One colour scale for all methods of an image.

    Raises
    ------
    SeqplrpError
        Where there is no such format.
    """

    formats: Sequence[str] = ("png", "npz")
    shows: Sequence[Show] = SHOWS
    pictures: int = 100
    grid: int = 8
    shared_scale: bool = False

    def __post_init__(self) -> None:
        for name, given, known in (("--formats", self.formats, IMAGE_FORMATS), ("--show", self.shows, SHOWS)):
            for one in given:
                if one not in known:
                    raise SeqplrpError(name, f"{one!r} is not known", f"choose of {', '.join(known)}")

    def check(self, names: Sequence[str]) -> None:
        """Raise where one image's file would stand where another's folder has to be, as of ``a`` and ``a.npz/b``."""
        taken = {f"{name}.{kind}" for name in names for kind in self.formats}
        for name in names:
            folder = next((str(one) for one in PurePosixPath(name).parents if str(one) in taken), None)
            if folder is not None:
                raise SeqplrpError(
                    f"image {name!r}", f"is in a folder {folder!r}, as a file of another image is called", "rename it"
                )

    def write(self, found: Iterable[ImageMaps], folder: Path) -> None:
        """Write the files of all images, one image in memory at a time, and those of the grid.

        Parameters
        ----------
        found : iterable of ImageMaps
            From `kept_maps`.
        folder : Path
            Gets summary.tsv; arrays/IMAGE.npz with ``pixels``, ``mask`` (and ``ignored``, as ImageNet-S has it) and
            ``relevance_METHOD`` (3, H, W); maps/IMAGE and overlays/IMAGE; grid and grid_overlay.
        """
        rows: list[dict[str, Any]] = []
        panels: list[ImagePanel] = []
        for number, maps in enumerate(found):
            rows += maps.rows
            if "npz" in self.formats:
                _write_arrays(maps, _beneath(folder / "arrays", maps.name, "npz"))
            if number < self.pictures:
                self._draw([_panel(maps)], folder, maps.name)
            if number < self.grid:
                panels.append(_panel(maps))
        pd.DataFrame(rows).to_csv(folder / "summary.tsv", sep="\t", index=False, float_format="%.6g", na_rep="")
        if len(panels) > 1:
            self._draw(panels, folder, None)

    def _draw(self, panels: Sequence[ImagePanel], folder: Path, name: str | None) -> None:
        """Draw an image by its name, or the grid."""
        for show, goals in self._goals(folder, name):
            figure = heat_map_grid(panels, show=show, shared=self.shared_scale)
            for goal in goals:
                save_figure(figure, goal)

    def _goals(self, folder: Path, name: str | None) -> Iterator[tuple[Show, list[Path]]]:
        """Name the pictures of an image, or of the grid, by what they show."""
        kinds = [one for one in self.formats if one != "npz"]
        for show in self.shows if kinds else ():
            if name is None:
                stem = "grid" if show == "map" else "grid_overlay"
                yield show, [folder / f"{stem}.{kind}" for kind in kinds]
            else:
                place = folder / ("maps" if show == "map" else "overlays")
                yield show, [_beneath(place, name, kind) for kind in kinds]


def _beneath(folder: Path, name: str, suffix: str) -> Path:
    """Return where an image's file stands: in folders as the image does; nowhere outside of `folder`."""
    goal = folder / f"{name}.{suffix}"
    if not goal.resolve().is_relative_to(folder.resolve()):
        raise SeqplrpError(f"image {name!r}", "leads out of the directory", "rename the image")
    goal.parent.mkdir(parents=True, exist_ok=True)
    return goal


def _write_arrays(maps: ImageMaps, path: Path) -> None:
    arrays: dict[str, Any] = {
        "pixels": maps.pixels,
        **{f"relevance_{name}": one for name, one in maps.relevance.items()},
    }
    if maps.mask is not None:
        arrays["mask"] = maps.mask.object
        if maps.mask.ignored is not None:
            arrays["ignored"] = maps.mask.ignored
    np.savez_compressed(path, **arrays)


def _panel(maps: ImageMaps) -> ImagePanel:
    drawn = [
        HeatMap(row["method"], maps.relevance[row["method"]].sum(0, dtype=np.float64), _note(row)) for row in maps.rows
    ]
    mask = None if maps.mask is None else maps.mask.object
    return ImagePanel(maps.name, maps.pixels / 255.0, drawn, mask)


def _note(row: dict[str, object]) -> str:
    what = f"{row['class'] or 'class ' + str(row['target'])}: {row['output']:.2f}"
    return what if row.get("rma") is None else f"{what}, RMA {row['rma']:.2f}"
