"""What stands in for what is taken away: perturbers, and inputs of which some positions are perturbed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate.arrays import BoolArray, as_mask, to_host

Perturber = Callable[[Tensor, int], Tensor]
"""From inputs and a seed to wholly perturbed inputs of the same shape, of which parts are then taken.

What it puts at one position must not depend on which positions are taken, so that all methods meet the same
replacements. It may have a method ``fixed(x)`` that gives the (N, L) positions which it can't perturb, such as unknown
bases; those are never counted as positions.
"""


def positions_of(x: Tensor, length: int | None = None) -> int:
    """Return how many positions inputs have: the product of all axes behind the channels; of tokens (N, L), L.

    Raises
    ------
    SeqplrpError
        If there is no input, or `length` is another number.
    """
    if not isinstance(x, Tensor) or x.dim() < 2 or len(x) == 0:
        shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise SeqplrpError("X", f"is {shape}", "give a tensor (N, C, L) of at least one input")
    count = x.shape[1] if x.dim() == 2 else int(np.prod(x.shape[2:]))
    if length is not None and count != length:
        raise SeqplrpError(
            "relevance", f"has {length} positions, the inputs {tuple(x.shape)} have {count}", "pass (N, L) of this X"
        )
    return count


def fixed_positions(perturb: Perturber, x: Tensor, ignore: Any) -> BoolArray:
    """Return the (N, L) positions that are never perturbed: those to ignore, and those that the perturber can't."""
    shape = (len(x), positions_of(x))
    left_alone = as_mask(ignore, shape, "ignore")
    fixed = getattr(perturb, "fixed", None)
    return left_alone if fixed is None else left_alone | as_mask(fixed(x), shape, "perturb.fixed")


def perturbed(perturb: Perturber, x: Tensor, seed: int) -> Tensor:
    """Return wholly perturbed inputs, checked.

    Raises
    ------
    SeqplrpError
        If the perturber gives another shape, or values that are not finite.
    """
    found = perturb(x, seed)
    if not isinstance(found, Tensor) or found.shape != x.shape:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise SeqplrpError("perturb", f"gives {shape} for inputs {tuple(x.shape)}", "return a tensor of their shape")
    if found.is_floating_point() and not bool(torch.isfinite(found).all()):
        raise SeqplrpError("perturb", "gives NaN or infinite values", "return inputs that the model may see")
    return found.detach().to(x.device, x.dtype)


def replaced(x: Tensor, by: Tensor, where: Tensor) -> Tensor:
    """Return inputs whose positions `where` (B, L) come from other inputs."""
    shape = where.shape if x.dim() == 2 else (len(x), 1, *x.shape[2:])
    return torch.where(where.view(shape), by, x)


def differs(x: Tensor, y: Tensor) -> BoolArray:
    """Return the (N, L) positions at which two batches of inputs are not the same."""
    other = x != y
    flat = other if x.dim() == 2 else other.flatten(2).any(dim=1)
    return np.asarray(to_host(flat), dtype=bool)
