"""What can be measured of a method: each protocol with its settings and the measures that it gives.

To add one, write a frozen dataclass of its settings and a function from a `Subject` to values, and name both among the
domain's protocols. Those that ask for nothing but maps, masks and a model are here for all domains; how an input is
perturbed is the domain's own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from seqplrp.benchmark.curves import Curve, faithfulness_curves, randomisation_curves
from seqplrp.benchmark.entries import Entry
from seqplrp.benchmark.scenes import FloatArray, Scene, flat
from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import (
    FAITHFULNESS_MEASURES,
    LOCALISATION_MEASURES,
    RANDOMISATION_MEASURES,
    ROBUSTNESS_MEASURES,
    SPARSITY_MEASURES,
    Measure,
    Perturber,
    faithfulness,
    layer_randomisation,
    localisation,
    model_score,
    sparsity,
    substitution_robustness,
)

S = TypeVar("S", bound=Scene)
Explain = Callable[[nn.Module, Tensor, Tensor], FloatArray]
"""Relevance at each position (N, *P) by the method of a model, of inputs (N, C, *P), for targets (N,)."""


@dataclass(frozen=True)
class Subject(Generic[S]):
    """A method's maps of a scene.

    Attributes
    ----------
    scene : Scene
    relevance : ndarray, shape (N, *P)
        At each position: summed over channels.
    explain : callable or None
        Explains other inputs, or another model, by the same method; None for maps that no method makes anew: the truth.
    hypothetical : ndarray, shape (N, C, *P), or None
        Contributions of all channels, such as the four bases, where the method has them and the domain asks for them.
    known : dict
        What was worked out once for all protocols, such as which motifs the maps give.
    """

    scene: S
    relevance: FloatArray
    explain: Explain | None
    hypothetical: npt.NDArray[np.float32] | None = None
    known: dict[Any, Any] = field(default_factory=dict)

    def first(self, most: int) -> Subject[S]:
        """Return the first inputs alone; all of them where `most` is 0."""
        if most == 0 or most >= len(self.scene):
            return self
        hypothetical = None if self.hypothetical is None else self.hypothetical[:most]
        return Subject(self.scene.first(most), self.relevance[:most], self.explain, hypothetical)

    def explain_flat(self, model: nn.Module, x: Tensor, targets: Tensor) -> FloatArray:
        """Explain other inputs or another model by the same method, one row an input: (N, positions).

        A protocol that asks for it needs "method", and is run only where there is one.
        """
        assert self.explain is not None
        return flat(self.explain(model, x, targets))


@dataclass(frozen=True)
class Options:
    """What all protocols can be told.

    Parameters
    ----------
    sequences : int
        Of each model's scored inputs only so many are measured, the first; 0: all. The others' values are undefined.
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

    def asked_of(self, names: Collection[str]) -> bool:
        """Say whether the protocol is asked of a method, by its name and its family's."""
        return not self.methods or not set(names).isdisjoint(self.methods)


@dataclass(frozen=True)
class FaithfulnessOptions(Options):
    """Deletion and insertion curves; see `seqplrp.evaluate.faithfulness`.

    Parameters
    ----------
    draws : int
        Replacements that are averaged.
    insertion : bool
        Whether insertion is measured, too: it takes half as long again.
    """

    draws: int = 10
    insertion: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_draws(self.draws)

    def gives(self, measure: Measure) -> bool:
        """Say whether a measure of the protocol comes of these settings."""
        return self.insertion or not measure.name.startswith("insertion")


@dataclass(frozen=True)
class RobustnessOptions(Options):
    """One substitution where nothing is marked; see `seqplrp.evaluate.substitution_robustness`."""

    draws: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_draws(self.draws)


@dataclass(frozen=True)
class RandomisationOptions(Options):
    """Layers re-initialised from the top, all of them; see `seqplrp.evaluate.layer_randomisation`."""

    seeds: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_draws(self.seeds, "seeds")


def check_draws(draws: int, name: str = "draws") -> None:
    """Raise a SeqplrpError, which calls it by its name, unless this is a number of draws."""
    if draws < 1:
        raise SeqplrpError(name, f"is {draws}", "give 1 or more, 5 or 10 better")


Needs = Literal["map", "model", "method"]


@dataclass(frozen=True)
class Measured:
    """What a protocol gives of a method's maps.

    Attributes
    ----------
    values : mapping of str to ndarray, shape (N,)
        By measure.
    curves : tuple of Curve
        Means over the inputs, point by point, where the protocol has them.
    """

    values: Mapping[str, FloatArray]
    curves: tuple[Curve, ...] = ()


