"""Logos of several methods over one another, with the truth marked under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from seqplrp.errors import SeqplrpError
from seqplrp.plot.figures import Picture, plain_text
from seqplrp.plot.logos import Renderer, draw_logo, value_range

TRUTH_COLOUR = "#5B3A8C"
DECOY_COLOUR = "#8A8A8A"
_DASH, _DASH_COLOUR = 0.56, "#555555"  # of a letter's width

# All lengths in inches.
_PER_BASE = 0.085
_NARROWEST, _WIDEST = 5.0, 26.0
_TRACK, _TRACK_TITLE = 0.82, 0.2
_LANE, _AXIS = 0.19, 0.5
_TITLE, _BETWEEN, _KEY = 0.34, 0.12, 0.24
_LEFT, _RIGHT = 0.72, 0.18
_NAME_SIZE = 7.5  # points
_LETTER = 0.066  # mean width of a letter of a name of that size


@dataclass(frozen=True)
class LogoTrack:
    """One logo of a panel.

    Parameters
    ----------
    title : str
        Stands over it at the left, such as the method's name.
    frame : DataFrame
        As :func:`seqplrp.plot.logo_frame` makes it.
    gaps : sequence of int
        Positions where this sequence has no letter and others that it is aligned with do; each is drawn as a dash.
    label : str
        What its heights are; stands at the y axis.
    """

    title: str
    frame: pd.DataFrame
    gaps: Sequence[int] = field(default=())
    label: str = "relevance"


@dataclass(frozen=True)
class Mark:
    """A known motif under the logos.

    Parameters
    ----------
    start, end : int
        0-based, half-open, in the positions of the frames.
    name : str
        Written into the bar or under it.
    strand : {"+", "-", "."}
        The bar's name gets an arrow for it.
    supports : bool
        Whether the explained class uses the motif; a decoy is drawn hollow and grey.
    """

    start: int
    end: int
    name: str
    strand: Literal["+", "-", "."] = "."
    supports: bool = True


@dataclass(frozen=True)
class SequencePanel:
    """One sequence explained by one or more methods.

    Parameters
    ----------
    title : str
        Stands over the tracks, such as the record's id.
    tracks : sequence of LogoTrack
        From top to bottom; all over the same positions.
    marks : sequence of Mark
        Known motifs; those outside the positions shown are left out.
    axis : str
        What the positions are; stands under them.
    """

    title: str
    tracks: Sequence[LogoTrack]
    marks: Sequence[Mark] = field(default=())
    axis: str = "position in the record (0-based)"

    def __post_init__(self) -> None:
        if not self.tracks:
            raise SeqplrpError("tracks", f"of {self.title!r} are empty", "pass at least one logo")
        first = self.tracks[0].frame.index
        for track in self.tracks:
            if not track.frame.index.equals(first):
                raise SeqplrpError(
                    f"track {track.title!r}",
                    f"covers {_span(track.frame)}, the first covers {_span(self.tracks[0].frame)}",
                    "stack logos of the same sequence and region",
                )

    @property
    def start(self) -> int:
        """First position shown."""
        return int(self.tracks[0].frame.index[0])

    @property
    def end(self) -> int:
        """One past the last position shown."""
        return int(self.tracks[0].frame.index[-1]) + 1

    @property
    def visible(self) -> list[Mark]:
        """The marks that lie, at least in part, on the positions shown, from left to right."""
        inside = (m for m in self.marks if m.end > self.start and m.start < self.end)
        return sorted(inside, key=lambda m: (m.start, m.end))


def logo_panel(panel: SequencePanel, *, shared_scale: bool = False, renderer: Renderer = "auto") -> Picture:
    """Draw one sequence: its logos by one or more methods over one x axis, known motifs under them.

    Parameters
    ----------
    panel : SequencePanel
        What to draw.
    shared_scale : bool
        One y scale for all tracks. Off by default, since methods differ in scale by nature.
    renderer : {"auto", "logomaker", "paths"}
        See :func:`seqplrp.plot.draw_logo`.

    Returns
    -------
    matplotlib.figure.Figure
        To be written by :func:`seqplrp.plot.save_figure`.
    """
    return comparison_panel([panel], shared_scale=shared_scale, renderer=renderer)


def comparison_panel(
    panels: Sequence[SequencePanel], *, columns: int = 1, shared_scale: bool = False, renderer: Renderer = "auto"
) -> Picture:
    """Draw several sequences, each by the same methods, next to one another.

    Parameters
    ----------
    panels : sequence of SequencePanel
        In reading order. Rows and columns of the grid are as large as their largest panel.
    columns : int
        Panels in a row.
    shared_scale : bool
        One y scale for all tracks of a panel.
    renderer : {"auto", "logomaker", "paths"}
        See :func:`seqplrp.plot.draw_logo`.

    Raises
    ------
    SeqplrpError
        If there is no panel, or ``columns`` is below 1.
    """
    if not panels or columns < 1:
        raise SeqplrpError("panels", f"{len(panels)} in {columns} columns", "pass at least one panel and one column")
    columns = min(columns, len(panels))
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    widths = [max(_width(row[c]) for row in rows if c < len(row)) for c in range(columns)]
    heights = [max(_height(panel, width) for panel, width in zip(row, widths)) for row in rows]
    kinds = {mark.supports for panel in panels for mark in panel.visible}
    key = _KEY if kinds == {True, False} else 0.0
    high = sum(heights) + (len(rows) - 1) * _BETWEEN + key
    sheet = _Sheet(sum(widths) + columns * (_LEFT + _RIGHT), high)
    top = sheet.height
    for row, height in zip(rows, heights):
        left = _LEFT
        for panel, width in zip(row, widths):
            _draw_panel(sheet, panel, left, top, width, shared_scale, renderer)
            left += width + _RIGHT + _LEFT
        top -= height + _BETWEEN
    if key:
        _draw_key(sheet.figure)
    return sheet.figure


class _Sheet:
    """A figure on which axes are placed in inches from its lower left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Picture(figsize=(width, height), facecolor="white")

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        w, h = self.width, self.height
        return self.figure.add_axes((left / w, bottom / h, width / w, height / h))


