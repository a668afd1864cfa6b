"""Methods around a method: what they have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import Graph
from seqplrp.methods.base import Attribution, Method, Prepared
from seqplrp.methods.gradients import GradientTimesInput


@dataclass(frozen=True, kw_only=True)
class Around(Method):
    """A method that asks another one several times.

    Parameters
    ----------
    over : Method or str
        The other method, or its name. Centring and both strands are set on the method around it: they are done once, to
        what it makes.
    center, reverse_complement
        See `Method`.
    """

    over: Method | str = field(default_factory=GradientTimesInput)

    def __post_init__(self) -> None:
        super().__post_init__()
        from seqplrp.methods.names import resolve_method  # which knows this class

        try:
            object.__setattr__(self, "over", resolve_method(self.over))
        except SeqplrpError as error:
            raise SeqplrpError("over", error.what, error.remedy) from error
        for name, set_ in (("center", self.inner.center), ("reverse_complement", self.inner.reverse_complement)):
            if set_:
                raise SeqplrpError(
                    "over",
                    f"{self.inner!r} has its own {name}, which would be done many times",
                    f"set {name} on {type(self).__name__}",
                )

    @property
    def inner(self) -> Method:
        """The other method."""
        assert isinstance(self.over, Method)
        return self.over

    @property
    def keeps_size(self) -> bool:
        """Whether the other method's maps have the size of the output."""
        return self.inner.keeps_size

    @property
    def pruning(self) -> Any:
        """The other method's pruning, for the plan's table; None where it has none."""
        return getattr(self.inner, "pruning", None)

    def prepare(self, model: nn.Module, graph: Graph, device: torch.device | None) -> Prepared:
        return self.inner.prepare(model, graph, device)


@dataclass
class Mean:
    """The mean of attributions, added one by one."""

    relevance: Tensor | None = None
    hypothetical: Tensor | None = None
    count: int = 0
    turned: bool = False
    notes: dict[str, None] = field(default_factory=dict)

    def add(self, found: Attribution) -> None:
        """Add one; all must be alike in having hypothetical contributions or not."""
        self.count += 1
        self.turned = found.turned
        self.relevance = _added(self.relevance, found.relevance)
        if found.hypothetical is not None:
            self.hypothetical = _added(self.hypothetical, found.hypothetical)
        self.notes |= dict.fromkeys(found.notes)

    def of_relevance(self) -> Tensor:
        """Return the mean relevance (N, ...)."""
        assert self.relevance is not None
        return self.relevance / self.count

    def of_hypothetical(self) -> Tensor | None:
        """Return the mean hypothetical contributions (N, ...), if there are such."""
        return None if self.hypothetical is None else self.hypothetical / self.count


def _added(total: Tensor | None, one: Tensor) -> Tensor:
    """Add to a sum that nobody else holds; the first makes it."""
    return one.clone() if total is None else total.add_(one)
