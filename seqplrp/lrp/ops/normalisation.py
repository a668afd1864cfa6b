"""Norms by statistics of the sample: those are held constant, so that what is left is linear (METHODS.md, section 2).

``y = (x - mean) / deviation * weight + bias`` is ``x * scale + shift`` with a scale and a shift of each sample's own.
It is shared by contribution; what the shift takes, the mean's part and the bias's, stands in the ledger's bias column.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqplrp.lrp.ledger import per_sample_sum
from seqplrp.lrp.ops.arguments import filled
from seqplrp.lrp.ops.elementwise import BATCH_NORM
from seqplrp.lrp.ops.sharing import SharedByContribution
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import Run, Step, refused

aten = torch.ops.aten


@dataclass(frozen=True)
class Statistics:
    """What the forward pass leaves for the way back; each broadcasts with the input.

    Attributes
    ----------
    mean : Tensor or None
        What was subtracted; None where nothing was.
    inverse : Tensor
        1 / deviation.
    """

    mean: Tensor | None
    inverse: Tensor


class Normalisation(SharedByContribution, ABC):
    """y = (x - mean) / deviation * weight + bias, with the statistics of the forward pass held constant."""

    def prepare(self, step: Step) -> None:
        if step.has_items:
            raise refused(
                step,
                "whose mean or deviation is read, too,",
                "work them out by themselves, or register a handler (seqplrp.lrp.register)",
            )

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return False

    @abstractmethod
    def normalised(self, step: Step, values: Tensor) -> tuple[Tensor, Statistics]:
        """Run the operation, and return what it normalised by."""

    @abstractmethod
    def weight_and_bias(self, step: Step) -> tuple[Tensor | None, Tensor | None]:
        """Return the learnt factors and shifts; each broadcasts with the input."""

    def forward(self, step: Step, run: Run) -> Tensor:
        value, run.extras[step.output] = self.normalised(step, run.values[step.inputs[0]])
        return value

    def _scale(self, step: Step, run: Run) -> Tensor:
        inverse: Tensor = run.extras[step.output].inverse
        weight, _ = self.weight_and_bias(step)
        return inverse if weight is None else inverse * weight

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        return [share * self._scale(step, run)]

    def taken_by_constants(self, step: Step, share: Tensor, run: Run) -> Tensor | None:
        mean: Tensor | None = run.extras[step.output].mean
        _, bias = self.weight_and_bias(step)
        taken = None if mean is None else per_sample_sum(share * (-mean * self._scale(step, run)), step.batch)
        if bias is None:
            return taken
        by_bias = per_sample_sum(share * bias, step.batch)
        return by_bias if taken is None else taken + by_bias


@register(aten.layer_norm.default, aten.native_layer_norm.default)
class LayerNorm(Normalisation):
    """Layer norm over the last axes."""

    def normalised(self, step: Step, values: Tensor) -> tuple[Tensor, Statistics]:
        shape, weight, bias, eps = filled(step, None, None, None, 1e-5)[:4]
        value, mean, inverse = aten.native_layer_norm(values, shape, weight, bias, eps)
        return value, Statistics(mean, inverse)

    def weight_and_bias(self, step: Step) -> tuple[Tensor | None, Tensor | None]:
        _, weight, bias = filled(step, None, None, None)[:3]
        return weight, bias


@register(aten.rms_norm.default)
class RMSNorm(Normalisation):
    """Root mean square norm over the last axes: nothing is subtracted, so all but the stabiliser's part passes."""

    def normalised(self, step: Step, values: Tensor) -> tuple[Tensor, Statistics]:
        shape, weight, eps = filled(step, None, None, None)
        eps = torch.finfo(values.dtype).eps if eps is None else eps
        axes = tuple(range(-len(shape), 0))
        inverse = (values.square().mean(axes, keepdim=True) + eps).rsqrt()
        return torch.rms_norm(values, list(shape), weight, eps), Statistics(None, inverse)

    def weight_and_bias(self, step: Step) -> tuple[Tensor | None, Tensor | None]:
        return filled(step, None, None)[1], None


class OverChannels(Normalisation):
    """A norm of (N, C, ...) with a weight and a bias per channel."""

    def weight_and_bias(self, step: Step) -> tuple[Tensor | None, Tensor | None]:
        weight, bias = self.per_channel(step)
        like = (1, -1) + (1,) * (len(step.node.shape or ()) - 2)
        return None if weight is None else weight.view(like), None if bias is None else bias.view(like)

    @abstractmethod
    def per_channel(self, step: Step) -> tuple[Tensor | None, Tensor | None]:
        """Return weight and bias (C,)."""


def _grouped(
    values: Tensor, weight: Tensor | None, bias: Tensor | None, groups: int, eps: float
) -> tuple[Tensor, Statistics]:
    """Norm over each sample's groups of channels and all positions; statistics (N, C, 1, ...)."""
    n, channels = values.shape[:2]
    value, *statistics = aten.native_group_norm(
        values.contiguous(), weight, bias, n, channels, values[0, 0].numel(), groups, eps
    )
    like = (n, channels) + (1,) * (values.dim() - 2)
    mean, inverse = (s.repeat_interleave(channels // groups, 1).view(like) for s in statistics)
    return value, Statistics(mean, inverse)


@register(aten.group_norm.default, aten.native_group_norm.default)
class GroupNorm(OverChannels):
    """Group norm; with one group, layer norm over channels and positions."""

    def prepare(self, step: Step) -> None:
        super().prepare(step)
        if step.op == "native_group_norm":  # it names the sizes, too, which the values bring along
            values, weight, bias, _, _, _, groups, eps = step.args
            step.args = (values, groups, weight, bias, eps)

    def normalised(self, step: Step, values: Tensor) -> tuple[Tensor, Statistics]:
        groups, weight, bias, eps = filled(step, 1, None, None, 1e-5)[:4]
        return _grouped(values, weight, bias, groups, eps)

    def per_channel(self, step: Step) -> tuple[Tensor | None, Tensor | None]:
        _, weight, bias = filled(step, 1, None, None)[:3]
        return weight, bias


@register(aten.instance_norm.default)
class InstanceNorm(OverChannels):
    """Instance norm by each sequence's own statistics; by running ones it is a batch norm, and folded as such."""

    def prepare(self, step: Step) -> None:
        super().prepare(step)
        if not step.args[5]:
            step.handler = BATCH_NORM
            BATCH_NORM.prepare(step)

    def normalised(self, step: Step, values: Tensor) -> tuple[Tensor, Statistics]:
        weight, bias, _, _, _, _, eps = step.args[1:8]
        return _grouped(values, weight, bias, values.shape[1], eps)

    def per_channel(self, step: Step) -> tuple[Tensor | None, Tensor | None]:
        return step.args[1], step.args[2]
