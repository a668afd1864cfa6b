"""Pooling: the winner takes all of a max pool; averages and sums share by contribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from seqplrp.lrp.ledger import Ledger
from seqplrp.lrp.ops.sharing import SharedByContribution
from seqplrp.lrp.steps import Contribution, Handler, Run, Step, Vanishing, Winners, register, spread

aten = torch.ops.aten


def _list(value: object, length: int, default: int) -> list[int]:
    """Return a size argument of a pooling operation as a list: 2, [2] and [] are all allowed by ATen."""
    if value is None or (isinstance(value, Sequence) and not value):
        return [default] * length
    if isinstance(value, int):
        return [value] * length
    sizes = [int(v) for v in value]  # type: ignore[attr-defined]
    return sizes * length if len(sizes) == 1 else sizes


def _filled(step: Step, *defaults: object) -> list[object]:
    """Return the arguments after the input, with the traced defaults for those left out."""
    given = list(step.args[1:])
    return given + list(defaults[len(given) :])


@register(
    aten.max_pool1d.default,
    aten.max_pool2d.default,
    aten.max_pool2d_with_indices.default,
    aten.adaptive_max_pool1d.default,
    aten.adaptive_max_pool2d.default,
)
class MaxPool(Handler):
    """Max pooling: all relevance goes to the window's winner, the first of equals; overlapping windows accumulate."""

    vanishing: ClassVar[Vanishing] = "with output"

    def forward(self, step: Step, run: Run) -> Tensor:
        values = run.values[step.inputs[0]]
        one_dimensional = step.op.endswith("1d")
        planes = values.unsqueeze(-2) if one_dimensional else values
        if step.op.startswith("adaptive"):
            size = _list(step.args[1], 1 if one_dimensional else 2, 1)
            pooled, indices = aten.adaptive_max_pool2d(planes, [1, *size] if one_dimensional else size)
        else:
            pooled, indices = aten.max_pool2d_with_indices(planes, *self._window(step, one_dimensional))
        run.extras[step.output] = indices.squeeze(-2) if one_dimensional else indices
        value: Tensor = pooled.squeeze(-2) if one_dimensional else pooled
        return value

    @staticmethod
    def _window(step: Step, one_dimensional: bool) -> list[object]:
        kernel, stride, padding, dilation, ceil_mode = _filled(step, None, None, 0, 1, False)
        dims = 1 if one_dimensional else 2
        kernel_sizes = _list(kernel, dims, 1)
        strides = kernel_sizes if stride in (None, [], ()) else _list(stride, dims, 1)
        sizes = [kernel_sizes, strides, _list(padding, dims, 0), _list(dilation, dims, 1)]
        if one_dimensional:
            sizes = [[fill, *size] for fill, size in zip((1, 1, 0, 1), sizes, strict=True)]
        return [*sizes, ceil_mode]

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def needs(self, step: Step) -> tuple[str, ...]:
        return (step.extra,) if step.extra else ()

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        shape = run.shapes[step.inputs[0]]
        indices = run.extras[step.output]
        if step.extra:  # a layer's outputs, whose ReLU was moved behind this pool; its value has this name
            return [Contribution(winners=Winners(relevance, run.values[step.extra], indices, shape))]
        return [Contribution(relevance=spread(relevance, indices, shape))]

    def describe(self, step: Step) -> str:
        return "winner takes all"


@register(aten.avg_pool1d.default, aten.avg_pool2d.default)
class AveragePool(SharedByContribution):
    """Average pooling over windows."""

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        return [self._adjoint(step, share, run)]

    @staticmethod
    def _adjoint(step: Step, grad: Tensor, run: Run) -> Tensor:
        values = run.values[step.inputs[0]]
        one_dimensional = step.op.endswith("1d")
        dims = 1 if one_dimensional else 2
        kernel, stride, padding, ceil_mode, with_padding, divisor = _filled(step, None, None, 0, False, True, None)
        kernel_sizes = _list(kernel, dims, 1)
        strides = kernel_sizes if stride in (None, [], ()) else _list(stride, dims, 1)
        paddings = _list(padding, dims, 0)
        if one_dimensional:
            back: Tensor = aten.avg_pool2d_backward(
                grad.unsqueeze(-2),
                values.unsqueeze(-2),
                [1, *kernel_sizes],
                [1, *strides],
                [0, *paddings],
                ceil_mode,
                with_padding,
                None,
            )
            return back.squeeze(-2)
        back = aten.avg_pool2d_backward(grad, values, kernel_sizes, strides, paddings, ceil_mode, with_padding, divisor)
        return back


@register(aten.adaptive_avg_pool1d.default, aten.adaptive_avg_pool2d.default, aten._adaptive_avg_pool2d.default)
class AdaptiveAveragePool(SharedByContribution):
    """Average pooling to a given size."""

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        return [self._adjoint(step, share, run)]

    @staticmethod
    def _adjoint(step: Step, grad: Tensor, run: Run) -> Tensor:
        values = run.values[step.inputs[0]]
        one_dimensional = step.op.endswith("1d")
        if one_dimensional:
            grad, values = grad.unsqueeze(-2), values.unsqueeze(-2)
        back: Tensor = aten._adaptive_avg_pool2d_backward(grad, values)
        return back.squeeze(-2) if one_dimensional else back


@register(aten.mean.dim, aten.mean.default, aten.sum.dim_IntList, aten.sum.default)
class Reduce(SharedByContribution):
    """Mean or sum over axes."""

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        return [self._adjoint(step, share, run)]

    @staticmethod
    def _adjoint(step: Step, grad: Tensor, run: Run) -> Tensor:
        shape = run.shapes[step.inputs[0]]
        axes = step.args[1] if len(step.args) > 1 and step.args[1] is not None else None
        axes = tuple(range(len(shape))) if axes is None or not len(axes) else tuple(a % len(shape) for a in axes)
        for axis in sorted(axes):
            if grad.dim() < len(shape):
                grad = grad.unsqueeze(axis)
        if step.op == "mean":
            count = 1
            for axis in axes:
                count *= shape[axis]
            grad = grad / count
        return grad.expand(shape)
