"""What every attribution method is: a frozen dataclass that attributes one batch of a prepared model's inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import Graph, Ledger, Plan, Rule, make_plan

Center = Literal["uniform", "composition"]
Rules = Rule | dict[str, Rule]


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
class Attribution:
    """What a method finds for one batch.

    Attributes
    ----------
    relevance : Tensor
        (N, ...), of the input's shape.
    hypothetical : Tensor or None
        The same shape, with ``relevance = input * hypothetical``; None where the method has none.
    output : Tensor
        (N,) the explained score.
    ledger : Ledger or None
        Where the relevance went; None where the method keeps no account.
    """

    relevance: Tensor
    hypothetical: Tensor | None
    output: Tensor
    ledger: Ledger | None = None


@dataclass(frozen=True, kw_only=True)
class Method:
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

    keeps_size: ClassVar[bool] = True
    """Whether the map's size is the output's, so that maps of two strands can be averaged as they are."""

    def __post_init__(self) -> None:
        if self.center not in (None, "uniform", "composition"):
            raise SeqplrpError("center", f"{self.center!r} is not known", "use None, 'uniform' or 'composition'")
        if not isinstance(self.reverse_complement, bool):
            raise SeqplrpError("reverse_complement", f"{self.reverse_complement!r} is neither", "use True or False")

    def prepare(self, model: nn.Module, graph: Graph, device: torch.device | None) -> Prepared:
        """Make a traced model ready; a method on the engine places its rules here."""
        return Prepared(model, graph, make_plan(graph, model, self.rules(), device))

    def rules(self) -> Rules | None:
        """Return the rules of the conv and linear layers, for a method that has them."""
        return None

    def attribute(self, prepared: Prepared, x: Tensor, target: Tensor | None) -> Attribution:
        """Attribute one batch.

        Parameters
        ----------
        prepared : Prepared
            From `prepare`.
        x : Tensor
            (N, ...), of the weights' dtype, on their device.
        target : Tensor or None
            (N,) index of the explained output; None where the output is the score itself.
        """
        raise NotImplementedError
