"""What a kind of input, such as DNA or images, brings to the benchmark: all else is the same for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from seqplrp.benchmark.entries import Entry
from seqplrp.benchmark.model_protocols import ModelProtocol
from seqplrp.benchmark.networks import Architecture, Fact, Network
from seqplrp.benchmark.protocols import Protocol
from seqplrp.benchmark.scenes import Candidates, Scene
from seqplrp.benchmark.source import Source
from seqplrp.benchmark.tasks import BenchmarkTask

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Words:
    """What tables, pictures and pages call things.

    Attributes
    ----------
    title : str
        Of the report, before the run's name.
    command : str
        That repeats a run.
    one, many, a : str
        An input: "sequence", "sequences", "a sequence". Keys of configurations and columns of tables are called so,
        too; field names in the code and in manifests say sequence for an input of any kind.
    part, parts : str
        A position of a map: "base", "bases".
    learned : str
        What models are left out: "a model whose ... is below the task's bound ({least}) did not learn and is left out",
        where ``{least}`` stands for the tasks and their bounds.
    scored : str
        Which inputs are scored: "only sequences with a truth are scored that ...".
    """

    title: str
    command: str
    one: str
    many: str
    a: str
    part: str
    parts: str
    learned: str
    scored: str

    @property
    def nothing_scored(self) -> str:
        """The status of a cell without an input that is scored."""
        return f"no {self.one} to score"

    @property
    def both_tests(self) -> str:
        """What verdicts rest on where there are models enough."""
        return f"{self.many} and models"

    @property
    def one_test(self) -> str:
        """What verdicts rest on where models are too few for their own test."""
        return f"{self.many} alone"


@dataclass(frozen=True)
class Examples:
    """How a run keeps and draws the first inputs of each task's first model.

    Attributes
    ----------
    name : str
        What pictures' files begin with: "logos". Recipes call their number so, too.
    keep : callable
        From a scene, how many, and the cell's folder, to what a manifest keeps of each beside its maps, as JSON can
        hold it. What is large goes to files of the folder.
    draw : callable
        From what was kept, the maps by method (each (K, *P)), and the cell's folder, to a figure.
    caption : str
        ``{title}`` stands for task, architecture and seed.
    """

    name: str
    keep: Callable[[Any, int, Path], list[dict[str, Any]]]
    draw: Callable[[Sequence[Mapping[str, Any]], Mapping[str, npt.NDArray[np.float64]], Path], Figure]
    caption: str


def no_training(entry: Entry) -> Mapping[str, Any]:
    """Refuse the key ``training``."""
    raise entry.error("there is nothing to train here", "leave it out")


@dataclass(frozen=True)
class Domain:
    """What a kind of input brings to the benchmark.

    Attributes
    ----------
    name : str
    words : Words
    read_task : callable
        From a task's name and its entry in the configuration.
    read_architecture : callable
        From a name and its entry, which may be empty (``resnet18:``).
    draw : callable
        From a task's data, how many at most, and a seed, to the candidates: the same for every model. Fewer have to be
        the first of more.
    scene : callable
        From a network, the task's data, the candidates and the task's seed to what is scored of the model; its inputs,
        targets, masks and random draws are the same for all methods.
    protocols : mapping of str to Protocol
        What can be measured of each input, by the name that configurations use. What gives curves of deletion is called
        "faithfulness", and of re-initialised layers "randomisation", wherever there are such.
    examples : Examples
    source : Source
        What decides values.
    read_training : callable
        From the configuration's entry ``training`` to what `Architecture` takes.
    model_protocols : mapping of str to ModelProtocol
        What can be measured of a whole model; none has the name of one of `protocols`.
    facts : tuple of Fact
        What is told of every model.
    learned : str
        The key of the fact that says whether a model learned.
    least : float
        The value of it below which a model did not learn, unless the configuration has its own.
    is_seeded : bool
        Whether every network is trained, so that a configuration has to name training seeds. Where not, they may be
        left out.
    shown : tuple of str
        The measures that tables and pictures show, where they are measured; files have all.
    references : mapping of str to callable or None
        What methods that compare an input with others can be told to draw; see `seqplrp.methods.Background`.
    own_references : str or None
        Of these, what a background is drawn from unless the configuration says.
    common : tuple of str
        Fields that a configuration may set for all methods at once.
    libraries : tuple of str
        Whose versions decide values: a cell that others made is refused.
    trained_by : tuple of str
        Of these and ``seqplrp``, those that decide a trained model.
    keeps_hypothetical : bool
        Whether protocols ask for hypothetical contributions, (N, C, *P) a method.
    """

    name: str
    words: Words
    read_task: Callable[[str, Entry], BenchmarkTask]
    read_architecture: Callable[[str, Entry], Architecture]
    draw: Callable[[Any, int, int], Candidates]
    scene: Callable[[Network, Any, Any, int], Scene]
    protocols: Mapping[str, Protocol]
    examples: Examples
    source: Source
    read_training: Callable[[Entry], Mapping[str, Any]] = no_training
    model_protocols: Mapping[str, ModelProtocol] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()
    learned: str = ""
    least: float = 0.8
    is_seeded: bool = True
    shown: tuple[str, ...] = ()
    references: Mapping[str, Any] = field(default_factory=dict)
    own_references: str | None = None
    common: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ("torch", "numpy", "scipy", "scikit-learn")
    trained_by: tuple[str, ...] = ("seqplrp", "torch", "numpy")
    keeps_hypothetical: bool = False
