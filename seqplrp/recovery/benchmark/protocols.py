"""What can be measured of a method: each protocol by name, with its settings and the measures that it gives.

To add one, write a frozen dataclass of its settings and a function from a `Subject` to values, and name both in
`PROTOCOLS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import (
    FAITHFULNESS_MEASURES,
    LOCALISATION_MEASURES,
    RANDOMISATION_MEASURES,
    ROBUSTNESS_MEASURES,
    SPARSITY_MEASURES,
    Measure,
    faithfulness,
    flip_consistency,
    layer_randomisation,
    localisation,
    model_score,
    sparsity,
    substitution_robustness,
)
from seqplrp.genomics import reverse_complement
from seqplrp.recovery.benchmark.curves import Curve, faithfulness_curves, randomisation_curves
from seqplrp.recovery.benchmark.scenes import Scene
from seqplrp.recovery.causal import causal_truth
from seqplrp.recovery.perturbation import DinucleotideShuffle, RandomBases

FloatArray = npt.NDArray[np.float64]
PERTURBERS = {"random": RandomBases, "shuffle": DinucleotideShuffle}
Explain = Callable[[nn.Module, Tensor, Tensor], FloatArray]
"""Per-base relevance (N, L) by the method of a model, of inputs (N, 4, L), for targets (N,)."""


@dataclass(frozen=True)
class Subject:
    """A method's maps of a scene.

    Attributes
    ----------
    scene : Scene
    relevance : ndarray, shape (N, L)
        Per base.
    explain : callable or None
        Explains other inputs, or another model, by the same method; None for maps that no method makes anew: the truth.
    hypothetical : ndarray, shape (N, 4, L), or None
        Contributions of all four bases, where the method has them.
    known : dict
        What was worked out once for all protocols, such as which motifs the maps give.
    """

    scene: Scene
    relevance: FloatArray
    explain: Explain | None
    hypothetical: npt.NDArray[np.float32] | None = None
    known: dict[Any, Any] = field(default_factory=dict)

    def first(self, most: int) -> Subject:
        """Return the first sequences alone; all of them where `most` is 0."""
        if most == 0 or most >= len(self.scene):
            return self
        hypothetical = None if self.hypothetical is None else self.hypothetical[:most]
        return Subject(self.scene.first(most), self.relevance[:most], self.explain, hypothetical)


@dataclass(frozen=True)
class Options:
    """What all protocols can be told.

    Parameters
    ----------
    sequences : int
        Of each model's scored sequences only so many are measured, the first; 0: all. The others' values are undefined.
    methods : tuple of str
        Only these methods or families are measured; all where empty.
    """

    sequences: int = 0
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.sequences < 0:
            raise SeqplrpError("sequences", f"is {self.sequences}", "give 0 or more")

    def gives(self, measure: Measure) -> bool:
        """Say whether a measure of the protocol comes of these settings."""
        return True


@dataclass(frozen=True)
class FaithfulnessOptions(Options):
    """Deletion and insertion curves; see `seqplrp.evaluate.faithfulness`.

    Parameters
    ----------
    draws : int
        Replacements that are averaged.
    insertion : bool
        Whether insertion is measured, too: it takes half as long again.
    replacement : {"random", "shuffle"}
        What stands in for a base: another base at random, or what a dinucleotide shuffle has in its place.
    """

    draws: int = 10
    insertion: bool = False
    replacement: Literal["random", "shuffle"] = "random"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_draws(self.draws)

    def gives(self, measure: Measure) -> bool:
        """Say whether a measure of the protocol comes of these settings."""
        return self.insertion or not measure.name.startswith("insertion")


@dataclass(frozen=True)
class RobustnessOptions(Options):
    """One substitution outside motifs; see `seqplrp.evaluate.substitution_robustness`."""

    draws: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_draws(self.draws)


@dataclass(frozen=True)
class RandomisationOptions(Options):
    """Layers re-initialised from the top, all of them; see `seqplrp.evaluate.layer_randomisation`."""

    seeds: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_draws(self.seeds)


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
        _check_draws(self.draws)


def _check_draws(draws: int) -> None:
    if draws < 1:
        raise SeqplrpError("draws", f"is {draws}", "give 1 or more, 5 or 10 better")


Needs = Literal["map", "model", "method"]


@dataclass(frozen=True)
class Measured:
    """What a protocol gives of a method's maps.

    Attributes
    ----------
    values : mapping of str to ndarray, shape (N,)
        By measure.
    curves : tuple of Curve
        Means over the sequences, point by point, where the protocol has them.
    """

    values: Mapping[str, FloatArray]
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """Something to measure.

    Attributes
    ----------
    measures : tuple of Measure
        What it gives: `run` finds the values (N,) of each by its name; what it leaves out is undefined.
    run : callable
        From a subject and the options to what was measured.
    options : type of Options
    needs : {"map", "model", "method"}
        What it asks beside the map: nothing, the model's scores, or other maps by the same method. Maps that were
        cut to a sparsity are measured by what needs the map alone.
    """

    measures: tuple[Measure, ...]
    run: Callable[[Subject, Any], Measured]
    options: type[Options] = Options
    needs: Needs = "map"


def _localisation(subject: Subject, options: Options) -> Measured:
    at = subject.scene.candidates
    return Measured(localisation(subject.relevance, at.truth, ignore=at.ignore, distractor=at.distractor))


CAUSAL_MEASURES = tuple(
    Measure(f"causal_{one.name}", f"{one.label}, causal", one.better, f"{one.meaning}, of the instances that matter")
    for one in LOCALISATION_MEASURES
    if one.name in ("auprc", "rra", "rma")
)


def _causal(subject: Subject, options: CausalOptions) -> Measured:
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


def _sparsity(subject: Subject, options: Options) -> Measured:
    return Measured(sparsity(subject.relevance, ignore=subject.scene.unknown))


def _faithfulness(subject: Subject, options: FaithfulnessOptions) -> Measured:
    scene = subject.scene
    found = faithfulness(
        model_score(scene.model),
        scene.x,
        scene.targets,
        subject.relevance,
        PERTURBERS[options.replacement](),
        kinds=("deletion", "insertion") if options.insertion else ("deletion",),
        draws=options.draws,
        seed=scene.seed,
    )
    return Measured(found.measures(), faithfulness_curves(found))


def _robustness(subject: Subject, options: RobustnessOptions) -> Measured:
    scene, explain = subject.scene, subject.explain
    assert explain is not None
    values = substitution_robustness(
        partial(explain, scene.model),
        model_score(scene.model),
        scene.x,
        scene.targets,
        RandomBases(),
        relevance=subject.relevance,
        outside=scene.motifs,
        ignore=scene.unknown,
        draws=options.draws,
        seed=scene.seed,
    )
    return Measured(values)


def _strands(subject: Subject, options: Options) -> Measured:
    scene, explain = subject.scene, subject.explain
    assert explain is not None
    values = flip_consistency(
        partial(explain, scene.model),
        scene.x,
        scene.targets,
        reverse_complement,
        lambda maps: maps[:, ::-1],
        relevance=subject.relevance,
        ignore=scene.unknown,
        score=model_score(scene.model),
    )
    return Measured(values)


def _randomisation(subject: Subject, options: RandomisationOptions) -> Measured:
    scene, explain = subject.scene, subject.explain
    assert explain is not None
    found = layer_randomisation(
        scene.model,
        lambda model: explain(model, scene.x, scene.targets),
        example=scene.x[:1],
        relevance=subject.relevance,
        ignore=scene.unknown,
        seeds=options.seeds,
        seed=scene.seed,
    )
    return Measured(found.measures(), randomisation_curves(found))


def _of(prefix: str) -> tuple[Measure, ...]:
    return tuple(measure for measure in ROBUSTNESS_MEASURES if measure.name.startswith(prefix))


PROTOCOLS: dict[str, Protocol] = {
    "localisation": Protocol(LOCALISATION_MEASURES, _localisation),
    "sparsity": Protocol(SPARSITY_MEASURES, _sparsity),
    "causal": Protocol(CAUSAL_MEASURES, _causal, CausalOptions),
    "faithfulness": Protocol(FAITHFULNESS_MEASURES, _faithfulness, FaithfulnessOptions, "model"),
    "robustness": Protocol(_of("substitution"), _robustness, RobustnessOptions, "method"),
    "strands": Protocol(_of("flip"), _strands, Options, "method"),
    "randomisation": Protocol(RANDOMISATION_MEASURES, _randomisation, RandomisationOptions, "method"),
}
"""Every protocol by the name that configurations use."""


def measured(
    subject: Subject, chosen: Mapping[str, Options], names: tuple[str, ...], *, map_alone: bool = False
) -> tuple[dict[str, FloatArray], dict[str, tuple[Curve, ...]]]:
    """Run protocols on a method's maps; a measure that does not apply to it is NaN throughout.

    Parameters
    ----------
    subject : Subject
    chosen : mapping of str to Options
        By the names of `PROTOCOLS`.
    names : tuple of str
        The method's name and its family's.
    map_alone : bool
        Only what needs the map alone.

    Returns
    -------
    values : dict of str to ndarray, shape (N,)
        By measure.
    curves : dict of str to tuple of Curve
        By protocol, for those that gave some.
    """
    found: dict[str, FloatArray] = {}
    curves: dict[str, tuple[Curve, ...]] = {}
    for name, options in chosen.items():
        protocol = PROTOCOLS[name]
        applies = (not map_alone or protocol.needs == "map") and (
            subject.explain is not None or protocol.needs != "method"
        )
        asked = not options.methods or bool(set(names) & set(options.methods))
        part = subject.first(options.sequences)
        of = protocol.run(part, options) if applies and asked else Measured({})
        if of.curves:
            curves[name] = of.curves
        for measure in filter(options.gives, protocol.measures):
            whole = np.full(len(subject.scene), np.nan)
            if measure.name in of.values:
                whole[: len(part.scene)] = of.values[measure.name]
            found[measure.name] = whole
    return found, curves


def measures_of(chosen: Mapping[str, Options]) -> dict[str, Measure]:
    """Return the measures that protocols give, by name."""
    return {
        measure.name: measure
        for name, options in chosen.items()
        for measure in filter(options.gives, PROTOCOLS[name].measures)
    }
