"""Pictures of the artifact audit: one a check."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from seqplrp.plot.figures import plain_text

_LINE = "#22577A"
_PALE = "#9FB6CD"
_OTHER = "#D98E04"
_GREY = "#888888"
_MARKS = {"edge": "#C1443C", "uneven": "#8E5EA2", "comb": "#3B9A7C"}
_MOST_PHASES = 32


def profile_picture(
    profile: npt.ArrayLike,
    *,
    noise: float,
    title: str,
    xlabel: str,
    ylabel: str,
    places: npt.ArrayLike | None = None,
    marked: Sequence[tuple[str, Sequence[tuple[int, int]]]] = (),
    combs: Sequence[tuple[int, Sequence[float]]] = (),
    other: tuple[str, npt.ArrayLike] | None = None,
) -> Figure:
    """Draw a profile over positions with its noise, what was found in it, and the phases of its combs beside it.

    Parameters
    ----------
    profile : array-like, shape (P,)
        Means, the interior's level being 1.
    noise : float
        Standard deviation of one position's mean; a band of twice that is drawn around 1.
    title, xlabel, ylabel : str
        What is shown.
    places : array-like, shape (P,), optional
        Where the profile's values stand; 0, 1, 2 ... if None.
    marked : sequence of (name, ranges)
        Kinds of artifacts with their 0-based half-open ranges, which are shaded; combs are not.
    combs : sequence of (period, phases)
        Each becomes a panel of bars.
    other : (label, values), optional
        A second profile, drawn thin.

    Returns
    -------
    matplotlib.figure.Figure
    """
    values = np.asarray(profile, dtype=float)
    where = np.arange(len(values)) if places is None else np.asarray(places)
    shown = list(combs)[:2]
    figure = Figure(figsize=(8.4 + 2.0 * len(shown), 3.2), facecolor="white", layout="constrained")
    ratios = [4.0] + [max(0.9, min(2.0, 0.12 * len(phases))) for _, phases in shown]
    axes, *panels = figure.subplots(1, 1 + len(shown), width_ratios=ratios, squeeze=False)[0]
    axes.axhspan(1 - 2 * noise, 1 + 2 * noise, color="#E6E6E6", linewidth=0, zorder=0, label="noise, \u00b1 2 sd")
    ranges = [(kind, one) for kind, several in marked if kind != "comb" for one in several]
    for kind, (start, end) in ranges:
        axes.axvspan(start - 0.5, end - 0.5, color=_MARKS.get(kind, _GREY), alpha=0.16, linewidth=0, zorder=1)
    if other is not None:
        axes.plot(where, np.asarray(other[1]), color=_OTHER, linewidth=0.8, alpha=0.75, label=other[0], zorder=2)
    axes.plot(where, values, color=_LINE, linewidth=1.2, label="the map", zorder=3)
    axes.axhline(1, color=_GREY, linewidth=0.6, linestyle=":", zorder=1)
    axes.set_xlim(where[0] - 0.5, where[-1] + 0.5)
    axes.set_ylim(bottom=0)
    _finish(axes, xlabel, ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = axes.get_legend_handles_labels()
    for kind in dict.fromkeys(kind for kind, _ in ranges):
        handles.append(Patch(color=_MARKS.get(kind, _GREY), alpha=0.3, linewidth=0))
        labels.append({"uneven": "uneven stretch"}.get(kind, kind))
    axes.legend(handles, labels, frameon=False, fontsize=7.5, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    for panel, (period, phases) in zip(panels, shown):
        _phases(panel, period, phases)
    plain_text(figure.suptitle(title, fontsize=10))
    return figure


def _phases(axes: Axes, period: int, phases: Sequence[float]) -> None:
    means = np.asarray(phases, dtype=float)
    if period <= _MOST_PHASES:
        axes.bar(np.arange(period), means, color=_MARKS["comb"], width=0.8)
    else:
        axes.fill_between(np.arange(period), means, color=_MARKS["comb"], step="mid")
    axes.axhline(1, color=_GREY, linewidth=0.6, linestyle=":")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.set_title(f"period {period}", fontsize=8.5)
    _finish(axes, f"position modulo {period}", "")


def strand_picture(
    difference: npt.ArrayLike,
    chance: npt.ArrayLike,
    score: npt.ArrayLike,
    score_of_reverse: npt.ArrayLike,
    by_position: npt.ArrayLike,
    size_by_position: npt.ArrayLike,
) -> Figure:
    """Draw how far the maps of both strands differ, by sequence and by position, beside both strands' scores.

    Parameters
    ----------
    difference, chance : array-like, shape (N,)
        Of each sequence's two maps, and of maps of unrelated sequences.
    score, score_of_reverse : array-like, shape (N,)
        The explained scores.
    by_position, size_by_position : array-like, shape (L,)
        Mean difference, and mean size of the maps.
    """
    figure = Figure(figsize=(9.6, 3.0), facecolor="white", layout="constrained")
    shares, scores, places = figure.subplots(1, 3, width_ratios=[1.1, 1, 1.6])
    bins = np.linspace(0, 1, 26)
    shares.hist(np.asarray(chance), bins=bins, color="#D6D6D6", label="unrelated sequences")
    shares.hist(np.asarray(difference), bins=bins, color=_LINE, alpha=0.85, label="both strands")
    shares.legend(frameon=False, fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=1)
    _finish(shares, "difference of two maps (0: the same)", "sequences")
    one, other = np.asarray(score), np.asarray(score_of_reverse)
    low, high = float(min(one.min(), other.min())), float(max(one.max(), other.max()))
    margin = 0.05 * (high - low) or 1.0
    scores.plot([low, high], [low, high], color=_GREY, linewidth=0.7, linestyle=":")
    scores.scatter(one, other, s=7, color=_LINE, alpha=0.6, linewidths=0)
    scores.set_xlim(low - margin, high + margin)
    scores.set_ylim(low - margin, high + margin)
    _finish(scores, "score", "score of the reverse complement")
    where = np.arange(len(np.asarray(by_position)))
    places.plot(where, np.asarray(size_by_position), color=_PALE, linewidth=1.0, label="|relevance|")
    places.plot(where, np.asarray(by_position), color=_LINE, linewidth=1.2, label="|difference|")
    places.set_ylim(bottom=0)
    places.set_xlim(-0.5, len(where) - 0.5)
    places.legend(frameon=False, fontsize=7.5, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.15))
    _finish(places, "position (0-based)", "mean over sequences")
    plain_text(figure.suptitle("Both strands: is one map the other, turned round?", fontsize=10))
    return figure


def distractor_picture(
    names: Sequence[str], shares: Sequence[float], scrambled: Sequence[float], expected: Sequence[float]
) -> Figure:
    """Draw the share of |relevance| that each motif gets, its letters scrambled, and its share of the bases.

    Parameters
    ----------
    names : sequence of str
        Of the motifs.
    shares, scrambled, expected : sequence of float
        One a motif, from 0 to 1.
    """
    rows = np.arange(len(names))
    figure = Figure(figsize=(6.4, 1.3 + 0.42 * len(names)), facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.barh(rows - 0.19, 100 * np.asarray(shares), height=0.36, color=_LINE, label="the motif")
    axes.barh(rows + 0.19, 100 * np.asarray(scrambled), height=0.36, color=_PALE, label="its letters scrambled")
    axes.vlines(
        100 * np.asarray(expected),
        rows - 0.42,
        rows + 0.42,
        color=_OTHER,
        linewidth=1.4,
        label="its share of the bases",
    )
    axes.set_yticks(rows, list(names))
    for label in axes.get_yticklabels():
        plain_text(label)
    axes.invert_yaxis()
    _finish(axes, "% of |relevance|", "")
    axes.legend(frameon=False, fontsize=7.5, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    plain_text(figure.suptitle("Motifs that should not matter: what do they get?", fontsize=10))
    return figure


def amplitude_picture(
    amounts: Sequence[float],
    agreement: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    chance: float,
    tolerance: float,
    xlabel: str,
) -> Figure:
    """Draw how far maps agree with those of the input as it is, by how much the input is scaled or capped.

    Parameters
    ----------
    amounts : sequence of float
        Factors or caps; 1 is the input as it is and is added.
    agreement, low, high : sequence of float
        Means and intervals, from 0 to 1.
    chance : float
        Agreement of unrelated sequences.
    tolerance : float
        What mild changes are held to.
    xlabel : str
        What the amounts are.
    """
    order = np.argsort([*amounts, 1.0])
    at = np.array([*amounts, 1.0])[order]
    mean, bottom, top = (np.array([*values, 1.0])[order] for values in (agreement, low, high))
    figure = Figure(figsize=(5.2, 3.0), facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.fill_between(at, bottom, top, color=_PALE, alpha=0.5, linewidth=0)
    axes.plot(at, mean, color=_LINE, marker="o", markersize=4, label="mean, 95 % interval")
    axes.axhline(tolerance, color=_OTHER, linewidth=0.9, linestyle="--", label="tolerance")
    axes.axhline(chance, color=_GREY, linewidth=0.9, linestyle=":", label="unrelated sequences")
    axes.set_ylim(0, 1.03)
    if max(amounts) > 1:
        axes.set_xscale("log", base=2)
        axes.set_xticks(at, [f"{value:g}" for value in at])
        axes.minorticks_off()
    _finish(axes, xlabel, "agreement of the maps")
    axes.legend(frameon=False, fontsize=7.5, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=1.2)
    plain_text(figure.suptitle("The same letters, other numbers: is it the same map?", fontsize=10))
    return figure


def permutation_picture(
    own: npt.ArrayLike, permuted: npt.ArrayLike, inverted: npt.ArrayLike, *, shared: float, of_data: float
) -> Figure:
    """Draw mean |relevance| by position of a network and of one that was trained on permuted sequences.

    Parameters
    ----------
    own, permuted, inverted : array-like, shape (L,)
        Of the first network; of the second in its own order of positions, and after the permutation is inverted.
    shared, of_data : float
        Correlation of the first with either.
    """
    figure = Figure(figsize=(8.4, 4.0), facecolor="white", layout="constrained")
    for axes, (label, values, correlation) in zip(
        figure.subplots(2, 1, sharex=True, sharey=True),
        (
            ("as the networks had them (shared: the layers could do it)", permuted, shared),
            ("brought back to the sequence (shared: the data could do it)", inverted, of_data),
        ),
    ):
        axes.plot(np.asarray(own), color=_PALE, linewidth=1.6, label="trained on the sequences")
        axes.plot(np.asarray(values), color=_LINE, linewidth=1.0, label="trained on permuted ones")
        axes.axhline(1, color=_GREY, linewidth=0.6, linestyle=":")
        axes.set_xlim(-0.5, len(np.asarray(own)) - 0.5)
        axes.set_ylim(bottom=0)
        axes.set_title(f"positions {label}: correlation {correlation:.2f}", fontsize=8.5, loc="left")
        _finish(axes, "", "mean |relevance|")
    axes.set_xlabel("position (0-based)", fontsize=8.5)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=8, ncols=2, loc="outside lower center")
    plain_text(figure.suptitle("Positions permuted and retrained: which pattern stays?", fontsize=10))
    return figure


def _finish(axes: Axes, xlabel: str, ylabel: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_xlabel(xlabel, fontsize=8.5)
    axes.set_ylabel(ylabel, fontsize=8.5)
