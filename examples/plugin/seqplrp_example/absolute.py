"""A rule: shares by the size of the contributions, whatever their sign."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from seqplrp.lrp import Branch, Term


@dataclass(frozen=True)
class Absolute:
    """Numerators ``|a_i w_ij|``, and ``|b_j|`` for the bias; so no relevance changes its sign on the way back."""

    eps: float = 1e-6

    def branches(self, weight: Tensor, bias: Tensor | None) -> tuple[Branch, ...]:
        size = weight.abs()
        terms = (Term("positive", size), Term("negative", -size))
        return (Branch(terms, None if bias is None else bias.abs(), nonnegative=True),)