def nothing_to_check(entry: Entry, options: Options) -> None:
    """Take all options."""


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
    check : callable
        From the configuration's entry and the options read from it: raises `SeqplrpError` for what options can't refuse
        by themselves.
    """

    measures: tuple[Measure, ...]
    run: Callable[[Any, Any], Measured]
    options: type[Options] = Options
    needs: Needs = "map"
    check: Callable[[Entry, Any], None] = nothing_to_check

    def applies(self, *, map_alone: bool, has_method: bool) -> bool:
        """Say whether it can be run on a map: one that was cut down, or one that no method makes anew."""
        return self.needs == "map" if map_alone else self.needs != "method" or has_method


def _localisation(subject: Subject[Scene], options: Options) -> Measured:
    at = subject.scene.candidates
    masks = {"ignore": flat(at.ignore), "distractor": flat(at.distractor)}
    return Measured(localisation(flat(subject.relevance), flat(at.truth), **masks))


def _sparsity(subject: Subject[Scene], options: Options) -> Measured:
    return Measured(sparsity(flat(subject.relevance), ignore=flat(subject.scene.unknown)))


def _randomisation(subject: Subject[Scene], options: RandomisationOptions) -> Measured:
    scene = subject.scene
    found = layer_randomisation(
        scene.model,
        lambda model: subject.explain_flat(model, scene.x, scene.targets),
        example=scene.x[:1],
        relevance=flat(subject.relevance),
        ignore=flat(scene.unknown),
        seeds=options.seeds,
        seed=scene.seed,
    )
    return Measured(found.measures(), randomisation_curves(found))


def _faithfulness(
    subject: Subject[Any], options: FaithfulnessOptions, perturber: Callable[[Any, Any], Perturber]
) -> Measured:
    scene = subject.scene
    found = faithfulness(
        model_score(scene.model),
        scene.x,
        scene.targets,
        flat(subject.relevance),
        perturber(scene, options),
        ignore=flat(scene.unknown),
        kinds=("deletion", "insertion") if options.insertion else ("deletion",),
        draws=options.draws,
        seed=scene.seed,
    )
    return Measured(found.measures(), faithfulness_curves(found))


def _robustness(
    subject: Subject[Any], options: RobustnessOptions, perturber: Callable[[Any, Any], Perturber]
) -> Measured:
    scene = subject.scene
    values = substitution_robustness(
        partial(subject.explain_flat, scene.model),
        model_score(scene.model),
        scene.x,
        scene.targets,
        perturber(scene, options),
        relevance=flat(subject.relevance),
        outside=flat(scene.marked),
        ignore=flat(scene.unknown),
        draws=options.draws,
        seed=scene.seed,
    )
    return Measured(values)


LOCALISATION = Protocol(LOCALISATION_MEASURES, _localisation)
SPARSITY = Protocol(SPARSITY_MEASURES, _sparsity)
RANDOMISATION = Protocol(RANDOMISATION_MEASURES, _randomisation, RandomisationOptions, "method")


def faithfulness_protocol(
    perturber: Callable[[Any, Any], Perturber], options: type[FaithfulnessOptions] = FaithfulnessOptions
) -> Protocol:
    """Return the protocol of deletion and insertion curves.

    Parameters
    ----------
    perturber : callable
        From a scene and the options to what stands in for what is taken away; see `seqplrp.evaluate.Perturber`.
    options : type of FaithfulnessOptions
        Of the domain's own, where there is a choice.
    """
    return Protocol(FAITHFULNESS_MEASURES, partial(_faithfulness, perturber=perturber), options, "model")


def robustness_protocol(
    perturber: Callable[[Any, Any], Perturber], options: type[RobustnessOptions] = RobustnessOptions
) -> Protocol:
    """Return the protocol of single substitutions where nothing is marked.

    Parameters
    ----------
    perturber, options
        As `faithfulness_protocol` takes them.
    """
    measures = tuple(one for one in ROBUSTNESS_MEASURES if one.name.startswith("substitution"))
    return Protocol(measures, partial(_robustness, perturber=perturber), options, "method")


def measured(
    subject: Subject[Any],
    known: Mapping[str, Protocol],
    chosen: Mapping[str, Options],
    names: tuple[str, ...],
    *,
    map_alone: bool = False,
) -> tuple[dict[str, FloatArray], dict[str, tuple[Curve, ...]]]:
    """Run protocols on a method's maps; a measure that does not apply to it is NaN throughout.

    Parameters
    ----------
    subject : Subject
    known : mapping of str to Protocol
        The domain's.
    chosen : mapping of str to Options
        By their names.
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
        protocol = known[name]
        applies = protocol.applies(map_alone=map_alone, has_method=subject.explain is not None)
        part = subject.first(options.sequences)
        of = protocol.run(part, options) if applies and options.asked_of(names) else Measured({})
        if of.curves:
            curves[name] = of.curves
        for measure in filter(options.gives, protocol.measures):
            whole = np.full(len(subject.scene), np.nan)
            if measure.name in of.values:
                whole[: len(part.scene)] = of.values[measure.name]
            found[measure.name] = whole
    return found, curves


def measures_of(known: Mapping[str, Protocol], chosen: Mapping[str, Options]) -> dict[str, Measure]:
    """Return the measures that protocols give, by name."""
    return {
        measure.name: measure
        for name, options in chosen.items()
        for measure in filter(options.gives, known[name].measures)
    }
