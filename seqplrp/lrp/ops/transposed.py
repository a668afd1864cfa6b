"""Transposed convolutions: the rules act on them as on any layer with weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqplrp.lrp.ops.arguments import filled, sizes
from seqplrp.lrp.ops.linear import Convolution, LinearHandler
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import LinearLayer, Step, refused

aten = torch.ops.aten


@dataclass(frozen=True)
class _TransposedConv:
    """The geometry of a transposed convolution, and its products; the weight is (inputs, outputs / groups, kernel)."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    output_padding: list[int]
    groups: int

    def apply(self, values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return torch.convolution(
            values, weight, bias, self.stride, self.padding, self.dilation, True, self.output_padding, self.groups
        )

    def adjoint(self, grad: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        none = [0] * len(self.stride)
        back = torch.convolution(grad, weight, None, self.stride, self.padding, self.dilation, False, none, self.groups)
        for axis, size in enumerate(shape[2:], start=2):
            if back.shape[axis] != size:  # an output padding of a stride or more, which a dilation allows
                back = back.narrow(axis, 0, size)
        return back

    def scaled(self, weight: Tensor, factors: Tensor) -> Tensor:
        """Multiply each output channel's part of the weight by its factor."""
        inputs, per_group = weight.shape[:2]
        grouped = weight.reshape(self.groups, inputs // self.groups, per_group, -1)
        return (grouped * factors.view(self.groups, 1, per_group, 1)).view(weight.shape)


def _layer(
    step: Step, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, output_padding: Any, groups: int
) -> LinearLayer:
    weight: Tensor = step.args[1]
    dims = weight.dim() - 2
    if len(step.node.shape or ()) != weight.dim():
        raise refused(step, "of a value without a batch axis", "give it (N, C, ...)")
    conv = _TransposedConv(
        sizes(stride, dims, 1),
        sizes(padding, dims, 0),
        sizes(dilation, dims, 1),
        sizes(output_padding, dims, 0),
        int(groups),
    )
    return LinearLayer(weight, bias, conv.apply, conv.adjoint, channel_axis=1, scaled=conv.scaled)


@register(aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input)
class TransposedConvolution(LinearHandler):
    """Transposed convolutions with stride, padding, output padding, dilation and groups."""

    def layer(self, step: Step) -> LinearLayer:
        _, bias, stride, padding, output_padding, groups, dilation = filled(step, None, None, 1, 0, 0, 1, 1)
        return _layer(step, bias, stride, padding, dilation, output_padding, groups)


@register(aten.convolution.default)
class AnyConvolution(Convolution):
    """The one operation behind all convolutions, which some exporters leave."""

    def layer(self, step: Step) -> LinearLayer:
        bias, stride, padding, dilation, transposed, output_padding, groups = step.args[2:9]
        if transposed:
            return _layer(step, bias, stride, padding, dilation, output_padding, groups)
        return super().layer(step)