def _width(panel: SequencePanel) -> float:
    return float(np.clip(_PER_BASE * (panel.end - panel.start), _NARROWEST, _WIDEST))


def _height(panel: SequencePanel, width: float) -> float:
    tracks = len(panel.tracks) * (_TRACK + _TRACK_TITLE)
    return _TITLE + tracks + _LANE * max(1, len(_lanes(panel, width))) + _AXIS


def _draw_panel(
    sheet: _Sheet,
    panel: SequencePanel,
    left: float,
    top: float,
    width: float,
    shared_scale: bool,
    renderer: Renderer,
) -> None:
    ranges = [value_range(track.frame) for track in panel.tracks]
    shared = (min(low for low, _ in ranges), max(high for _, high in ranges)) if shared_scale else None
    lanes = _lanes(panel, width)
    shown = [placed.mark for lane in lanes for placed in lane]
    bottom = top - _TITLE
    for number, track in enumerate(panel.tracks):
        bottom -= _TRACK + _TRACK_TITLE
        ax = sheet.axes(left, bottom, width, _TRACK)
        draw_logo(ax, track.frame, limits=shared, renderer=renderer)
        _style_track(ax, track, shown, width)
        gaps = np.asarray(track.gaps, float)
        ax.hlines(np.zeros(len(gaps)), gaps - _DASH / 2, gaps + _DASH / 2, color=_DASH_COLOUR, linewidth=2, zorder=1)
        if number == 0:
            title = ax.annotate(
                panel.title,
                (0, 1),
                xytext=(0, 72 * (_TRACK_TITLE + 0.03)),
                xycoords="axes fraction",
                textcoords="offset points",
                fontsize=10,
                fontweight="bold",
            )
            plain_text(title)
    height = _LANE * max(1, len(lanes))
    _draw_lanes(sheet.axes(left, bottom - height, width, height), panel, lanes, width)


def _style_track(ax: Axes, track: LogoTrack, marks: Sequence[Mark], width: float) -> None:
    plain_text(ax.set_title(track.title, loc="left", fontsize=8.5, pad=2.5))
    plain_text(ax.set_ylabel(track.label, fontsize=7))
    ax.yaxis.set_label_coords((0.17 - _LEFT) / width, 0.5)  # in one column, however wide the numbers
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    ax.spines["left"].set_color("#777777")
    ax.tick_params(axis="y", labelsize=7, length=2, color="#777777")
    ax.tick_params(axis="x", bottom=False, labelbottom=False)
    for mark in marks:
        colour = TRUTH_COLOUR if mark.supports else DECOY_COLOUR
        ax.axvspan(mark.start - 0.5, mark.end - 0.5, color=colour, alpha=0.09, linewidth=0, zorder=-1)


