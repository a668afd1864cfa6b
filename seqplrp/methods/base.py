"""What every attribution method is: a frozen dataclass that attributes one batch of a prepared model's inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import Graph, Ledger, Plan, Rule, make_plan

Center = Literal["uniform", "composition"]
Rules = Rule | str | Mapping[str, Rule]
Chosen = Tensor | Literal["predicted"] | None
"""Which output of each sequence is explained: (N,) indices, the highest, or None where the output is the score."""


@dataclass(frozen=True)
class Prepared:
    """A model made ready for a method.

    Attributes
    ----------
    model : nn.Module
        The user's model; never changed.
    graph : Graph
        What was traced of it, with the target if that is a callable.
    plan : Plan
        The graph with the model's weights and the method's rules.
    """

    model: nn.Module
    graph: Graph
    plan: Plan


@dataclass(frozen=True)
class Batch:
    """What a method attributes at once.

    Attributes
    ----------
    x : Tensor
        (N, ...), of the weights' dtype, on their device.
    others : tuple of Tensor
        The model's further inputs (N, ...), held fixed.
    targets : sequence
        What to explain, one after the other, from one forward pass.
    layers : tuple of str
        Modules whose outputs' relevance is wanted, too.
    """

    x: Tensor
    others: tuple[Tensor, ...]
    targets: Sequence[Chosen]
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attribution:
    """What a method finds for one batch and one target.

    Attributes
    ----------
    relevance : Tensor
        (N, ...), of the input's shape.
    hypothetical : Tensor or None
        The same shape, with ``relevance = input * hypothetical``; None where the method has none.
    output : Tensor
        (N,) the explained score.
    target : Tensor or None
        (N,) the explained output's index.
    ledger : Ledger or None
        Where the relevance went; None where the method keeps no account.
    layers : mapping of str to Tensor
        Relevance at the outputs of the modules asked for.
    notes : tuple of str
        What a reader of this batch's maps must know, such as a library's warning; alike for alike findings, as the
        notes of all batches are put together.
    turned : bool
        Whether signs turn with the score's: evidence for the output is negative where the score is negative.
    """

    relevance: Tensor
    hypothetical: Tensor | None
    output: Tensor
    target: Tensor | None = None
    ledger: Ledger | None = None
    layers: Mapping[str, Tensor] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    turned: bool = False


def chosen_of(output: Tensor, target: Chosen) -> Tensor | None:
    """Return the index of the explained output (N,) where the highest was asked for."""
    return output.argmax(1) if isinstance(target, str) else target


def score_of(output: Tensor, target: Tensor | None) -> Tensor:
    """Return the explained score (N,) of outputs (N,) or (N, outputs)."""
    score = output if target is None else output.gather(1, target.unsqueeze(1))
    return score.reshape(len(output))


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """Fields that every method has.

    Parameters
    ----------
    center : {None, "uniform", "composition"}
        What to subtract from the hypothetical contributions at each position before they are read out at the bases that
        are present: nothing; their mean over the four bases (the gradient correction of Majdandzic, Rajesh and Koo,
        Genome Biology 2023, 24:109); or their mean weighted by the sequence's own base composition (ours). Both change
        the map's sum. METHODS.md, section 4.
    reverse_complement : bool
        Whether to average the maps of both strands.
    """

    center: Center | None = None
    reverse_complement: bool = False

    gives_layers: ClassVar[bool] = False
    """Whether the method gives relevance at intermediate layers."""

    def __post_init__(self) -> None:
        if self.center not in (None, "uniform", "composition"):
            raise SeqplrpError("center", f"{self.center!r} is not known", "use None, 'uniform' or 'composition'")
        if not isinstance(self.reverse_complement, bool):
            raise SeqplrpError("reverse_complement", f"{self.reverse_complement!r} is neither", "use True or False")

    @property
    def keeps_size(self) -> bool:
        """Whether the map's size is the output's, so that maps of two strands can be averaged as they are."""
        return True

    def prepare(self, model: nn.Module, graph: Graph, device: torch.device | None) -> Prepared:
        """Make a traced model ready; a method on the engine places its rules here."""
        return Prepared(model, graph, make_plan(graph, model, self.rules(), device))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of every map of this method must know, such as that it does not sum to the score."""
        return ()

    def rules(self) -> Rules | None:
        """Return the rules of the conv and linear layers, for a method that has them."""
        return None

    @abstractmethod
    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        """Attribute one batch: one result a target."""
