"""What can be measured of a method on DNA: beside what every benchmark has, causal truth and the opposite strand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from seqplrp.benchmark import (
    LOCALISATION,
    RANDOMISATION,
    SPARSITY,
    Entry,
    FaithfulnessOptions,
    Measured,
    Options,
    Protocol,
    Subject,
    check_draws,
    faithfulness_protocol,
    robustness_protocol,
)
from seqplrp.evaluate import (
    LOCALISATION_MEASURES,
    ROBUSTNESS_MEASURES,
    Measure,
    Perturber,
    flip_consistency,
    localisation,
    model_score,
)
from seqplrp.genomics import reverse_complement
from seqplrp.recovery.benchmark.scenes import Scene
from seqplrp.recovery.causal import FEWEST_DRAWS, causal_truth, fewest_windows
from seqplrp.recovery.perturbation import DinucleotideShuffle, RandomBases

PERTURBERS: dict[str, Callable[[], Perturber]] = {"random": RandomBases, "shuffle": DinucleotideShuffle}


@dataclass(frozen=True)
class ReplacementOptions(FaithfulnessOptions):
    """Deletion and insertion curves of DNA; see `seqplrp.evaluate.faithfulness`.

    Parameters
    ----------
    replacement : {"random", "shuffle"}
        What stands in for a base: another base at random, or what a dinucleotide shuffle has in its place.
    """

    replacement: Literal["random", "shuffle"] = "random"


@dataclass(frozen=True)
class CausalOptions(Options):
    """Truth by ablation; see `seqplrp.recovery.causal_truth`.

    Parameters
    ----------
    draws : int
        Shuffles of each motif instance, 10 or more.
    null_windows : int
        Windows outside motifs that an instance has to exceed.
    """

    draws: int = 20
    null_windows: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        check_draws(self.draws)


CAUSAL_MEASURES = tuple(
    Measure(f"causal_{one.name}", f"{one.label}, causal", one.better, f"{one.meaning}, of the instances that matter")
    for one in LOCALISATION_MEASURES
    if one.name in ("auprc", "rra", "rma")
)


def _check_causal(entry: Entry, options: CausalOptions) -> None:
    """Refuse what `causal_truth` would refuse once a model is trained."""
    # two tests of each instance that has a copy, so that a null needs twice as many windows
    for name, least in (("draws", FEWEST_DRAWS), ("null_windows", fewest_windows(copies=True))):
        value = getattr(options, name)
        if value < least:
            given = {} if entry.value is None else entry.mapping()
            raise given.get(name, entry).error(f"is {value}", f"write {least} or more: fewer can't show an effect")


def _causal(subject: Subject[Scene], options: CausalOptions) -> Measured:
    """Score against those planted instances alone whose ablation lowers the model's score beyond a null."""
    scene, at = subject.scene, subject.scene.candidates
    key = ("causal", len(scene), options.draws, options.null_windows)
    if key not in scene.known:
        scene.known[key] = causal_truth(
            model_score(scene.model),
            scene.x,
            scene.targets,
            at.placed,
            copies="motif",  # a net that is sure after one of two copies misses neither alone
            draws=options.draws,
            null_windows=options.null_windows,
            seed=scene.seed,
            untestable="leave",  # a task without room for the null has no causal truth, but all else can be measured
        )
    found = scene.known[key]
    used, unused = found.masks(found.instances["supports"])
    values = localisation(
        subject.relevance, at.truth & used, ignore=at.ignore | (at.truth & unused), distractor=at.distractor
    )
    return Measured({measure.name: values[measure.name.removeprefix("causal_")] for measure in CAUSAL_MEASURES})


def _strands(subject: Subject[Scene], options: Options) -> Measured:
    scene = subject.scene
    values = flip_consistency(
        partial(subject.explain_flat, scene.model),
        scene.x,
        scene.targets,
        reverse_complement,
        lambda maps: maps[:, ::-1],
        relevance=subject.relevance,
        ignore=scene.unknown,
        score=model_score(scene.model),
    )
    return Measured(values)


def _replaced(scene: Scene, options: ReplacementOptions) -> Perturber:
    return PERTURBERS[options.replacement]()


def _substituted(scene: Scene, options: Options) -> Perturber:
    return RandomBases()


_STRANDS = tuple(measure for measure in ROBUSTNESS_MEASURES if measure.name.startswith("flip"))

PROTOCOLS: dict[str, Protocol] = {
    "localisation": LOCALISATION,
    "sparsity": SPARSITY,
    "causal": Protocol(CAUSAL_MEASURES, _causal, CausalOptions, check=_check_causal),
    "faithfulness": faithfulness_protocol(_replaced, ReplacementOptions),
    "robustness": robustness_protocol(_substituted),
    "strands": Protocol(_STRANDS, _strands, Options, "method"),
    "randomisation": RANDOMISATION,
}
"""Every protocol by the name that configurations use."""
