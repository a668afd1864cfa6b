"""The networks that are explained: how one comes about for a task, and what is told of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn


@dataclass(frozen=True)
class Network:
    """A cell's model.

    Attributes
    ----------
    module : nn.Module
        In evaluation mode.
    facts : mapping of str to number
        What manifests and tables tell of it, by the keys of the domain's `Fact`; that which says whether it learned may
        be missing, as of a network of which it is not asked.
    """

    module: nn.Module
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Fact:
    """Something that is told of every model.

    Attributes
    ----------
    key : str
        In manifests and ``models.tsv``.
    label : str
        At the head of the report's column; where it is empty, the report leaves it out.
    digits : int or None
        After the point; None for a whole number.
    """

    key: str
    label: str = ""
    digits: int | None = None


@dataclass(frozen=True)
class Architecture(ABC):
    """A network under a name.

    What `training` holds is what the domain's `read_training` made of the configuration's key of that name (an empty
    mapping where there is none): how all networks are trained, unless one sets its own.
    """

    name: str

    making: ClassVar[str] = "training"
    """What is being done while a model is made, for those who watch."""

    @property
    def is_trained(self) -> bool:
        """Whether a model is trained by each seed; a network whose weights are given has one cell a task."""
        return True

    @abstractmethod
    def check(self, training: Mapping[str, Any]) -> None:
        """Raise `SeqplrpError` where no model can be made in this way."""

    @abstractmethod
    def recipe(self, training: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Return all that decides a model beside its task, as plain values; of given weights, their digest."""

    @abstractmethod
    def make(self, data: Any, training: Mapping[str, Any], seed: int, folder: Path) -> None:
        """Train a model on a task's data, and write all that `load` needs to a folder that is not there yet.

        Where weights are given, there may be nothing to write but what is told of the network on these data.
        """

    @abstractmethod
    def load(self, folder: Path) -> Network:
        """Return the model that `make` left in a folder."""

    @abstractmethod
    def trial(self) -> tuple[nn.Module, Tensor]:
        """Return a model of two outputs or more and two inputs, untrained, on which every method is tried at first."""
