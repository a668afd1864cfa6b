"""An explanation as a logo and as a page of a notebook: what it shows of itself."""

from __future__ import annotations

import base64
from dataclasses import fields
from html import escape
from math import isnan
from typing import Any

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.methods import EnsembleExplanation, Explanation, Method
from seqplrp.plot.figures import Picture
from seqplrp.plot.logos import Renderer, draw_logo, logo_frame
from seqplrp.plot.panels import LogoTrack, SequencePanel, logo_panel

_BASES = 4
_SHOWN, _LONGEST_SHOWN = 3, 120  # sequences, and bases of each, in a notebook's page
_STRONGEST = 20  # bases, about a motif, that such a page shows the surroundings of
_STRIP_PER_BASE, _STRIP_LEAST, _STRIP_LEFT, _STRIP_HEIGHT = 0.085, 2.0, 0.45, 0.95  # inches
_MOST_NOTES = 8


def explanation_logo(
    explanation: Explanation,
    index: int = 0,
    *,
    start: int | None = None,
    end: int | None = None,
    hypothetical: bool = False,
    renderer: Renderer = "auto",
) -> Picture:
    """Draw the logo of one sequence of an explanation.

    Parameters
    ----------
    explanation : Explanation
        Of DNA: (N, 4, L).
    index : int
        Which sequence; from the end where it is negative.
    start, end : int, optional
        The stretch to draw, 0-based and half-open; the whole sequence unless given.
    hypothetical : bool
        Whether to draw what each of the four bases would contribute, rather than the bases that are there.
    renderer : {"auto", "logomaker", "paths"}
        See `draw_logo`.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `save_figure` writes it.

    Raises
    ------
    SeqplrpError
        Where it is no explanation of DNA, has no such sequence or stretch, or no hypothetical contributions.
    """
    number = _number(explanation, index)
    first, last = _stretch(explanation, start, end)
    values = (explanation.hypothetical if hypothetical else explanation.relevance)[number, :, first:last]
    kind = "hypothetical contributions" if hypothetical else "relevance"
    frame = logo_frame(values, start=first)
    label = "contribution" if hypothetical else "relevance"
    track = LogoTrack(f"{kind} by {short_name(explanation.method)}", frame, label=label)
    title = f"sequence {number}, {_scored(explanation, number)}"
    return logo_panel(SequencePanel(title, [track], axis="position (0-based)"), renderer=renderer)


def short_name(method: Method) -> str:
    """Return a method as one would type it, without what it has unless told otherwise."""
    given = [f"{field.name}={value!r}" for field in fields(method) if (value := _told(method, field.name)) is not None]
    return f"{type(method).__name__}({', '.join(given)})"


def _told(method: Method, name: str) -> Any:
    """Return a field's value; None where it is the method's own."""
    value = getattr(method, name)
    try:
        return None if value == getattr(type(method)(), name) else value
    except (TypeError, ValueError, RuntimeError):  # it asks for values, or holds arrays, which no one word compares
        return value


def _number(explanation: Explanation, index: int) -> int:
    shape = tuple(explanation.relevance.shape)
    if len(shape) != 3 or shape[1] != _BASES:
        raise SeqplrpError("logo", f"the relevance is {shape}", "logos are of DNA, (N, 4, L)")
    if not isinstance(index, int | np.integer) or not -shape[0] <= index < shape[0]:
        raise SeqplrpError("logo", f"there is no sequence {index!r} of {shape[0]}", f"give 0 to {shape[0] - 1}")
    return int(index) % shape[0]


def _stretch(explanation: Explanation, start: int | None, end: int | None) -> tuple[int, int]:
    length = explanation.relevance.shape[2]
    first, last = 0 if start is None else start, length if end is None else end
    whole = all(isinstance(bound, int | np.integer) for bound in (first, last))
    if not whole or not 0 <= first < last <= length:
        raise SeqplrpError(
            "logo",
            f"{first!r} to {last!r} is no stretch of a sequence of {length} bases",
            f"give 0 <= start < end <= {length}",
        )
    return int(first), int(last)


def _scored(explanation: Explanation, number: int, more: str = "") -> str:
    target = "" if explanation.target is None else f" (output {int(explanation.target[number])})"
    return f"score {float(explanation.output[number]):.4g}{more}{target}"


# ---- a notebook's page


def explanation_html(explanation: Explanation) -> str:
    """Return an explanation as a small page of its own: what it is, how it adds up, and the first sequences' logos.

    Nothing is loaded from elsewhere, and whatever stands in it as text is escaped.
    """
    n, shape = len(explanation), tuple(explanation.relevance.shape)
    is_dna = len(shape) == 3 and shape[1] == _BASES and shape[2] > 0
    what = f"{n:,} sequence{'s' * (n != 1)} of {shape[-1]:,} bp" if is_dna else f"{n:,} inputs {shape[1:]}"
    method = short_name(explanation.method)
    words = [*_conservation(explanation), *explanation.notes]
    more = len(words) - _MOST_NOTES
    listed = words if more <= 0 else [*words[:_MOST_NOTES], f"and {more} more notes: see .notes"]
    rows = "".join(_row(explanation, number, is_dna=is_dna) for number in range(min(n, _SHOWN)))
    left = (
        f'<p style="{_QUIET}">{n - _SHOWN:,} more: <code>e.logo(i)</code> draws any of them.</p>' if n > _SHOWN else ""
    )
    return (
        f'<div style="font-family: sans-serif; font-size: 13px; max-width: 1100px">'
        f"<p><b>{escape(type(explanation).__name__)}</b> of {escape(what)} by <code>{escape(method)}</code></p>"
        f'<ul style="margin: 4px 0 8px 18px; padding: 0">{"".join(f"<li>{escape(one)}</li>" for one in listed)}</ul>'
        f"{rows}{left}</div>"
    )


