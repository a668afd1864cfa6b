"""Which first-layer filters carry the relevance, and what their best windows have in common.

The relevance at the output of a convolution says how much each filter contributed at each position. A `FilterTally`
counts that up over batches of any number of sequences, and keeps each filter's best windows alone: memory grows with
the filters and the windows kept, not with the sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs import Motif
from seqplrp.recovery.best_windows import Batch, BestWindows, best_of_each, merged, no_windows, whole_windows
from seqplrp.recovery.informative_cores import background_of, informative_core
from seqplrp.recovery.layer_reading import Reading

FEWEST_WINDOWS = 10
"""Fewer windows say nothing: random ones agree by 0.2 bit a position then."""

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
        self._kept = no_windows(filters, self.width)

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
        whole = whole_windows(letters, starts, self.width, reading)
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
        found = best_of_each(above, starts, self.width, self.per_sequence)
        self._kept = merged(self._kept, Batch(letters, ids, reading.reverse, self.sequences), found, self.top)
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
