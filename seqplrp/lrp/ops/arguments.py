"""Arguments of ATen operations as they were traced: sizes in any of their spellings, and what was left to a default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from seqplrp.lrp.steps import Step


def filled(step: Step, *defaults: Any) -> list[Any]:
    """Return the arguments after the input, with the operation's defaults for those left out; none by keyword."""
    given = list(step.args[1:])
    return given + list(defaults[len(given) :])


def are_nonnegative(constants: Iterable[Any]) -> bool:
    """Whether arguments are numbers, or tensors of them, none of which is below 0."""
    return all(isinstance(c, Tensor | int | float) and bool(torch.as_tensor(c >= 0).all()) for c in constants)


def sizes(value: Any, dims: int, default: int | Sequence[int] = 0) -> list[int]:
    """Return a size argument, one number an axis: 2, [2] and [2, 2] are all allowed by ATen, and [] is the default."""
    if value is None or (isinstance(value, Sequence) and not value):
        return [default] * dims if isinstance(default, int) else list(default)
    if isinstance(value, int):
        return [value] * dims
    each = [int(v) for v in value]
    return each * dims if len(each) == 1 else each


def axes_of(value: Any, dims: int) -> tuple[int, ...]:
    """Return an argument that names axes, counted from the front and in order; None and [] name all."""
    if value is None or (isinstance(value, Sequence) and not value):
        return tuple(range(dims))
    return tuple(sorted({axis % dims for axis in ([value] if isinstance(value, int) else value)}))
