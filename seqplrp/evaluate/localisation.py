"""Does the relevance lie where the truth is? Measures against a mask of truth positions (METHODS, section 6).

Every function takes per-base relevance ``r`` (N, L) and a truth mask ``T`` (N, L), and gives one value per
sequence. Positions in ``ignore`` (padding, N, motif positions without information) belong neither to the
truth nor to the background and are left out of every sum and ranking. All other positions are background,
distractor motifs too: relevance on them is relevance in the wrong place.

Where a value is undefined it is NaN, never 0: for every measure where the map is 0 at all counted
positions; for every measure but ``distractor_mass`` where the truth or the background is empty; where no
relevance is positive for ``rma``; where the background carries nothing for ``snr``; where there is no
distractor for ``distractor_mass``.

Ties are never broken by position. A pruned map has many equal values (zeros above all), so ``rra`` and
``pointing`` are the expected values under random order within ties, and ``auroc`` and ``auprc`` move a
whole group of ties at once, as scikit-learn's ``roc_auc_score`` and ``average_precision_score`` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqplrp.evaluate.arrays import BoolArray, FloatArray, as_map, as_mask, ratio, scaled_to_one

_LOUDEST = 10
"""How many background positions set the noise level of :func:`snr`."""

IntArray = npt.NDArray[np.int64]


def localisation(relevance: Any, truth: Any, *, ignore: Any = None, distractor: Any = None) -> dict[str, FloatArray]:
    """Give all localisation measures of a batch, by one sort.

    Parameters
    ----------
    relevance : array-like or torch.Tensor, shape (N, L)
        Signed per-base relevance.
    truth : array-like of bool, shape (N, L)
        Positions that support the explained class.
    ignore : array-like of bool, shape (N, L), optional
        Positions that are neither truth nor background. It goes before ``truth`` and ``distractor``.
    distractor : array-like of bool, shape (N, L), optional
        Motif positions that the explained class does not use. Where one is truth as well, it is truth.

    Returns
    -------
    dict of str to ndarray, shape (N,)
        Keys are the names in ``LOCALISATION_MEASURES``.

    Raises
    ------
    SeqplrpError
        If shapes do not fit or the relevance is not finite.
    """
    scene = _Scene.of(relevance, truth, ignore, distractor)
    ranking = _Ranking.of(scene)
    return {
        "rma": _rma(scene, absolute=False),
        "rma_abs": _rma(scene, absolute=True),
        "rra": _rra(scene, ranking),
        "auroc": _auroc(scene, ranking),
        "auprc": _auprc(scene, ranking),
        "pointing": _pointing(scene, ranking),
        "snr": _snr(scene),
        "distractor_mass": _distractor_mass(scene),
    }


def rma(relevance: Any, truth: Any, *, ignore: Any = None, absolute: bool = False) -> FloatArray:
    """Relevance mass accuracy: the share of the positive (or absolute) relevance that lies on the truth.

    ``sum over T of r+ / sum of r+``; with ``absolute`` the same of |r|. NaN where the denominator is 0.
    Source: Arras, Osman, Samek, Information Fusion 2022 (CLEVR-XAI); METHODS, section 6.
    """
    return _rma(_Scene.of(relevance, truth, ignore), absolute)


def rra(relevance: Any, truth: Any, *, ignore: Any = None) -> FloatArray:
    """Relevance rank accuracy: the share of the K = |T| highest positions that lie on the truth.

    With v the K-th highest value, a positions above it (h of them truth) and m positions equal to it (t of
    them truth), K - a of the m ties are taken. Under random order the expected share is ``(h + (K - a) t /
    m) / K``, which is what is given. Source: Arras, Osman, Samek 2022; METHODS, section 6.
    """
    scene = _Scene.of(relevance, truth, ignore)
    return _rra(scene, _Ranking.of(scene))


def auroc(relevance: Any, truth: Any, *, ignore: Any = None) -> FloatArray:
    """Area under the ROC curve of r against T; ties count one half (as scikit-learn's ``roc_auc_score``)."""
    scene = _Scene.of(relevance, truth, ignore)
    return _auroc(scene, _Ranking.of(scene))


def auprc(relevance: Any, truth: Any, *, ignore: Any = None) -> FloatArray:
    """Average precision of r against T: sum of (gain in recall) x precision over the distinct values of r.

    The same number as scikit-learn's ``average_precision_score``; ties enter together.
    """
    scene = _Scene.of(relevance, truth, ignore)
    return _auprc(scene, _Ranking.of(scene))


def pointing_game(relevance: Any, truth: Any, *, ignore: Any = None) -> FloatArray:
    """Whether the highest position lies on the truth: 1 or 0, or the share of the tied maxima that do."""
    scene = _Scene.of(relevance, truth, ignore)
    return _pointing(scene, _Ranking.of(scene))


def snr(relevance: Any, truth: Any, *, ignore: Any = None) -> FloatArray:
    """Signal-to-noise ratio: mean r on the truth over the mean |r| of the 10 loudest background positions.

    With fewer background positions all of them are taken. Negative relevance on the truth lowers the
    signal. The noise of the loudest positions, not of all, is what a reader of a logo sees (after Koo and
    Ploenzke, Nature Machine Intelligence 2021), and it stays defined for pruned maps until the whole
    background is 0.
    """
    return _snr(_Scene.of(relevance, truth, ignore))


def distractor_mass(relevance: Any, distractor: Any, *, truth: Any = None, ignore: Any = None) -> FloatArray:
    """Share of the absolute relevance that lies on motifs which the explained class does not use.

    NaN where the sequence has no distractor position. Positions that are truth as well are truth.
    """
    return _distractor_mass(_Scene.of(relevance, truth, ignore, distractor))


@dataclass(frozen=True)
class _Scene:
    """A batch with its masks made disjoint: truth, background (which holds the distractors), and the rest."""

    relevance: FloatArray
    truth: BoolArray
    background: BoolArray
    distractor: BoolArray
    defined: BoolArray  # (N,) something to find, something to tell it from, and a map that is not all zero

    @classmethod
    def of(cls, relevance: Any, truth: Any, ignore: Any = None, distractor: Any = None) -> _Scene:
        values = as_map(relevance)
        shape = (values.shape[0], values.shape[1])
        counted = ~as_mask(ignore, shape, "ignore")
        true = as_mask(truth, shape, "truth") & counted
        false = counted & ~true
        speaks = ((values != 0) & counted).any(axis=1)
        return cls(
            relevance=np.where(counted, values, 0.0),
            truth=true,
            background=false,
            distractor=as_mask(distractor, shape, "distractor") & false,
            defined=speaks & true.any(axis=1) & false.any(axis=1),
        )


@dataclass(frozen=True)
class _Ranking:
    """Counted positions from the highest relevance down, with the tie group that each place belongs to.

    Arrays are (N, L); places from ``truth + background`` on are not counted and hold no truth.
    """

    is_truth: BoolArray
    hits: IntArray  # truth positions up to and with this place
    first: IntArray  # first place of this place's tie group
    last: IntArray  # last place of it

    @classmethod
    def of(cls, scene: _Scene) -> _Ranking:
        counted = scene.truth | scene.background
        # Not-counted positions go to the end: finite values sort before infinity.
        order = np.argsort(np.where(counted, -scene.relevance, np.inf), axis=1)
        value = np.take_along_axis(scene.relevance, order, axis=1)
        is_truth = np.take_along_axis(scene.truth, order, axis=1)
        length = value.shape[1]
        place = np.arange(length)
        # A group ends where the value changes, at the last counted place, and at the last place of all.
        ends = np.ones(value.shape, dtype=bool)
        ends[:, :-1] = value[:, 1:] != value[:, :-1]
        ends |= place == counted.sum(axis=1, keepdims=True) - 1
        starts = np.ones(value.shape, dtype=bool)
        starts[:, 1:] = ends[:, :-1]
        last = np.minimum.accumulate(np.where(ends, place, length)[:, ::-1], axis=1)[:, ::-1]
        first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
        return cls(is_truth, np.cumsum(is_truth, axis=1), first, last)

    def group(self, place: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """For one place (N,) each: places before its tie group, hits there, the group's size, hits in it."""
        at = place[:, None]
        first = np.take_along_axis(self.first, at, axis=1)
        last = np.take_along_axis(self.last, at, axis=1)
        before = np.take_along_axis(self.hits - self.is_truth, first, axis=1)
        through = np.take_along_axis(self.hits, last, axis=1)
        return first[:, 0], before[:, 0], (last - first + 1)[:, 0], (through - before)[:, 0]


def _rma(scene: _Scene, absolute: bool) -> FloatArray:
    unit = scaled_to_one(scene.relevance)
    mass = np.abs(unit) if absolute else np.maximum(unit, 0.0)
    return ratio((mass * scene.truth).sum(axis=1), mass.sum(axis=1), scene.defined)


def _rra(scene: _Scene, ranking: _Ranking) -> FloatArray:
    wanted = scene.truth.sum(axis=1)
    above, hits, ties, hits_in_ties = ranking.group(np.maximum(wanted - 1, 0))
    return ratio(hits + (wanted - above) * hits_in_ties / ties, wanted, scene.defined)


def _pointing(scene: _Scene, ranking: _Ranking) -> FloatArray:
    _, _, ties, hits = ranking.group(np.zeros(len(scene.defined), dtype=np.int64))
    return ratio(hits, ties, scene.defined)


def _auroc(scene: _Scene, ranking: _Ranking) -> FloatArray:
    hits_through = np.take_along_axis(ranking.hits, ranking.last, axis=1)
    hits_before = np.take_along_axis(ranking.hits - ranking.is_truth, ranking.first, axis=1)
    false_through = ranking.last + 1 - hits_through
    false_before = ranking.first - hits_before
    negatives = scene.background.sum(axis=1)
    # Twice the number of background positions that each place beats (a tie counts one half), so integers
    # stay exact.
    beaten = 2 * negatives[:, None] - false_through - false_before
    won = (beaten * ranking.is_truth).sum(axis=1)
    return ratio(won, 2 * scene.truth.sum(axis=1) * negatives, scene.defined)


def _auprc(scene: _Scene, ranking: _Ranking) -> FloatArray:
    hits_through = np.take_along_axis(ranking.hits, ranking.last, axis=1)
    precision = hits_through / (ranking.last + 1)
    return ratio((precision * ranking.is_truth).sum(axis=1), scene.truth.sum(axis=1), scene.defined)


def _snr(scene: _Scene) -> FloatArray:
    unit = scaled_to_one(scene.relevance)
    signal = ratio((unit * scene.truth).sum(axis=1), scene.truth.sum(axis=1), scene.defined)
    loudness = np.where(scene.background, np.abs(unit), 0.0)
    taken = min(_LOUDEST, loudness.shape[1])
    loudest = np.partition(loudness, -taken, axis=1)[:, -taken:].sum(axis=1)
    noise = ratio(loudest, np.minimum(scene.background.sum(axis=1), _LOUDEST), scene.defined)
    return ratio(signal, noise, np.nan_to_num(noise) > 0)


def _distractor_mass(scene: _Scene) -> FloatArray:
    mass = np.abs(scaled_to_one(scene.relevance))
    present = scene.distractor.any(axis=1)
    return ratio((mass * scene.distractor).sum(axis=1), mass.sum(axis=1), present)
