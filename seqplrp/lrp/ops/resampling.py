"""Resampling and windows: what copies values moves relevance back, what interpolates shares it by contribution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqplrp.lrp.ops.sharing import SharedByContribution
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import MoveHandler, Run, Step

aten = torch.ops.aten


def _upsampled_back(step: Step, grad: Tensor, shape: torch.Size, options: int) -> Tensor:
    """Apply the adjoint of an upsampling: ATen has one of each, by its name.

    Of the arguments, output size first, `options` (align_corners) and the scales are the adjoint's, too.
    """
    dims = len(shape) - 2
    rest = list(step.args[2:]) + [None] * dims
    given, scales = rest[:options], rest[options:]
    if step.node.overload._overloadname == "vec":
        scales = list(scales[0] or [None] * dims)
    backward = getattr(aten, f"{step.node.overload.overloadpacket.__name__}_backward")
    back: Tensor = backward(grad, list(grad.shape[2:]), list(shape), *given, *scales[:dims])
    return back


@register(
    aten.upsample_nearest1d.default,
    aten.upsample_nearest1d.vec,
    aten.upsample_nearest2d.default,
    aten.upsample_nearest2d.vec,
    aten.upsample_nearest3d.default,
    aten.upsample_nearest3d.vec,
    aten._upsample_nearest_exact1d.default,
    aten._upsample_nearest_exact1d.vec,
    aten._upsample_nearest_exact2d.default,
    aten._upsample_nearest_exact2d.vec,
    aten._upsample_nearest_exact3d.default,
    aten._upsample_nearest_exact3d.vec,
)
class NearestUpsample(MoveHandler):
    """The nearest value at each place: copies, whose relevances are summed."""

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        return [_upsampled_back(step, moved, run.shapes[step.inputs[0]], options=0)]


@register(
    aten.upsample_linear1d.default,
    aten.upsample_linear1d.vec,
    aten.upsample_bilinear2d.vec,
    aten.upsample_trilinear3d.default,
    aten.upsample_trilinear3d.vec,
    aten.upsample_bicubic2d.vec,
    aten._upsample_bilinear2d_aa.default,
    aten._upsample_bilinear2d_aa.vec,
    aten._upsample_bicubic2d_aa.default,
    aten._upsample_bicubic2d_aa.vec,
)
class Interpolation(SharedByContribution):
    """Linear and cubic interpolation."""

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs) and "linear" in step.op  # cubic weights have both signs

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        return [_upsampled_back(step, share, run.shapes[step.inputs[0]], options=1)]


@register(aten.unfold.default)
class Windows(MoveHandler):
    """Windows along an axis, as an axis of their own: copies, whose relevances are summed."""

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        axis, size, stride = step.args[1:4]
        shape = run.shapes[step.inputs[0]]
        return [aten.unfold_backward(moved, list(shape), axis, size, stride)]


@register(aten.im2col.default)
class Patches(MoveHandler):
    """`torch.nn.Unfold`: patches of an image, as columns; padding takes nothing."""

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        return [aten.col2im(moved, list(run.shapes[step.inputs[0]][-2:]), *step.args[1:5])]


@register(aten.col2im.default)
class SummedPatches(SharedByContribution):
    """`torch.nn.Fold`: patches that overlap are summed."""

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        return [aten.im2col(share, *step.args[2:6])]
