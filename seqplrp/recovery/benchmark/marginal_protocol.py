"""Does the model go by the motifs that an explanation gives? Found patterns, put into background sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor

from seqplrp.benchmark import ModelFinding, Subject
from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import Measure, model_score, seed_from
from seqplrp.genomics.motifs import Motif
from seqplrp.recovery.benchmark.discovered import (
    Discovered,
    MotifOptions,
    discovered,
    same_motif,
)
from seqplrp.recovery.benchmark.found_patterns import FoundPattern, described
from seqplrp.recovery.benchmark.scenes import Scene
from seqplrp.recovery.marginalisation import marginalise, random_word_effects
from seqplrp.recovery.perturbation import DinucleotideShuffle

FloatArray = npt.NDArray[np.float64]

MARGINAL_MEASURES = (
    Measure(
        "marginal_share",
        "patterns that move the score",
        "higher",
        "share of patterns whose effect exceeds that of random words of their length",
    ),
    Measure(
        "marginal_effect",
        "effect",
        "neither",  # of the strongest motif alone it is higher than of all
        "mean rise of the score by what stands for a pattern, over the patterns, however few they are",
    ),
    Measure("marginal_specific", "beyond its letters", "neither", "the same less that of its letters in random order"),
    Measure("marginal_words", "random words", "neither", "mean rise of the score by random words of these lengths"),
    Measure(
        "marginal_words_top",
        "random words, 95 %",
        "neither",
        "the rise that 95 % of these words do not exceed, mean over patterns",
    ),
    Measure("marginal_planted", "true motifs", "neither", "mean rise of the score by the true motifs' consensus"),
    Measure(
        "marginal_planted_share",
        "true motifs that move the score",
        "neither",
        "share of the true motifs whose effect exceeds that of random words: what could be found at all",
    ),
    Measure("marginal_patterns", "patterns", "neither", "patterns of positive relevance"),
    Measure(
        "marginal_idle",
        "idle patterns",
        "lower",
        "patterns whose effect does not exceed that of random words: the explanation made them",
    ),
    Measure(
        "marginal_own",
        "motifs of its own",
        "neither",
        "patterns like no true motif that move the score all the same: the model goes by them",
    ),
)
MARGINAL_SHOWN = tuple(one.name for one in MARGINAL_MEASURES if one.name != "marginal_words_top")


@dataclass(frozen=True)
class MarginalOptions(MotifOptions):
    """What found motifs do in background sequences; see `seqplrp.recovery.marginalise`.

    Parameters
    ----------
    backgrounds : int
        Dinucleotide shuffles of the scored sequences.
    words : int
        Random words of each length, the null.
    chance : float
        Share of random words that may do as much as a pattern that counts.
    letters : {"consensus", "drawn"}
        What stands for a pattern: its likeliest word, or one drawn from it for each background.
    """

    backgrounds: int = 50
    words: int = 199
    chance: float = 0.05
    letters: Literal["consensus", "drawn"] = "consensus"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backgrounds < 10:
            raise SeqplrpError("backgrounds", f"is {self.backgrounds}", "give 10 or more, 50 better")
        if not 0 < self.chance < 1:
            raise SeqplrpError("chance", f"is {self.chance}", "give a share above 0 and below 1")
        if (self.words + 1) * self.chance < 1:
            fewest = int(np.ceil(1 / self.chance)) - 1
            raise SeqplrpError("words", f"is {self.words}, too few for a chance of {self.chance:g}", f"give {fewest}")


@dataclass(frozen=True)
class Effect:
    """What a motif does: the mean rise with its interval, that beyond its letters, and the null of random words."""

    mean: float
    low: float
    high: float
    specific: float
    words: FloatArray

    @property
    def p(self) -> float:
        """Share of the random words, and the motif itself, that do as much."""
        return float((1 + (self.words >= self.mean).sum()) / (1 + len(self.words)))


def marginal(subject: Subject[Scene], options: MarginalOptions) -> ModelFinding:
    """Put the patterns that a method's maps give, and the true motifs, into background sequences."""
    found = discovered(subject, options)
    outputs = [_output(subject.scene, pattern.members) for pattern in found.patterns]
    effects = [
        _effect(subject.scene, pattern.motif, output, options)
        for pattern, output in zip(found.patterns, outputs, strict=True)
    ]
    of_truth = _of_truth(subject.scene, [motif for motif, _ in found.truth], options)
    values = _values(found, effects, of_truth, options.chance)
    listed = zip(described(found.patterns, found.discovery), effects, strict=True)
    return ModelFinding(values, tuple(_with_effect(pattern, effect) for pattern, effect in listed))


