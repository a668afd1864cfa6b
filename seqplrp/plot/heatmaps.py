"""Heat maps of images: signed relevance by one symmetric colour scale, alone or over the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from seqplrp.errors import SeqplrpError
from seqplrp.plot.figures import plain_text

Floats = npt.NDArray[np.floating[Any]]
Show = Literal["map", "overlay"]

COLOURS = "RdBu_r"  # blue below 0, near white at 0, red above: told apart by all common kinds of colour vision
OUTLINE = "#E6A100"
_CLIP = 0.995
_FULL = 0.85  # of the scale: its ends are too dark over an image

# All lengths in inches.
_CELL, _GAP = 1.7, 0.08
_TITLE, _HEAD, _BAR, _MARGIN = 0.34, 0.24, 0.62, 0.12
_NAME = 1.15


@dataclass(frozen=True)
class HeatMap:
    """One method's map of an image.

    Parameters
    ----------
    title : str
        Stands over it, such as the method's name.
    relevance : ndarray, shape (H, W)
        Signed relevance of each pixel: the sum over its colour channels.
    note : str
        Stands under it, such as a measure's value.
    """

    title: str
    relevance: Floats
    note: str = ""


@dataclass(frozen=True)
class ImagePanel:
    """An image with the maps of one or more methods.

    Parameters
    ----------
    title : str
        Such as the file's name.
    image : ndarray, shape (H, W, 3)
        As the network saw it, before normalisation: 0 is black, 1 full colour.
    maps : sequence of HeatMap
        All of the image's height and width.
    mask : ndarray of bool, shape (H, W), optional
        The true object, drawn as an outline.

    Raises
    ------
    SeqplrpError
        Where shapes don't agree, or values can't be drawn.
    """

    title: str
    image: Floats
    maps: Sequence[HeatMap]
    mask: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        size = np.shape(self.image)[:2]
        if np.ndim(self.image) != 3 or np.shape(self.image)[2] != 3:
            raise SeqplrpError(f"image {self.title!r}", f"has shape {np.shape(self.image)}", "give it as (H, W, 3)")
        if not self.maps:
            raise SeqplrpError("maps", f"of {self.title!r} are empty", "give at least one heat map")
        for one in self.maps:
            if np.shape(one.relevance) != size:
                raise SeqplrpError(
                    f"map {one.title!r}",
                    f"of {self.title!r} has shape {np.shape(one.relevance)}, the image {size}",
                    "sum the relevance over the channels, and give one number a pixel",
                )
            if not np.isfinite(one.relevance).all():
                raise SeqplrpError(f"map {one.title!r}", f"of {self.title!r} is not finite", "mend the relevance")
        if self.mask is not None and np.shape(self.mask) != size:
            raise SeqplrpError(
                f"mask of {self.title!r}", f"has shape {np.shape(self.mask)}, the image {size}", "give (H, W)"
            )


def heat_limit(relevance: Floats, clip: float = _CLIP) -> float:
    """Return the |relevance| at which colours are full: a quantile of all pixels, so that one hot pixel hides nothing.

    Parameters
    ----------
    relevance : ndarray
        Any shape.
    clip : float
        The quantile, above 0 and at most 1. Where it falls on 0, as in very sparse maps, it is taken of what is not 0.

    Returns
    -------
    float
        Above 0; 1 for a map of zeros.
    """
    if not 0 < clip <= 1:
        raise SeqplrpError("clip", f"is {clip}", "give a quantile above 0 and at most 1")
    size = np.abs(np.asarray(relevance, dtype=np.float64)).ravel()
    limit = float(np.quantile(size, clip)) if size.size else 0.0
    if limit == 0 and size.any():
        limit = float(np.quantile(size[size > 0], clip))
    return limit or 1.0


def heat_colours(relevance: Floats, limit: float) -> npt.NDArray[np.float64]:
    """Return the colours (H, W, 3) of a map: near white at 0, full red from `limit` on, full blue at ``-limit``."""
    scaled = np.clip(np.asarray(relevance, dtype=np.float64) / limit, -1, 1)
    return np.asarray(mpl.colormaps[COLOURS]((scaled + 1) / 2)[..., :3], dtype=np.float64)


def overlay(image: Floats, relevance: Floats, limit: float) -> npt.NDArray[np.float64]:
    """Lay a map over its image in grey: the stronger the relevance, the less of the image shows through.

    Parameters
    ----------
    image : ndarray, shape (H, W, 3)
        From 0 to 1.
    relevance : ndarray, shape (H, W)
    limit : float
        The |relevance| from which nothing of the image shows through.

    Returns
    -------
    ndarray, shape (H, W, 3)
    """
    grey = np.asarray(image, dtype=np.float64) @ np.array([0.299, 0.587, 0.114])
    ground = (0.35 + 0.65 * np.clip(grey, 0, 1))[..., None]  # paler, so that dark places don't pass for relevance
    strength = np.clip(np.abs(relevance) / limit, 0, 1)[..., None]
    # the sign's own colour in proportion; the scale's paler ones would pass for light places of the image
    colour = heat_colours(np.sign(relevance) * _FULL, 1.0)
    return np.asarray((1 - strength) * ground + strength * colour, dtype=np.float64)


def heat_map_grid(
    panels: Sequence[ImagePanel], *, show: Show = "map", shared: bool = False, clip: float = _CLIP, title: str = ""
) -> Figure:
    """Draw images as rows and methods as columns, the image itself first.

    Parameters
    ----------
    panels : sequence of ImagePanel
        All with maps of the same titles, in the same order.
    show : {"map", "overlay"}
        Maps on white, or over the image.
    shared : bool
        One colour scale for all maps of a row, so that methods can be compared in size, instead of one a map.
    clip : float
        See `heat_limit`.
    title : str
        Stands over all.

    Raises
    ------
    SeqplrpError
        Where there is no panel, or their methods differ.
    """
    if not panels:
        raise SeqplrpError("panels", "are empty", "give at least one image")
    titles = [one.title for one in panels[0].maps]
    for panel in panels:
        if [one.title for one in panel.maps] != titles:
            raise SeqplrpError(f"panel {panel.title!r}", "has other methods than the first", "give all rows the same")
    columns, rows = 1 + len(titles), len(panels)
    noted = any(one.note for panel in panels for one in panel.maps)
    step = _CELL + _GAP + (0.16 if noted else 0)
    width = _MARGIN + _NAME + columns * (_CELL + _GAP) + _MARGIN
    height = (_TITLE if title else _MARGIN) + _HEAD + rows * step + _BAR
    figure = Figure(figsize=(width, height))
    if title:
        plain_text(figure.text(0.5, 1 - 0.2 / height, title, ha="center", va="center", size=10))
    for row, panel in enumerate(panels):
        top = height - (_TITLE if title else _MARGIN) - _HEAD - row * step
        whole = heat_limit(np.stack([one.relevance for one in panel.maps]), clip) if shared else None
        for column in range(columns):
            left = _MARGIN + _NAME + column * (_CELL + _GAP)
            ax = figure.add_axes((left / width, (top - _CELL) / height, _CELL / width, _CELL / height))
            if column == 0:
                ax.imshow(np.clip(panel.image, 0, 1), interpolation="nearest")
                plain_text(ax.set_ylabel(_cut(panel.title, 19), size=7, rotation=0, ha="right", va="center"))
            else:
                _draw(ax, panel, panel.maps[column - 1], show, whole, clip)
            if panel.mask is not None and panel.mask.any() and not panel.mask.all():
                ax.contour(panel.mask.astype(float), levels=[0.5], colors=OUTLINE, linewidths=0.9)
            if row == 0:
                plain_text(ax.set_title("image" if column == 0 else _cut(titles[column - 1], 26), size=8, pad=4))
            _bare(ax)
    _colour_bar(figure, width, height, "this row's" if shared else "each map's", clip)
    return figure


def _draw(ax: Axes, panel: ImagePanel, one: HeatMap, show: Show, limit: float | None, clip: float) -> None:
    at = heat_limit(one.relevance, clip) if limit is None else limit
    drawn = overlay(panel.image, one.relevance, at) if show == "overlay" else heat_colours(one.relevance, at)
    ax.imshow(drawn, interpolation="nearest")
    if one.note:
        plain_text(ax.set_xlabel(one.note, size=7, labelpad=2))


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_color("#BBBBBB")
        spine.set_linewidth(0.6)


def _colour_bar(figure: Figure, width: float, height: float, whose: str, clip: float) -> None:
    wide = min(3.2, width - 2 * _MARGIN)
    ax = figure.add_axes(((width - wide) / 2 / width, 0.4 / height, wide / width, 0.1 / height))
    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), COLOURS), cax=ax, orientation="horizontal", ticks=[-1, 0, 1])
    bar.ax.tick_params(labelsize=7, length=2)
    end = "largest |relevance|" if clip == 1 else f"{100 * clip:g} % quantile of |relevance|"
    bar.set_label(f"relevance over {whose} {end}", size=7, labelpad=1)
    bar.outline.set_linewidth(0.4)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