@dataclass(frozen=True)
class _PlacedMark:
    """A mark cut to what is shown, its label's place, and the stretch that bar and label take up together."""

    mark: Mark
    label: str
    label_at: float
    align: Literal["left", "center", "right"]
    left: float
    right: float


def _lanes(panel: SequencePanel, width: float) -> list[list[_PlacedMark]]:
    """Spread marks over as few lanes as keep bars and names apart (first fit, from the left)."""
    lanes: list[list[_PlacedMark]] = []
    for mark in panel.visible:
        placed = _place(mark, panel, width)
        for lane in lanes:
            if all(placed.left >= other.right or placed.right <= other.left for other in lane):
                lane.append(placed)
                break
        else:
            lanes.append([placed])
    return lanes


def _place(mark: Mark, panel: SequencePanel, width: float) -> _PlacedMark:
    per_base = width / (panel.end - panel.start)
    start, end = max(mark.start, panel.start), min(mark.end, panel.end)
    label = mark.name + {"+": " \u2192", "-": " \u2190"}.get(mark.strand, "")
    needed = (len(label) + 1) * _LETTER / per_base
    cut = Mark(start, end, mark.name, mark.strand, mark.supports)
    if needed <= end - start:
        return _PlacedMark(cut, label, (start + end - 1) / 2, "center", start, end)
    gap = 0.05 / per_base
    if end + gap + needed <= panel.end or start - gap - needed < panel.start:
        return _PlacedMark(cut, label, end - 0.5 + gap, "left", start, end + gap + needed)
    return _PlacedMark(cut, label, start - 0.5 - gap, "right", start - gap - needed, end)


def _draw_lanes(ax: Axes, panel: SequencePanel, lanes: Sequence[Sequence[_PlacedMark]], width: float) -> None:
    for row, lane in enumerate(lanes):
        for placed in lane:
            mark = placed.mark
            ax.add_patch(_bar(mark.supports, (mark.start - 0.5, row + 0.16), mark.end - mark.start, 0.68))
            colour = TRUTH_COLOUR if mark.supports else "#555555"
            label = ax.text(
                placed.label_at,
                row + 0.5,
                placed.label,
                ha=placed.align,
                va="center_baseline",
                fontsize=_NAME_SIZE,
                color="white" if mark.supports and placed.align == "center" else colour,
                clip_on=True,
            )
            plain_text(label)
    ax.set_xlim(panel.start - 0.5, panel.end - 0.5)
    ax.set_ylim(max(1, len(lanes)), 0)
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(nbins=max(6, round(1.2 * width)), integer=True, min_n_ticks=1))
    ax.ticklabel_format(axis="x", style="plain", useOffset=False)
    ax.tick_params(axis="x", labelsize=7, length=2.5)
    ax.spines[["top", "right", "left"]].set_visible(False)
    plain_text(ax.set_xlabel(panel.axis, fontsize=7.5, labelpad=2))


def _bar(supports: bool, corner: tuple[float, float], width: float, height: float) -> Rectangle:
    if supports:
        return Rectangle(corner, width, height, facecolor=TRUTH_COLOUR, linewidth=0)
    return Rectangle(
        corner,
        width,
        height,
        facecolor="white",
        edgecolor=DECOY_COLOUR,
        linewidth=0.9,
        linestyle=(0, (3, 1.5)),
    )


def _draw_key(figure: Figure) -> None:
    """Say what the two kinds of bars are."""
    figure.legend(
        [_bar(True, (0, 0), 1, 1), _bar(False, (0, 0), 1, 1)],
        ["motif of the explained class", "other motif"],
        loc="lower right",
        ncols=2,
        frameon=False,
        fontsize=7.5,
        handlelength=1.6,
        handleheight=0.8,
        borderaxespad=0.4,
    )


def _span(frame: pd.DataFrame) -> str:
    return f"{frame.index[0]}-{frame.index[-1] + 1}" if len(frame) else "no position"
