"""What an explanation is, for the user who holds one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import NUMBERS
from seqplrp.methods.base import Method


@dataclass(frozen=True)
class Explanation:
    """The relevance of every input for one score a sequence.

    Attributes
    ----------
    relevance : Tensor
        (N, 4, L), in the units of the score and the dtype of the input; 0 at bases that are not present.
    output : Tensor
        (N,) the explained score before a closing sigmoid or softmax; the mean of both strands' scores where the method
        averages both.
    target : Tensor or None
        (N,) the index of the explained output; None where the model has one output, or the target is a callable.
    method : Method
        What was asked for, centring included.
    notes : tuple of str
        What a reader of the map must know: a closing activation that was left out, negative scores, sums that changed.
    """

    relevance: Tensor
    output: Tensor
    target: Tensor | None
    method: Method
    notes: tuple[str, ...] = ()
    _hypothetical: Tensor | None = field(default=None, repr=False)
    _ledgers: tuple[dict[str, list[object]], ...] = field(default=(), repr=False)

    @property
    def hypothetical(self) -> Tensor:
        """(N, 4, L) contributions of all four bases at each position; ``relevance`` is the input times these.

        Raises
        ------
        SeqplrpError
            Where the method has none (first-layer rules flat, w-square and z-box).
        """
        if self._hypothetical is None:
            raise SeqplrpError(
                "hypothetical",
                f"{self.method!r} has none, as its first layer's share is not the input times something",
                "use the epsilon, gamma, zplus, alphabeta or relative rule at the first layer",
            )
        return self._hypothetical

    @property
    def has_hypothetical(self) -> bool:
        """Whether the method gives hypothetical contributions."""
        return self._hypothetical is not None

    @property
    def per_base(self) -> Tensor:
        """(N, L) relevance of each position: the sum over its bases."""
        return self.relevance.sum(1)

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """Every layer's account, one row a sequence and layer, from the output down; see `seqplrp.lrp.NUMBERS`.

        With both strands averaged, the column `strand` tells them apart.
        """
        columns = ["sequence", "layer", "op", "rule", *NUMBERS]
        frames = [pd.DataFrame(table) for table in self._ledgers]
        if not frames:
            return pd.DataFrame(columns=columns)
        return pd.concat(frames, ignore_index=True)

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.relevance)

    def __repr__(self) -> str:
        shape = ", ".join(map(str, self.relevance.shape))
        lines = [f"Explanation of {len(self)} inputs, relevance ({shape}) by {self.method!r}"]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def joined(parts: Sequence[Explanation]) -> Explanation:
    """Put the explanations of successive batches together."""
    first = parts[0]
    if len(parts) == 1:
        return first
    together: dict[str, Any] = {
        "relevance": torch.cat([part.relevance for part in parts]),
        "output": torch.cat([part.output for part in parts]),
        "target": None if first.target is None else torch.cat([p.target for p in parts if p.target is not None]),
        "_hypothetical": torch.cat([part.hypothetical for part in parts]) if first.has_hypothetical else None,
        "_ledgers": tuple(table for part in parts for table in part._ledgers),
    }
    return Explanation(method=first.method, notes=first.notes, **together)