def _values(
    found: Discovered, effects: Sequence[Effect], of_truth: Sequence[Effect], chance: float
) -> dict[str, float]:
    moves = np.array([effect.p <= chance for effect in effects], dtype=bool)
    spurious = found.discovery.found["kind"].isin(["other", "unknown"]).to_numpy(dtype=bool)
    values = {
        "marginal_patterns": float(len(effects)),
        "marginal_idle": float((~moves).sum()),
        "marginal_own": float((moves & spurious).sum()),
        "marginal_planted": float(np.mean([effect.mean for effect in of_truth])),
        "marginal_planted_share": float(np.mean([effect.p <= chance for effect in of_truth])),
    }
    if effects:  # means over no pattern are undefined
        values |= {
            "marginal_share": float(moves.mean()),
            "marginal_effect": float(np.mean([effect.mean for effect in effects])),
            "marginal_specific": float(np.mean([effect.specific for effect in effects])),
            "marginal_words": float(np.mean([effect.words.mean() for effect in effects])),
            "marginal_words_top": float(np.mean([np.quantile(effect.words, 0.95) for effect in effects])),
        }
    return values


def _with_effect(pattern: FoundPattern, effect: Effect) -> FoundPattern:
    return replace(
        pattern,
        effect=effect.mean,
        effect_low=effect.low,
        effect_high=effect.high,
        words_effect=float(effect.words.mean()),
        effect_p=effect.p,
    )


def _effect(scene: Scene, motif: Motif, output: int, options: MarginalOptions) -> Effect:
    table = marginalise(
        model_score(scene.model),
        _backgrounds(scene, options.backgrounds),
        output,
        {"": motif},
        letters=options.letters,
        seed=scene.seed,
    ).table
    row = table.iloc[0]
    words = _words(scene, motif.width, output, options)
    return Effect(float(row["effect"]), float(row["low"]), float(row["high"]), float(row["specific"]), words)


def _backgrounds(scene: Scene, n: int) -> Tensor:
    """Return shuffles of the scored sequences, in turn; the same for all methods."""
    key = ("backgrounds", len(scene), n)
    if key not in scene.known:
        rows = np.arange(n) % len(scene)
        scene.known[key] = DinucleotideShuffle()(scene.x[rows], seed_from(scene.seed, 7))
    shuffles: Tensor = scene.known[key]
    return shuffles


def _words(scene: Scene, width: int, output: int, options: MarginalOptions) -> FloatArray:
    key = ("random words", len(scene), options.backgrounds, options.words, width, output)
    if key not in scene.known:
        backgrounds = _backgrounds(scene, options.backgrounds)
        score = model_score(scene.model)
        scene.known[key] = random_word_effects(
            score, backgrounds, output, width, words=options.words, seed=seed_from(scene.seed, 8)
        )
    words: FloatArray = scene.known[key]
    return words


def _of_truth(scene: Scene, motifs: Sequence[Motif], options: MarginalOptions) -> list[Effect]:
    """Return what the true motifs do to the outputs that they support, once for all methods."""
    key: tuple[Any, ...] = ("true motifs", len(scene), options.backgrounds, options.words, options.letters)
    if key not in scene.known:
        at = scene.candidates
        placed = at.placed[at.placed["supports"].astype(bool)]
        found = []
        for motif in motifs:
            names = [name for name in set(placed["motif"]) if same_motif(at.matrices[name], motif)]
            members = placed[placed["motif"].isin(names)].rename(columns={"record": "sequence"})
            found.append(_effect(scene, motif, _output(scene, members), options))
        scene.known[key] = found
    effects: list[Effect] = scene.known[key]
    return effects


def _output(scene: Scene, members: pd.DataFrame) -> int:
    """Return the output that most of the sequences were explained for in which a motif's members lie."""
    targets = scene.candidates.targets[members["sequence"].to_numpy(dtype=np.int64)]
    return int(np.bincount(targets).argmax())
