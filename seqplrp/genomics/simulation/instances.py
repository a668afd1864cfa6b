"""The letters of motif instances, and the scores that a scan gives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs import Motif, ScoreDistribution, score_distribution
from seqplrp.genomics.simulation.task import MotifUse

Codes = npt.NDArray[np.uint8]
_COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)
_RARELY = 0.01
_TRIALS = 4000


@dataclass(frozen=True)
class Scorer:
    """Scores of a motif against a background, and what counts as a match.

    Parameters
    ----------
    motif : Motif
    composition : tuple of 4 floats
        Of the background.
    p_value : float
        That a random word scores as well. A short motif whose best word is more frequent than that takes the best
        word's: its perfect matches are found, and nothing else.
    """

    motif: Motif
    composition: tuple[float, ...]
    p_value: float

    @property
    def distribution(self) -> ScoreDistribution:
        """Scores of random words (cached by the motifs room)."""
        return score_distribution(self.motif, self.composition)

    @property
    def reachable_p(self) -> float:
        """The p-value that a scan is run at."""
        return max(self.p_value, float(self.distribution.tail[-1]))

    def score(self, words: Codes) -> npt.NDArray[np.int64]:
        """Score words (n, W), read along the motif's strand, in the distribution's steps."""
        steps: npt.NDArray[np.int64] = self.distribution.steps
        scores: npt.NDArray[np.int64] = steps[np.arange(self.motif.width), words].sum(axis=1)
        return scores

    def strength(self, words: Codes) -> npt.NDArray[np.int64]:
        """Score words as the thousandth part of the best word's score, 0 where they score below 0."""
        best = max(1, int(self.distribution.steps.max(axis=1).sum()))
        return (np.maximum(self.score(words), 0) * 1000 / best).round().astype(np.int64)

    def matches(self, words: Codes) -> npt.NDArray[np.bool_]:
        """Say which words a scan would find."""
        # 1e-12: as the scan allows for rounding
        return self.score(words) >= self.distribution.threshold(self.reachable_p * (1 + 1e-12))


def draw_instances(use: MotifUse, n: int, scorer: Scorer, rng: np.random.Generator) -> Codes:
    """Draw n instances of a motif as it reads along its own strand: codes (n, W).

    Raises
    ------
    SeqplrpError
        If strong instances are asked for and hardly any is as strong as the task's p-value.
    """
    if use.instances == "consensus":
        return np.tile(use.motif.probabilities.argmax(axis=1).astype(np.uint8), (n, 1))
    drawn = _sample(use.motif, n, rng)
    if use.instances == "sample":
        return drawn
    weak = np.flatnonzero(~scorer.matches(drawn))
    while weak.size:
        again = _sample(use.motif, weak.size, rng)
        drawn[weak] = again
        weak = weak[~scorer.matches(again)]
    return drawn


def check_strength(use: MotifUse, scorer: Scorer) -> None:
    """Refuse strong instances of a motif that hardly ever reaches the task's p-value."""
    share = scorer.matches(_sample(use.motif, _TRIALS, np.random.default_rng(0))).mean()
    if use.instances == "strong" and share < _RARELY:
        raise SeqplrpError(
            f"motif {use.motif.name}",
            f"of its instances only {share:.2%} match at a p-value of {scorer.p_value:g}",
            "raise accidental.p_value or use 'instances: sample' or 'consensus'",
        )


def along_strand(words: Codes, reverse: npt.NDArray[np.bool_]) -> Codes:
    """Turn words (n, W) of the reverse strand round: from the motif's reading to the sequence's, or back."""
    return np.where(reverse[:, None], _COMPLEMENT[words[:, ::-1]], words)


def _sample(motif: Motif, n: int, rng: np.random.Generator) -> Codes:
    limits = motif.probabilities.cumsum(axis=1)[:, :3]
    words: Codes = (limits <= rng.random((n, motif.width))[:, :, None]).sum(axis=2).astype(np.uint8)
    return words
