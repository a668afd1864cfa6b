"""Several prunings of the same rules from one forward pass, for curves over p."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import Graph, Pruning
from seqplrp.methods.base import Attribution, Batch, Prepared
from seqplrp.methods.explainer import Explainer, Index
from seqplrp.methods.explanation import Explanation
from seqplrp.methods.relevance import LRP, PLRP, ways_back

_SHARED = tuple(field.name for field in fields(LRP))


class Sweep:
    """A model traced once and made ready for several methods that differ in their pruning alone.

    The forward pass is run once for all of them; each has a way back of its own. Results equal those of separate
    explainers bit for bit.

    Parameters
    ----------
    model : nn.Module
        As `Explainer` takes it.
    example : Tensor
        (N, 4, L) with N >= 1.
    methods : sequence of LRP and PLRP
        Of one rule, attention, centring and one choice of strands; plain LRP is the sweep's p = 0.
    **options
        Whatever else `Explainer` takes, such as ``layout`` or ``device``.

    Raises
    ------
    SeqplrpError
        Where there is no method, they differ in more than pruning, or the model can't be explained.

    Examples
    --------
    >>> import torch, seqplrp as sp
    >>> from seqplrp.methods import Sweep
    >>> nn = torch.nn
    >>> model = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(48, 1))
    >>> X = sp.one_hot(["ACGTACGTAC"])
    >>> sweep = Sweep(model, X, [sp.PLRP(p=p) for p in (0.25, 0.5)])
    >>> [found.method.p for found in sweep(X)]
    [0.25, 0.5]
    """

    def __init__(self, model: nn.Module, example: Tensor, methods: Sequence[LRP], **options: Any) -> None:
        self.methods = tuple(methods)
        self.explainer = Explainer(model, example, _Together(**_shared(self.methods), members=self.methods), **options)

    def __call__(self, x: Tensor, target: Index = None, **options: Any) -> list[Explanation]:
        """Explain inputs by every method.

        Parameters
        ----------
        x : Tensor
            (N, 4, L), one-hot.
        target : int, sequence of int, "predicted", or None
            As `Explainer` takes it.
        **options
            Whatever else a call of `Explainer` takes, such as ``batch_size``.

        Returns
        -------
        list of Explanation
            One a method, in their order.
        """
        found = self.explainer.many(x, [target] * len(self.methods), **options)
        return [replace(one, method=method) for one, method in zip(found, self.methods, strict=True)]


def _shared(methods: tuple[LRP, ...]) -> dict[str, Any]:
    """Return the fields that all methods have in common; refuse methods that differ in them."""
    if not methods:
        raise SeqplrpError("methods", "is empty", "give at least one PLRP")
    first = methods[0]
    for method in methods:
        if type(method) not in (LRP, PLRP):
            raise SeqplrpError("methods", f"{method!r} is neither LRP nor PLRP", "explain it by itself")
        for name in _SHARED:
            if getattr(method, name) != getattr(first, name):
                raise SeqplrpError(
                    "methods",
                    f"{first!r} and {method!r} differ in {name}",
                    "sweep over what prunes alone, such as p, budget, mode or threshold",
                )
    return {name: getattr(first, name) for name in _SHARED}


@dataclass(frozen=True, kw_only=True)
class _Together(LRP):
    """Methods of the same rules as one: the i-th target of a batch is for the i-th of them."""

    members: tuple[LRP, ...] = ()

    def prepare(self, model: nn.Module, graph: Graph, device: torch.device | None) -> Prepared:
        prepared = super().prepare(model, graph, device)
        for pruning in self._prunings:
            if pruning is not None:
                prepared.plan.check(pruning)
        return prepared

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        return ways_back(prepared.plan, batch, self._prunings)

    @property
    def _prunings(self) -> list[Pruning | None]:
        return [member.pruning for member in self.members]
