"""The description of a simulation, complete enough to repeat it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import yaml

from seqplrp._version import __version__
from seqplrp.genomics.motifs import Motif
from seqplrp.genomics.simulation.document import Range
from seqplrp.genomics.simulation.grammar import Orientation, Rule, motifs_of, plain_rule

Kind = Literal["binary", "multiclass", "multilabel"]
KINDS: tuple[Kind, ...] = ("binary", "multiclass", "multilabel")
Instances = Literal["sample", "strong", "consensus"]
INSTANCES: tuple[Instances, ...] = ("sample", "strong", "consensus")
Strands = Literal["both", "forward", "reverse"]
STRANDS: tuple[Strands, ...] = ("both", "forward", "reverse")
Action = Literal["remove", "flag", "keep"]
ACTIONS: tuple[Action, ...] = ("remove", "flag", "keep")
NO_CLASS = "none"
PARTS = 1_000_000  # probabilities are kept as whole parts of this, so that a written task reads back exactly


@dataclass(frozen=True)
class Position:
    """Where a motif's middle lies: a normal distribution, cut off where the motif would not fit.

    Parameters
    ----------
    centre, sd : float
        In bases from the sequence's start.
    """

    centre: float
    sd: float

    def plain(self) -> dict[str, float]:
        """Return what one would write in YAML."""
        return {"centre": self.centre, "sd": self.sd}


@dataclass(frozen=True)
class MotifUse:
    """A motif of the task, and how its instances are made.

    Parameters
    ----------
    motif : Motif
        Under the task's name for it.
    instances : {"sample", "strong", "consensus"}
        Drawn from the matrix; drawn from it among those that a scan at the task's p-value would find; or always
        the most probable base.
    strands : {"both", "forward", "reverse"}
        Where instances may lie.
    """

    motif: Motif
    instances: Instances = "sample"
    strands: Strands = "both"

    def plain(self) -> dict[str, Any]:
        """Return what one would write in YAML, with the matrix itself."""
        known = {"accession": self.motif.accession, "url": self.motif.url, "nsites": self.motif.nsites}
        parts = (self.motif.probabilities * PARTS).round().astype(int).tolist()
        used = {"instances": self.instances, "strands": self.strands}
        return {**{key: value for key, value in known.items() if value}, **used, "matrix": parts}


ONE = Range(1, 1)


@dataclass(frozen=True)
class Single:
    """Instances of one motif to plant, uniformly over the sequence where `position` is None."""

    motif: str
    count: Range = ONE
    position: Position | None = None


@dataclass(frozen=True)
class Couple:
    """Instances of two motifs to plant in one arrangement; nothing else is planted between them."""

    first: str
    second: str
    spacing: Range
    orientation: Orientation = "any"
    count: Range = ONE
    position: Position | None = None


@dataclass(frozen=True)
class Group:
    """Sequences in which the same things are planted.

    Parameters
    ----------
    name : str
    share : Fraction
        Of all sequences.
    singles : tuple of Single
    couples : tuple of Couple
    classes : tuple of str, optional
        The classes that these sequences must belong to; None leaves it to what the rules say of each.
    """

    name: str
    share: Fraction
    singles: tuple[Single, ...] = ()
    couples: tuple[Couple, ...] = ()
    classes: tuple[str, ...] | None = None

    @property
    def plants(self) -> tuple[Single | Couple, ...]:
        """All that is planted, without the task's decoys."""
        return (*self.singles, *self.couples)


@dataclass(frozen=True)
class UniformBackground:
    """Independent bases.

    Parameters
    ----------
    gc : float
        Probability of G or C.
    """

    gc: float = 0.5

    def plain(self) -> Any:
        """Return what one would write in YAML."""
        return "uniform" if self.gc == 0.5 else {"gc": self.gc}


@dataclass(frozen=True)
class MarkovBackground:
    """A Markov chain fitted to a FASTA file.

    Parameters
    ----------
    path : str
        Absolute.
    sha256 : str
        Of the file as it was.
    order : int
        Number of bases that the next one depends on.
    """

    path: str
    sha256: str
    order: int

    def plain(self) -> Any:
        """Return what one would write in YAML."""
        return {"markov": self.path, "order": self.order, "sha256": self.sha256}


@dataclass(frozen=True)
class ShuffledBackground:
    """Dinucleotide shuffles of stretches of a FASTA file.

    Parameters
    ----------
    path, sha256 : str
        As `MarkovBackground`'s.
    """

    path: str
    sha256: str

    def plain(self) -> Any:
        """Return what one would write in YAML."""
        return {"shuffle": self.path, "sha256": self.sha256}


Background = UniformBackground | MarkovBackground | ShuffledBackground


