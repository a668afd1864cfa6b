"""Which motifs to audit with: the one that the model answers to most, and ones that it was not seen to answer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqplrp.genomics.motifs import Motif
from seqplrp.recovery.audit.subject import Backgrounds, Floats, Subject, planted, random_starts, word_of

_BACKGROUNDS = 16
_LEAST_T = 4.0  # of an effect on the score, to be called one: 1 in 1000 for 16 backgrounds, a third of it for 50 motifs


@dataclass(frozen=True)
class Effect:
    """What a motif's consensus does to the score.

    Attributes
    ----------
    motif : Motif
        The motif.
    mean : float
        Mean change of the score over backgrounds, against those without it.
    t : float
        That over its standard error.
    moves_others : bool
        Whether it moves another output of the model beyond doubt; no is no proof that it does not.
    """

    motif: Motif
    mean: float
    t: float
    moves_others: bool = False

    @property
    def answered(self) -> bool:
        """Whether the model answers to it beyond doubt."""
        return abs(self.t) > _LEAST_T


def effects_of(
    subject: Subject, backgrounds: Backgrounds, motifs: Sequence[Motif], rng: np.random.Generator
) -> list[Effect]:
    """Write each motif's consensus into the same backgrounds and see what it does to the score.

    Motifs that are wider than the sequences are left out.
    """
    fitting = [motif for motif in motifs if motif.width <= subject.length // 2]
    if not fitting:
        return []
    codes = backgrounds.draw(_BACKGROUNDS, rng)
    before = subject.maps(codes).output
    places = [random_starts(_BACKGROUNDS, subject.length, motif.width, rng) for motif in fitting]
    with_motif = [planted(codes, word_of(motif), at) for motif, at in zip(fitting, places, strict=True)]
    written = np.concatenate(with_motif)
    change = subject.maps(written).output.reshape(len(fitting), _BACKGROUNDS) - before
    on_others = subject.others_of(written).reshape(len(fitting), _BACKGROUNDS, -1) - subject.others_of(codes)
    least = _least_t_of_others(on_others.shape[2])
    moved = [any(abs(t_statistic(one)) > least for one in each.T) for each in on_others]
    return [
        Effect(m, float(c.mean()), t_statistic(c), moves) for m, c, moves in zip(fitting, change, moved, strict=True)
    ]


def _least_t_of_others(outputs: int) -> float:
    """Return the t that the effect on one of several outputs must exceed: 1 motif in 100 is left out in error."""
    from scipy import stats

    return float(stats.t.isf(0.005 / max(outputs, 1), _BACKGROUNDS - 1))


def t_statistic(values: Floats) -> float:
    """Return the mean over its standard error; 0 where all values are 0."""
    error = values.std(ddof=1) / len(values) ** 0.5
    mean = float(values.mean())
    return float(mean / max(error, 1e-9 * abs(mean))) if mean else 0.0


def strongest(effects: Sequence[Effect]) -> Effect | None:
    """Return the motif that raises the score most; failing that, the one that lowers it most; None if none moves it."""
    answered = [effect for effect in effects if effect.answered]
    raising = [effect for effect in answered if effect.mean > 0] or answered
    return max(raising, key=lambda effect: abs(effect.mean), default=None)


def unanswered(effects: Sequence[Effect], most: int) -> list[Motif]:
    """Return motifs to which no output was seen to answer, those of the smallest effect first.

    These are candidates: 16 backgrounds do not show that the model does not use them, and the check measures that.
    """
    quiet = sorted(
        (effect for effect in effects if abs(effect.t) < 2 and not effect.moves_others),
        key=lambda effect: abs(effect.mean),
    )
    return [effect.motif for effect in quiet[:most]]