_QUIET = "color: gray; margin: 4px 0"


def _conservation(explanation: Explanation) -> list[str]:
    """Say in words how much of the scores arrives at the bases, and whether every layer's account balances."""
    found = []
    scores, sums = explanation.output.double(), explanation.relevance.flatten(1).sum(1).double()
    told = scores != 0
    if bool(told.any()) and explanation.method.keeps_size:
        found.append(f"relevance sums to {_percents(sums[told] / scores[told])} of the score")
    worst = [one for one in (account.ledger.largest_unexplained() for account in explanation._accounts) if one]
    if worst:
        largest = max(worst, key=lambda one: (isnan(one.share), one.share))
        found.append(
            f"the ledger balances: at most {largest.share:.1g} of a layer's relevance is unexplained"
            if largest.share <= (1e-5 if explanation.relevance.dtype != torch.float64 else 1e-12)
            else f"THE LEDGER DOES NOT BALANCE: {largest.share:.2g} of the relevance is unexplained at layer "
            f"{largest.layer} ({largest.op})"
        )
    elif not explanation._accounts:
        found.append("this method keeps no ledger")
    if explanation.strand_consistency is not None:
        alike = explanation.strand_consistency[explanation.strand_consistency.isfinite()]
        if len(alike):
            found.append(
                f"both strands are averaged; their maps agree by a cosine of {float(alike.median()):.2f} (median)"
            )
    return found


def _percents(shares: Tensor) -> str:
    """Say shares in percent: their median, and their range where they differ."""
    low, middle, high = (f"{100 * float(one):.0f} %" for one in (shares.min(), shares.median(), shares.max()))
    return middle if low == high else f"{middle} (median; {low} to {high})"


def _row(explanation: Explanation, number: int, *, is_dna: bool) -> str:
    """Return one sequence's score, sum and logo."""
    spread = ""
    if isinstance(explanation, EnsembleExplanation) and len(explanation.members) > 1:
        models = f"{len(explanation.members)} models"
        spread = f" \N{PLUS-MINUS SIGN} {float(explanation.output_spread[number]):.2g} over {models}"
    total = float(explanation.relevance[number].sum())
    head = f"sequence {number}: {_scored(explanation, number, spread)}; relevance sums to {total:.4g}"
    if not is_dna:
        return f"<p>{head}</p>"
    start, end = _telling_stretch(explanation.relevance[number])
    length = explanation.relevance.shape[2]
    where = "" if end - start == length else f"; bases {start:,} to {end:,}, around its strongest stretch"
    picture = base64.b64encode(_strip(explanation.relevance[number, :, start:end], start)._repr_png_()).decode()
    alt = f"sequence logo of the relevance of sequence {number}, bases {start} to {end}"
    return (
        f'<p style="margin: 8px 0 0">{head}{where}</p>'
        f'<img alt="{alt}" style="max-width: 100%; background: white" src="data:image/png;base64,{picture}">'
    )


def _strip(relevance: Tensor, start: int) -> Picture:
    """Draw a logo without words around it."""
    frame = logo_frame(relevance, start=start)
    width = max(_STRIP_PER_BASE * len(frame), _STRIP_LEAST)
    figure = Picture(figsize=(_STRIP_LEFT + width, _STRIP_HEIGHT), facecolor="white")
    whole = _STRIP_LEFT + width
    ax = figure.add_axes((_STRIP_LEFT / whole, 0.24, (width - 0.05) / whole, 0.72))
    draw_logo(ax, frame, renderer="paths")
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    ax.ticklabel_format(axis="x", style="plain", useOffset=False)
    ax.tick_params(labelsize=7, length=2, color="#777777")
    return figure


def _telling_stretch(relevance: Tensor) -> tuple[int, int]:
    """Return what a page shows of a sequence: all of it, or the surroundings of the bases with the most |relevance|."""
    length = relevance.shape[1]
    if length <= _LONGEST_SHOWN:
        return 0, length
    sums = torch.nn.functional.pad(relevance.abs().sum(0).double().cumsum(0), (1, 0))
    middle = int((sums[_STRONGEST:] - sums[:-_STRONGEST]).argmax()) + _STRONGEST // 2
    start = min(max(0, middle - _LONGEST_SHOWN // 2), length - _LONGEST_SHOWN)
    return start, start + _LONGEST_SHOWN
