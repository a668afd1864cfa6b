"""Pooling over windows: the winner takes all of a max pool; averages share by contribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqplrp.lrp.ledger import Ledger
from seqplrp.lrp.ops.arguments import filled, sizes
from seqplrp.lrp.ops.sharing import SharedByContribution
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import Contribution, Handler, Run, Step, Vanishing, refused
from seqplrp.lrp.winners import Winners, spread

aten = torch.ops.aten


def _dims(step: Step) -> int:
    """Return over how many axes the operation pools, which its name says: 2 for ``max_pool2d_with_indices``."""
    return next(dims for dims in (1, 2, 3) if f"{dims}d" in step.op)


def _window(kernel: Any, stride: Any, dims: int) -> tuple[list[int], list[int]]:
    """Return a window's size and its stride, which is the size unless given."""
    size = sizes(kernel, dims, 1)
    return size, sizes(stride, dims, size)


def _planes(values: Tensor, dims: int) -> Tensor:
    """Return values to pool over one axis as planes of one row, for the two-dimensional operations."""
    return values.unsqueeze(-2) if dims == 1 else values


def _max_pooled(step: Step, values: Tensor) -> tuple[Tensor, Tensor]:
    """Pool (N, C, ...); return the winners' values, and where each stands in its channel's flattened axes."""
    dims = _dims(step)
    if step.op.startswith("adaptive"):
        (size,) = filled(step)
        whole = [values.shape[-dims + axis] if s is None else s for axis, s in enumerate(sizes(size, dims, 1))]
        pool = aten.adaptive_max_pool3d if dims == 3 else aten.adaptive_max_pool2d
        pooled, indices = pool(_planes(values, dims), [1, *whole] if dims == 1 else whole)
    else:
        kernel, stride, padding, dilation, ceil_mode = filled(step, None, None, 0, 1, False)
        size, strides = _window(kernel, stride, dims)
        window = [size, strides, sizes(padding, dims, 0), sizes(dilation, dims, 1)]
        if dims == 1:
            window = [[fill, *each] for fill, each in zip((1, 1, 0, 1), window, strict=True)]
        pool = aten.max_pool3d_with_indices if dims == 3 else aten.max_pool2d_with_indices
        pooled, indices = pool(_planes(values, dims), *window, ceil_mode)
    return (pooled.squeeze(-2), indices.squeeze(-2)) if dims == 1 else (pooled, indices)


def _apart(step: Step) -> bool:
    """Whether no two of a max pool's windows have a position in common."""
    if step.op.startswith("adaptive"):
        return False
    kernel, stride, _, dilation, _ = filled(step, None, None, 0, 1, False)
    size, strides = _window(kernel, stride, _dims(step))
    reach = [1 + (k - 1) * d for k, d in zip(size, sizes(dilation, _dims(step), 1), strict=True)]
    return all(step_ >= whole for step_, whole in zip(strides, reach, strict=True))


@register(
    aten.max_pool1d.default,
    aten.max_pool2d.default,
    aten.max_pool3d.default,
    aten.max_pool1d_with_indices.default,
    aten.max_pool2d_with_indices.default,
    aten.max_pool3d_with_indices.default,
    aten.adaptive_max_pool1d.default,
    aten.adaptive_max_pool2d.default,
    aten.adaptive_max_pool3d.default,
)
class MaxPool(Handler):
    """Max pooling: all relevance goes to the window's winner, the first of equals; overlapping windows accumulate."""

    conserves: ClassVar[bool] = True
    vanishing: ClassVar[Vanishing] = "with output"

    def prepare(self, step: Step) -> None:
        if step.has_items:
            raise refused(
                step,
                "whose winners' places are read, too,",
                "read the pooled values alone, or register a handler (seqplrp.lrp.register)",
            )
        if len(step.node.shape or ()) == _dims(step) + 1:
            step.handler = PlaneMaxPool()

    def forward(self, step: Step, run: Run) -> Tensor:
        value, indices = _max_pooled(step, run.values[step.inputs[0]])
        # half as wide: they are kept until the way back, and are as many as the pooled values
        run.extras[step.output] = indices.to(torch.int32)
        return value

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def needs(self, step: Step) -> tuple[str, ...]:
        return (step.extra,) if step.extra else ()

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        shape = run.shapes[step.inputs[0]]
        indices = run.extras[step.output]
        if step.extra:  # a layer's outputs, whose ReLU was moved behind this pool; its value has this name
            return [Contribution(winners=Winners(relevance, run.values[step.extra], indices, shape, _apart(step)))]
        return [Contribution(relevance=spread(relevance, indices, shape))]

    def describe(self, step: Step) -> str:
        return "winner takes all"


class PlaneMaxPool(Handler):
    """Max pooling of values with one axis too few, (N, L) or (N, C, L) as planes: torch takes N for the channels.

    No `MaxPool`, so that no layer is asked to work with winners of other axes than its own.
    """

    vanishing: ClassVar[Vanishing] = "with output"

    def forward(self, step: Step, run: Run) -> Tensor:
        value, run.extras[step.output] = _max_pooled(step, run.values[step.inputs[0]].unsqueeze(1))
        return value.squeeze(1)

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        n, *rest = run.shapes[step.inputs[0]]
        whole = spread(relevance.unsqueeze(1), run.extras[step.output], torch.Size((n, 1, *rest)))
        return [Contribution(relevance=whole.squeeze(1))]

    def describe(self, step: Step) -> str:
        return "winner takes all"


@register(aten.avg_pool1d.default, aten.avg_pool2d.default, aten.avg_pool3d.default)
class AveragePool(SharedByContribution):
    """Average pooling over windows."""

    def is_plain_sum(self, step: Step) -> bool:
        return True

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        dims = _dims(step)
        kernel, stride, padding, ceil_mode, with_padding, divisor = filled(step, None, None, 0, False, True, None)
        size, strides = _window(kernel, stride, dims)
        window = [size, strides, sizes(padding, dims, 0)]
        if dims == 1:
            window = [[fill, *each] for fill, each in zip((1, 1, 0), window, strict=True)]
        values = _planes(run.values[step.inputs[0]], dims)
        pool = aten.avg_pool3d_backward if dims == 3 else aten.avg_pool2d_backward
        back: Tensor = pool(_planes(share, dims), values, *window, ceil_mode, with_padding, divisor)
        return [back.squeeze(-2) if dims == 1 else back]


@register(
    aten.adaptive_avg_pool1d.default,
    aten.adaptive_avg_pool2d.default,
    aten.adaptive_avg_pool3d.default,
    aten._adaptive_avg_pool2d.default,
    aten._adaptive_avg_pool3d.default,
)
class AdaptiveAveragePool(SharedByContribution):
    """Average pooling to a given size; windows overlap where it does not divide the length."""

    def is_plain_sum(self, step: Step) -> bool:
        return True

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        dims = _dims(step)
        pool = aten._adaptive_avg_pool3d_backward if dims == 3 else aten._adaptive_avg_pool2d_backward
        back: Tensor = pool(_planes(share, dims), _planes(run.values[step.inputs[0]], dims))
        return [back.squeeze(-2) if dims == 1 else back]
