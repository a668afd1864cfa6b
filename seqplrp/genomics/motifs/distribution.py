"""How probable each score of a motif is in random DNA: exact p-values and thresholds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs.model import Motif, check_background

_FINEST_STEP = 1e-3  # bits
_MOST_STEPS = 1_000_000  # keeps the distribution small where a motif is very wide
NEVER = np.iinfo(np.int64).min  # log-odds, in steps, of a base that can't be


@dataclass(frozen=True)
class ScoreDistribution:
    """The exact distribution of a motif's score over random DNA of independent bases.

    Log-odds are rounded to whole numbers of `step` bits and the scores are sums of those, so that p-values
    are exact for the scores as reported. A score off by rounding differs from the unrounded one by no more
    than W step / 2.

    Attributes
    ----------
    steps : ndarray of int64, shape (W, 4)
        Log-odds in steps; the lowest int64 where a base is impossible.
    step : float
        Bits a step.
    lowest : int
        Lowest possible score, in steps.
    tail : ndarray of float64
        ``tail[k]`` is the probability of a score of at least ``lowest + k`` steps.
    """

    steps: npt.NDArray[np.int64]
    step: float
    lowest: int
    tail: npt.NDArray[np.float64]

    def threshold(self, p_value: float) -> int:
        """Lowest possible score, in steps, whose tail probability is no more than `p_value`."""
        rare = np.flatnonzero(self.tail <= p_value)
        # A score that no word reaches has the tail of the next higher one; the first rare entry may be such a
        # gap, which is as good a threshold as the score above it, and every hit is the same.
        return self.lowest + int(rare[0])


def score_distribution(
    motif: Motif, background: npt.ArrayLike | None = None, pseudocount: float = 0.1
) -> ScoreDistribution:
    """Work out a motif's score distribution by dynamic programming over its positions.

    Parameters
    ----------
    motif : Motif
    background : array of 4, optional
        Base frequencies both of the log-odds and of the random DNA; the motif's own where None.
    pseudocount : float
        As `Motif.log_odds` takes it.
    """
    bases = motif.background if background is None else check_background(background, "background")
    return _distribution(motif, tuple(bases.tolist()), pseudocount)


@lru_cache(maxsize=16)  # a distribution may take 8 MB
def _distribution(motif: Motif, background: tuple[float, ...], pseudocount: float) -> ScoreDistribution:
    bases = np.array(background)
    bits = motif.log_odds(bases, pseudocount)
    possible = np.isfinite(bits)
    high = np.where(possible, bits, -np.inf).max(axis=1)
    low = np.where(possible, bits, np.inf).min(axis=1)
    step = max(_FINEST_STEP, float((high - low).sum()) / _MOST_STEPS)
    steps = np.full(bits.shape, NEVER, dtype=np.int64)
    steps[possible] = np.rint(bits[possible] / step).astype(np.int64)

    mass = np.ones(1)
    lowest = 0
    for row, allowed in zip(steps, possible):
        least = int(row[allowed].min())
        grown = np.zeros(len(mass) + int(row[allowed].max()) - least)
        for value, frequency in zip(row[allowed], bases[allowed]):
            shift = int(value) - least
            grown[shift : shift + len(mass)] += frequency * mass
        mass, lowest = grown, lowest + least
    tail = mass[::-1].cumsum()[::-1]  # summed from the rare end, so that small p-values keep their digits
    for shared in (steps, tail):
        shared.setflags(write=False)
    return ScoreDistribution(steps, step, lowest, tail)


def score_threshold(
    motif: Motif, p_value: float, background: npt.ArrayLike | None = None, pseudocount: float = 0.1
) -> float:
    """Return the score in bits from which a random word has a probability of no more than `p_value`.

    Parameters
    ----------
    motif : Motif
    p_value : float
        Above 0, at most 1.
    background : array of 4, optional
        Base frequencies; the motif's own where None.
    pseudocount : float
        As `Motif.log_odds` takes it.

    Raises
    ------
    SeqplrpError
        If no word is as rare as `p_value`: a scan could then find nothing, whatever the sequence.
    """
    distribution = score_distribution(motif, background, pseudocount)
    return threshold_steps(motif, distribution, p_value) * distribution.step


def threshold_steps(motif: Motif, distribution: ScoreDistribution, p_value: float) -> int:
    """Return the threshold in steps, or raise the error of `score_threshold`."""
    if not 0 < p_value <= 1:
        raise SeqplrpError("p_value", f"is {p_value}", "give a probability above 0 and up to 1")
    best = float(distribution.tail[-1])
    # 1e-12: the sums of the distribution carry rounding of that order
    if best > p_value * (1 + 1e-12):
        raise SeqplrpError(
            "p_value",
            f"no word of the {motif.width} bp motif {motif.name} is as rare as {p_value:g}",
            f"give {_rounded_up(best):g} or more, the probability of its best word",
        )
    return distribution.threshold(p_value * (1 + 1e-12))


def _rounded_up(value: float) -> float:
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit * (1 - 1e-9)) * unit
