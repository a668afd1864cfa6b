"""Conv and linear layers: where the rules act."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.ledger import Ledger
from seqplrp.lrp.ops.arguments import filled, sizes
from seqplrp.lrp.ops.branches import share_by_rule
from seqplrp.lrp.registry import register
from seqplrp.lrp.rules import Relative
from seqplrp.lrp.steps import (
    Contribution,
    Handler,
    LinearLayer,
    Run,
    Step,
    Vanishing,
    refused,
)

aten = torch.ops.aten


@dataclass(frozen=True)
class Geometry:
    """The geometry of a convolution over the last axes, and its products with inputs and outputs."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int
    # extra zeros on the right of each axis, where "same" padding can't be even
    extra_right: list[int]

    def apply(self, values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if any(self.extra_right):
            values = torch.nn.functional.pad(values, self._pads())
        return torch.convolution(
            values,
            weight,
            bias,
            self.stride,
            self.padding,
            self.dilation,
            False,
            [0] * len(self.stride),
            self.groups,
        )

    def adjoint(self, grad: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        padded = [size + extra for size, extra in zip(shape[2:], self.extra_right, strict=True)]
        # what the last window does not reach: the transposed convolution must be told to cover it
        missing = [
            size - ((out - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1)
            for size, out, stride, padding, dilation, kernel in zip(
                padded, grad.shape[2:], self.stride, self.padding, self.dilation, weight.shape[2:], strict=True
            )
        ]
        back = torch.convolution(
            grad, weight, None, self.stride, self.padding, self.dilation, True, missing, self.groups
        )
        for axis, size in enumerate(shape[2:], start=2):
            if back.shape[axis] != size:
                back = back.narrow(axis, 0, size)
        return back

    def _pads(self) -> list[int]:
        pads: list[int] = []
        for extra in reversed(self.extra_right):
            pads += [0, extra]
        return pads


class LinearHandler(Handler, ABC):
    """A layer with weights; `prepare` of the subclasses says what its product and its adjoint are."""

    vanishing: ClassVar[Vanishing] = "always"

    @abstractmethod
    def layer(self, step: Step) -> LinearLayer:
        """Read weight, bias and the two products from the step's arguments."""

    def prepare(self, step: Step) -> None:
        if len(step.inputs) != 1 or not step.is_input(step.args[0]):
            raise refused(step, "with weights that depend on the input")
        step.extra = self.layer(step)

    def forward(self, step: Step, run: Run) -> Tensor:
        layer: LinearLayer = step.extra
        return layer.apply(run.values[step.inputs[0]], layer.weight, layer.bias)

    def needs(self, step: Step) -> tuple[str, ...]:
        layer: LinearLayer = step.extra
        if isinstance(layer.rule, Relative) or step.pooled:
            return (step.inputs[0],)
        reads_output = any(
            branch.is_forward or (branch.outputs != "all" and not step.gated) for branch in layer.branches
        )
        return (step.inputs[0], step.value_of_output) if reads_output else (step.inputs[0],)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        return [share_by_rule(step, relevance, run, ledger)[0]]

    def describe(self, step: Step) -> str:
        return repr(step.extra.rule)


@register(
    aten.conv1d.default,
    aten.conv1d.padding,
    aten.conv2d.default,
    aten.conv2d.padding,
    aten.conv3d.default,
    aten.conv3d.padding,
)
class Convolution(LinearHandler):
    """conv1d to conv3d with stride, padding (also "same" and "valid"), dilation and groups."""

    def layer(self, step: Step) -> LinearLayer:
        weight, bias = step.args[1], step.argument(2)
        if len(step.node.shape or ()) != weight.dim():
            raise refused(step, "of a value without a batch axis", "give it (N, C, ...)")
        conv = self.geometry(step)
        return LinearLayer(weight, bias, conv.apply, conv.adjoint, channel_axis=1)

    @staticmethod
    def geometry(step: Step) -> Geometry:
        """Read stride, padding, dilation and groups from the step's arguments."""
        weight = step.args[1]
        dims = weight.dim() - 2
        if step.op == "convolution":
            stride, padding, dilation, _, _, groups = step.args[3:9]
        else:
            _, _, stride, padding, dilation, groups = filled(step, None, None, 1, 0, 1, 1)
        strides, dilations = sizes(stride, dims, 1), sizes(dilation, dims, 1)
        extra_right = [0] * dims
        if padding == "same":
            total = [d * (k - 1) for d, k in zip(dilations, weight.shape[2:], strict=True)]
            padding, extra_right = [t // 2 for t in total], [t % 2 for t in total]
        elif padding == "valid":
            padding = [0] * dims
        return Geometry(strides, sizes(padding, dims, 0), dilations, int(groups), extra_right)


def apply_linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``values @ weight.T + bias``."""
    return torch.nn.functional.linear(values, weight, bias)


def adjoint_linear(grad: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
    """Apply the transpose of `apply_linear`."""
    return grad @ weight


@register(aten.linear.default)
class Linear(LinearHandler):
    """A fully connected layer over the last axis."""

    def layer(self, step: Step) -> LinearLayer:
        weight, bias = step.args[1], step.argument(2)
        return LinearLayer(weight, bias, apply_linear, adjoint_linear, channel_axis=-1)


@register(aten.addmm.default)
class AddMatrixProduct(LinearHandler):
    """bias + values @ constant."""

    def prepare(self, step: Step) -> None:
        if step.kwargs.get("alpha", 1) != 1 or step.kwargs.get("beta", 1) != 1:
            raise SeqplrpError(step.path, "addmm with alpha or beta has no relevance handler", "use torch.nn.Linear")
        bias, values, constant = step.args[:3]
        step.args = (values, constant, bias)
        super().prepare(step)

    def layer(self, step: Step) -> LinearLayer:
        _, constant, bias = step.args
        return LinearLayer(constant.t().contiguous(), bias, apply_linear, adjoint_linear, channel_axis=-1)


def fold_affine(step: Step, scale: Tensor, shift: Tensor) -> None:
    """Fold a batch norm's scale and shift per output channel into a conv or linear layer's private weights."""
    layer: LinearLayer = step.extra
    weight = layer.scaled(layer.weight, scale)
    bias = shift if layer.bias is None else layer.bias * scale + shift
    step.extra = replace(layer, weight=weight, bias=bias)