@dataclass(frozen=True)
class Task:
    """All that decides a simulation. `load_task` reads one from YAML, where the keys are described.

    Parameters
    ----------
    name, description : str
    kind : {"binary", "multiclass", "multilabel"}
    length : int
        Bases of every sequence.
    motifs : tuple of MotifUse
    rules : mapping from class to Rule
        In the order of the labels' columns; of a binary task only the positive class.
    groups : tuple of Group
    negative : str
        Name of what a binary task's rule does not hold for; ``none`` in a multi-label task.
    decoys : tuple of Single
        Planted in every sequence.
    background : UniformBackground, MarkovBackground or ShuffledBackground
    min_spacing : int
        Bases at least between what is planted.
    accidental : {"remove", "flag", "keep"}
    p_value : float
        Of a match of a rule's motif that was not planted, from which it counts as an accidental hit.
    gc_matched : bool
    label_noise : float
        Share of wrong labels.
    n, seed : int, optional
        Of the run that the task was written by.
    source : str
        What errors call the task; says nothing of its content.
    """

    name: str
    description: str
    kind: Kind
    length: int
    motifs: tuple[MotifUse, ...]
    rules: Mapping[str, Rule]
    groups: tuple[Group, ...]
    negative: str = NO_CLASS
    decoys: tuple[Single, ...] = ()
    background: Background = UniformBackground()
    min_spacing: int = 0
    accidental: Action = "remove"
    p_value: float = 1e-4
    gc_matched: bool = False
    label_noise: float = 0.0
    n: int | None = None
    seed: int | None = None
    source: str = field(default="task", compare=False)

    @property
    def classes(self) -> list[str]:
        """Names of the labels' columns."""
        return list(self.rules)

    @cached_property
    def number(self) -> dict[str, int]:
        """Number of each motif."""
        return {use.motif.name: i for i, use in enumerate(self.motifs)}

    @property
    def fewest(self) -> int:
        """The number of sequences from which on every group is sure of one."""
        return max(math.ceil(1 / group.share) for group in self.groups if group.share)

    def use(self, motif: str) -> MotifUse:
        """Return a motif of the task by its name."""
        return self.motifs[self.number[motif]]

    @property
    def scanned(self) -> list[Motif]:
        """The motifs that the rules speak of: their accidental hits would make labels wrong."""
        spoken_of = motifs_of(list(self.rules.values()))
        return [use.motif for use in self.motifs if use.motif.name in spoken_of]

    def plain(self) -> dict[str, Any]:
        """Return the task as plain YAML values, everything spelled out."""
        header = {"name": self.name, "description": self.description, "kind": self.kind}
        run = {key: value for key, value in (("n", self.n), ("seed", self.seed)) if value is not None}
        negative = {self.negative: "otherwise"} if self.kind == "binary" else {}
        return {
            **header,
            **run,
            "length": self.length,
            "background": self.background.plain(),
            "accidental": {"action": self.accidental, "p_value": self.p_value},
            "gc_matched": self.gc_matched,
            "label_noise": self.label_noise,
            "min_spacing": self.min_spacing,
            "classes": {**{c: plain_rule(rule) for c, rule in self.rules.items()}, **negative},
            "decoys": {s.motif: _plain_single(s) for s in self.decoys},
            "groups": {group.name: self._plain_group(group) for group in self.groups},
            "motifs": {use.motif.name: use.plain() for use in self.motifs},
        }

    def _plain_group(self, group: Group) -> dict[str, Any]:
        plain: dict[str, Any] = {"share": str(group.share)}
        if group.classes is not None:
            names = list(group.classes) or [self.negative]
            plain["class"] = names if len(names) > 1 else names[0]
        if group.singles:
            plain["plant"] = {s.motif: _plain_single(s) for s in group.singles}
        if group.couples:
            plain["pairs"] = [_plain_couple(c) for c in group.couples]
        return plain


def dump_task(task: Task) -> str:
    """Write a task as YAML that `load_task` reads back as an equal one.

    Background files are named by absolute path with their hash; matrices are in the text.
    """
    body = yaml.safe_dump(task.plain(), sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
    head = f"# Written by seqplrp {__version__}. `seqplrp simulate --task` on this file makes the same data again.\n"
    return head + body


def expected_label(task: Task, group: Group) -> tuple[bool, ...] | None:
    """Return the row of labels that a group must have, None if it is left open."""
    return None if group.classes is None else tuple(c in group.classes for c in task.rules)


def _plain_single(single: Single) -> Any:
    if single.position is None:
        return single.count.plain()
    return {"count": single.count.plain(), "position": single.position.plain()}


def _plain_couple(couple: Couple) -> dict[str, Any]:
    plain: dict[str, Any] = {"pair": [couple.first, couple.second], "spacing": couple.spacing.plain()}
    if couple.orientation != "any":
        plain["orientation"] = couple.orientation
    if couple.count != ONE:
        plain["count"] = couple.count.plain()
    if couple.position is not None:
        plain["position"] = couple.position.plain()
    return plain
