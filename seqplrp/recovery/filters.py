"""Which first-layer filters carry the relevance, and what their best windows have in common.

The relevance at the output of a convolution says how much each filter contributed at each position. A `FilterTally`
counts that up over batches of any number of sequences, and keeps each filter's best windows alone: memory grows with
the filters and the windows kept, not with the sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs import Motif
from seqplrp.recovery.layer_reading import Reading
from seqplrp.recovery.truth import UNINFORMATIVE_BITS

FEWEST_WINDOWS = 10
"""Fewer windows say nothing: random ones agree by 0.2 bit a position then."""

FEWEST_POSITIONS = 3
"""Positions that must stand out from the background before windows are called a motif."""

_CHANCE = 0.01  # of any position standing out in random windows
_PSEUDOCOUNT = 1.0  # sites of background composition

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]


class Geometry(Protocol):
    """How a convolution reads: output j takes the positions ``j * stride - padding + dilation * (0 ... kernel-1)``."""

    @property
    def kernel(self) -> int:
        """Positions that are read."""

    @property
    def stride(self) -> int:
        """Input positions from one output to the next."""

    @property
    def padding(self) -> int:
        """Positions before the sequence at which the first window starts."""

    @property
    def dilation(self) -> int:
        """Input positions from one that is read to the next."""


@dataclass(frozen=True)
class BestWindows:
    """The windows of a filter with the highest relevance, from the highest down.

    Attributes
    ----------
    codes : ndarray of uint8, shape (K, W)
        Their bases, A = 0 ... T = 3.
    relevance : ndarray of float64, shape (K,)
        What the filter carries there, above 0.
    ids : tuple of str
        Their sequences.
    starts : ndarray of int64, shape (K,)
        Where they start in those, 0-based, from the left whatever the strand.
    strands : tuple of {"+", "-"}
        "-" where the layer reads the reverse complement; `codes` are what it reads.
    """

    codes: Codes
    relevance: Floats
    ids: tuple[str, ...]
    starts: npt.NDArray[np.int64]
    strands: tuple[Literal["+", "-"], ...]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.codes)

    def counts(self) -> npt.NDArray[np.int64]:
        """Return how often each base stands at each position: (W, 4)."""
        return np.stack([(self.codes == base).sum(0) for base in range(4)], axis=1)


@dataclass(frozen=True)
class LayerFilter:
    """One filter's part in the relevance of all sequences.

    Attributes
    ----------
    layer : str
        Module path of its convolution.
    index : int
        Its channel.
    share, absolute_share : float
        Its part of the positive relevance, and of the absolute relevance, of all filters of all layers looked at.
    positive, negative : float
        The sums of its positive and of its negative relevance.
    active : int
        Sequences in which it carries any relevance.
    leading : int
        Sequences in which no other filter of its layer carries more positive relevance.
    left_out_share : float
        Part of its positive relevance on windows that reach over an end of the sequence or hold an N, which are never
        among the best ones; NaN if it has none. Much of it there hints at an artefact of padding.
    windows : BestWindows
        The windows that carry most.
    motif : Motif or None
        Their base frequencies, with one site of the background as pseudocount; None if there are too few windows.
    core : (start, end) or None
        The part of the motif between the first and the last position that stand out; None if too few do.
    """

    layer: str
    index: int
    share: float
    absolute_share: float
    positive: float
    negative: float
    active: int
    leading: int
    left_out_share: float
    windows: BestWindows
    motif: Motif | None
    core: tuple[int, int] | None

    @property
    def name(self) -> str:
        """The layer and the channel, as in ``features.0:17``."""
        return f"{self.layer or 'model'}:{self.index}"

    @property
    def core_motif(self) -> Motif | None:
        """The motif without the flanks that say nothing."""
        if self.motif is None or self.core is None:
            return None
        start, end = self.core
        motif = self.motif
        return Motif(
            motif.name, motif.probabilities[start:end], nsites=motif.nsites, url=motif.url, background=motif.background
        )

    @property
    def status(self) -> str:
        """What kept the filter from having a motif; "" if it has one."""
        if self.positive == 0 and self.negative == 0:
            return "no relevance"
        if self.positive == 0:
            return "no positive relevance"
        if self.motif is None:
            return "too few windows"
        return "" if self.core is not None else "no information"


class FilterTally:
    """Counts up the relevance of one convolution's filters, batch by batch.

    Parameters
    ----------
    layer : str
        Its module path.
    filters : int
        Its output channels, C.
    geometry : Geometry
        How it reads its input.
    top : int
        Windows to keep for each filter.
    per_sequence : int
        How many of them one sequence may give; several do not overlap.

    Raises
    ------
    SeqplrpError
        If `top` or `per_sequence` is below 1.

    Notes
    -----
    Windows that reach over an end of the sequence, or hold an N, count in all sums but are never kept: a matrix counted
    from them would have fewer bases in some positions than in others. Of windows of equal relevance the earlier
    sequence's and the earlier position is kept, so cutting the sequences into other batches changes nothing.
    """

    def __init__(
        self,
        layer: str,
        filters: int,
        geometry: Geometry,
        *,
        top: int = 100,
        per_sequence: int = 1,
    ) -> None:
        for label, value in (("top", top), ("per_sequence", per_sequence)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise SeqplrpError(label, f"{value!r} is not a whole number >= 1", "keep for example 100 windows")
        self.layer, self.geometry = layer, geometry
        self.top, self.per_sequence = top, per_sequence
        self.width = geometry.dilation * (geometry.kernel - 1) + 1
        self.sequences = 0
        self.bases = np.zeros(4, dtype=np.int64)
        self.positive, self.negative, self.left_out = (np.zeros(filters) for _ in range(3))
        self.active, self.leading = (np.zeros(filters, dtype=np.int64) for _ in range(2))
        self._kept = _no_windows(filters, self.width)

    def add(self, relevance: Any, codes: npt.ArrayLike, ids: Sequence[str], reading: Reading | None = None) -> None:
        """Count a batch in.

        Parameters
        ----------
        relevance : array-like or Tensor, shape (N, C, L_out)
            At the layer's output.
        codes : array of uint8, shape (N, L)
            The sequences, A = 0 ... T = 3, N = 4.
        ids : sequence of str
            Their N names.
        reading : Reading, optional
            How the layer's input lies on them; they are that input unless given.

        Raises
        ------
        SeqplrpError
            If the shapes do not fit one another or the layer's geometry, or a value is not finite.
        """
        values = np.asarray(relevance.detach().cpu() if hasattr(relevance, "detach") else relevance)
        letters = np.asarray(codes, dtype=np.uint8)
        reading = Reading() if reading is None else reading
        self._check(values, letters, ids, reading)
        if reading.reverse:
            letters = np.where(letters < 4, 3 - letters, letters)[:, ::-1]
        starts = np.arange(values.shape[2]) * self.geometry.stride - self.geometry.padding - reading.left
        whole = _whole_windows(letters, starts, self.width, reading)
        above = np.maximum(values, 0)
        carried = above.sum(2, dtype=np.float64)
        self.positive += carried.sum(0)
        self.negative += np.minimum(values, 0).sum((0, 2), dtype=np.float64)
        self.active += (values != 0).any(2).sum(0)
        most = carried.argmax(1)[carried.max(1) > 0]
        self.leading += np.bincount(most, minlength=len(self.leading))
        above = np.where(whole[:, None, :], above, 0)
        self.left_out += (carried - above.sum(2, dtype=np.float64)).sum(0)
        self.bases += np.bincount(letters.ravel(), minlength=5)[:4]
        found = _best_of_each(above, starts, self.width, self.per_sequence)
        self._kept = _merged(self._kept, _Batch(letters, ids, reading.reverse, self.sequences), found, self.top)
        self.sequences += len(letters)

    def _check(self, values: npt.NDArray[Any], letters: Codes, ids: Sequence[str], reading: Reading) -> None:
        where = f"layer {self.layer!r}"
        if values.ndim != 3 or values.shape[1] != len(self.positive):
            raise SeqplrpError(
                where, f"relevance of shape {values.shape}, not (N, {len(self.positive)}, L)", "pass a conv1d's output"
            )
        if letters.ndim != 2 or not len(values) == len(letters) == len(ids):
            what = f"{len(values)} maps, codes of shape {letters.shape} and {len(ids)} names do not fit"
            raise SeqplrpError(where, what, "pass one row of codes and one name a map")
        if not np.isfinite(values).all():
            raise SeqplrpError(where, "its relevance holds NaN or infinite values", "check the model's weights")
        # What pads or crops the sequence before the layer shifts every window without any other sign.
        padded = letters.shape[1] + reading.left + reading.right + 2 * self.geometry.padding
        unread = padded - (values.shape[2] - 1) * self.geometry.stride - self.width
        if not -1 <= unread < self.geometry.stride:  # -1: "same" may pad one more at the right
            raise SeqplrpError(
                where,
                f"its {values.shape[2]} outputs do not fit {letters.shape[1]} bases read by windows of {self.width}, "
                f"stride {self.geometry.stride} and padding {self.geometry.padding}",
                "say how its input lies on the sequence (reading=...)",
            )

    def windows(self, filter_: int) -> BestWindows:
        """Return the best windows of one filter so far."""
        kept = self._kept
        n = int((kept.relevance[filter_] > 0).sum())
        return BestWindows(
            kept.codes[filter_, :n].copy(),
            kept.relevance[filter_, :n].copy(),
            tuple(kept.ids[filter_, :n]),
            kept.starts[filter_, :n].copy(),
            tuple("-" if turned else "+" for turned in kept.reverse[filter_, :n]),
        )


def leading_filters(tallies: Sequence[FilterTally], *, fewest: int = FEWEST_WINDOWS) -> list[LayerFilter]:
    """Describe every filter, by its share of the positive relevance from the largest down.

    Parameters
    ----------
    tallies : sequence of FilterTally
        One for each first layer; shares are of their relevance together, since together they carry the score.
    fewest : int
        Windows below which no motif is made of them.

    Raises
    ------
    SeqplrpError
        If there is no tally, or none has seen a sequence.
    """
    if not tallies or not any(tally.sequences for tally in tallies):
        raise SeqplrpError("tallies", "no sequence was counted", "add at least one batch")
    positive = sum(float(tally.positive.sum()) for tally in tallies)
    absolute = positive - sum(float(tally.negative.sum()) for tally in tallies)
    background = background_of(tallies[0].bases)
    found = [
        _describe(tally, index, positive, absolute, background, fewest)
        for tally in tallies
        for index in range(len(tally.positive))
    ]
    return sorted(found, key=lambda one: (-one.share, -one.absolute_share))


def background_of(bases: npt.NDArray[np.int64]) -> Floats:
    """Return base frequencies from counts, one added to each so that none is 0."""
    return np.asarray((bases + 1) / (bases.sum() + 4))


def _describe(
    tally: FilterTally, index: int, positive: float, absolute: float, background: Floats, fewest: int
) -> LayerFilter:
    mine, against = float(tally.positive[index]), float(tally.negative[index])
    windows = tally.windows(index)
    motif, core = None, None
    if len(windows) >= fewest:
        counts = windows.counts()
        bare = Motif(
            f"{tally.layer or 'model'}:{index}",
            counts / len(windows),
            nsites=len(windows),
            background=background,
        )
        motif = bare.with_pseudocount(_PSEUDOCOUNT)
        core = informative_core(counts, background)
    return LayerFilter(
        tally.layer,
        index,
        mine / positive if positive else 0.0,
        (mine - against) / absolute if absolute else 0.0,
        mine,
        against,
        int(tally.active[index]),
        int(tally.leading[index]),
        max(0.0, float(tally.left_out[index])) / mine if mine else float("nan"),
        windows,
        motif,
        core,
    )


def informative_core(counts: npt.ArrayLike, background: npt.ArrayLike) -> tuple[int, int] | None:
    """Find the part of a count matrix between its first and last position that stand out from the background.

    A position stands out if its frequencies p differ from the background b by at least 0.1 bit, and by more than random
    windows do: the likelihood-ratio statistic ``2 n ln(2) sum p log2(p / b)`` of n windows follows a chi-squared
    distribution of 3 degrees of freedom there, of which the upper hundredth is taken, divided by the number of
    positions (Bonferroni).

    Parameters
    ----------
    counts : array, shape (W, 4)
        Whole windows: rows of one sum.
    background : array of 4
        Base frequencies, above 0.

    Returns
    -------
    (start, end) or None
        0-based, half-open; None if fewer than 3 positions stand out.
    """
    table = np.asarray(counts, dtype=np.float64)
    totals = table.sum(1, keepdims=True)
    if not totals.all():
        return None
    p = table / totals
    bits = (p * np.log2(np.where(p > 0, p, 1.0) / np.asarray(background))).sum(1)
    limit = chi2.isf(_CHANCE / len(table), 3) / (2 * np.log(2) * totals[:, 0])
    clear = np.flatnonzero(bits >= np.maximum(limit, UNINFORMATIVE_BITS))
    if len(clear) < FEWEST_POSITIONS:
        return None
    return int(clear[0]), int(clear[-1]) + 1


@dataclass(frozen=True)
class _Kept:
    """The best windows of all filters, (C, K) each, from the highest relevance down; 0 where there is none."""

    relevance: Floats
    order: npt.NDArray[np.int64]  # number of the sequence: the earlier one goes first among equals
    starts: npt.NDArray[np.int64]
    codes: Codes  # (C, K, W)
    ids: npt.NDArray[np.object_]
    reverse: npt.NDArray[np.bool_]


def _no_windows(filters: int, width: int) -> _Kept:
    integers = np.zeros((filters, 0), dtype=np.int64)
    return _Kept(
        np.zeros((filters, 0)),
        integers,
        integers,
        np.zeros((filters, 0, width), dtype=np.uint8),
        np.zeros((filters, 0), dtype=object),
        np.zeros((filters, 0), dtype=bool),
    )


def _whole_windows(
    letters: Codes, starts: npt.NDArray[np.int64], width: int, reading: Reading
) -> npt.NDArray[np.bool_]:
    """Tell which windows lie on what is read of the sequence and hold no N: (N, L_out)."""
    length = letters.shape[1]
    unknown = np.zeros((len(letters), length + 1), dtype=np.int64)
    unknown[:, 1:] = (letters > 3).cumsum(1)
    inside = (starts >= max(0, -reading.left)) & (starts + width <= length + min(0, reading.right))
    left, right = (np.clip(at, 0, length) for at in (starts, starts + width))
    return np.asarray(inside & (unknown[:, right] == unknown[:, left]))


@dataclass(frozen=True)
class _Found:
    """The best windows of each sequence of a batch, one row a sequence and turn, as (N * turns, C)."""

    relevance: npt.NDArray[Any]
    rows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]


def _best_of_each(above: npt.NDArray[Any], starts: npt.NDArray[np.int64], width: int, turns: int) -> _Found:
    """Take the highest window of each sequence and filter, then the highest that does not overlap it, and so on.

    What is taken is set to 0 in `above`.
    """
    relevance, places = [], []
    stride = int(starts[1] - starts[0]) if len(starts) > 1 else 1
    beside = np.arange(1 - width, width)
    beside = beside[beside % stride == 0] // stride
    for turn in range(turns):
        at = above.argmax(2)
        relevance.append(np.take_along_axis(above, at[:, :, None], 2)[:, :, 0])
        places.append(starts[at])
        if turn + 1 < turns:
            # Clipping can't hit a window that does not overlap: those at the ends are nearer than the ones clipped.
            overlapping = np.clip(at[:, :, None] + beside, 0, len(starts) - 1)
            np.put_along_axis(above, overlapping, 0, 2)
    rows = np.tile(np.arange(len(above)), turns)
    return _Found(np.concatenate(relevance), rows, np.concatenate(places))


@dataclass(frozen=True)
class _Batch:
    """Sequences as they are read (turned, if reversed), and how many came before them."""

    letters: Codes
    ids: Sequence[str]
    reverse: bool
    before: int


def _merged(kept: _Kept, batch: _Batch, found: _Found, top: int) -> _Kept:
    """Merge a batch's best windows into those kept so far."""
    filters, old = kept.relevance.shape
    width = kept.codes.shape[2]
    new_starts = batch.letters.shape[1] - width - found.starts if batch.reverse else found.starts
    relevance = np.concatenate([kept.relevance, found.relevance.T], axis=1)
    order = np.concatenate([kept.order, np.tile(found.rows + batch.before, (filters, 1))], axis=1)
    starts = np.concatenate([kept.starts, new_starts.T], axis=1)
    chosen = np.lexsort((starts, order, -relevance), axis=1)[:, :top]
    picked = np.take_along_axis(relevance, chosen, 1)
    most = int((picked > 0).sum(1).max(initial=0))
    chosen, picked = chosen[:, :most], picked[:, :most]

    codes = np.zeros((*chosen.shape, width), dtype=np.uint8)
    names, reverse = np.full(chosen.shape, "", dtype=object), np.zeros(chosen.shape, dtype=bool)
    at = np.nonzero(chosen < old)
    for into, source in ((codes, kept.codes), (names, kept.ids), (reverse, kept.reverse)):
        into[at] = source[at[0], chosen[at]]
    at = np.nonzero((chosen >= old) & (picked > 0))
    rows = found.rows[chosen[at] - old]
    first = found.starts.T[at[0], chosen[at] - old]
    codes[at] = batch.letters[rows[:, None], first[:, None] + np.arange(width)]
    names[at] = np.array(list(batch.ids), dtype=object)[rows]
    reverse[at] = batch.reverse
    return _Kept(
        picked, np.take_along_axis(order, chosen, 1), np.take_along_axis(starts, chosen, 1), codes, names, reverse
    )
