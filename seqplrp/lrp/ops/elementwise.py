"""Elementwise operations: activations pass relevance through; sums share by contribution; constants scale or shift."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.ledger import Ledger, per_sample_sum
from seqplrp.lrp.ops.arguments import are_nonnegative
from seqplrp.lrp.ops.sharing import SharedByContribution
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import Contribution, Handler, MoveHandler, Run, Step, Vanishing, lowest_level, refused

aten = torch.ops.aten


@register(aten.relu.default)
class Relu(Handler):
    """ReLU: relevance passes through."""

    conserves: ClassVar[bool] = True
    vanishing: ClassVar[Vanishing] = "with output"

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return True

    def forward(self, step: Step, run: Run) -> Tensor:
        values: Tensor = run.values[step.inputs[0]]
        return torch.relu_(values) if step.in_place else torch.relu(values)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        return [Contribution(relevance=relevance)]

    def describe(self, step: Step) -> str:
        return "passed through"


@register(aten.add.Tensor, aten.sub.Tensor)
class Add(SharedByContribution):
    """x + y shares by x and y over the stabilised sum; a constant among the two takes its share as a bias does."""

    def prepare(self, step: Step) -> None:
        if step.kwargs.get("alpha", 1) != 1:
            raise refused(step, f"with alpha={step.kwargs['alpha']}", "scale first, then add")

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        if step.op == "sub" or not all(inputs):
            return False
        return are_nonnegative(a for a in step.args if not step.is_input(a))

    def is_plain_sum(self, step: Step) -> bool:
        return step.op == "add" and all(step.is_input(a) for a in step.args)

    @staticmethod
    def _summands(step: Step) -> list[tuple[Any, int]]:
        return list(zip(step.args, (1, -1 if step.op == "sub" else 1), strict=True))

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        # in the order of step.inputs, where x + x has x twice
        return [
            (share if sign > 0 else -share).sum_to_size(run.shapes[argument.name])
            for argument, sign in self._summands(step)
            if step.is_input(argument)
        ]

    def taken_by_constants(self, step: Step, share: Tensor, run: Run) -> Tensor | None:
        for argument, sign in self._summands(step):
            if not step.is_input(argument):
                constant = run.filled(argument)
                if isinstance(constant, Tensor):  # a mask adds minus infinity, where nothing arrives
                    constant = constant.masked_fill(constant.isinf(), 0)
                return per_sample_sum(constant * (sign * share), step.batch)
        return None


class Affine(SharedByContribution, ABC):
    """y = a * scale + shift with constants: a linear layer of one input an output, under epsilon."""

    @abstractmethod
    def scale_and_shift(self, step: Step) -> tuple[Tensor | float, Tensor | float]:
        """Return the constants, broadcast to the input's shape."""

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs) and are_nonnegative(self.scale_and_shift(step))

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        return [(share * self.scale_and_shift(step)[0]).sum_to_size(run.shapes[step.inputs[0]])]

    def taken_by_constants(self, step: Step, share: Tensor, run: Run) -> Tensor | None:
        return per_sample_sum((share * self.scale_and_shift(step)[1]).expand_as(share), step.batch)


@register(aten._native_batch_norm_legit_no_training.default, aten.batch_norm.default)
class BatchNorm(Affine):
    """Batch norm with its running statistics; one that follows a conv or linear layer was folded into it before."""

    def prepare(self, step: Step) -> None:
        scale, shift = batch_norm_affine(step)
        like = (1, -1) + (1,) * (len(step.node.shape or ()) - 2)
        step.extra = (scale.view(like), shift.view(like))

    def scale_and_shift(self, step: Step) -> tuple[Tensor, Tensor]:
        scale, shift = step.extra
        return scale, shift


BATCH_NORM = BatchNorm()


def batch_norm_affine(step: Step) -> tuple[Tensor, Tensor]:
    """Return a batch norm's scale and shift per channel, each (C,).

    Raises
    ------
    SeqplrpError
        Where it has no running statistics and normalises by the batch.
    """
    if step.op in ("batch_norm", "instance_norm"):  # whose own statistics are each sequence's, not the batch's
        _, weight, bias, mean, variance, training, _, eps = step.args[:8]
    else:
        _, weight, bias, mean, variance, _, eps = step.args[:7]
        training = False
    if training or mean is None or variance is None:
        raise _without_running_statistics(step)
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    return scale, shift if bias is None else shift + bias


@register(aten._native_batch_norm_legit.default, aten._native_batch_norm_legit.no_stats, aten.native_batch_norm.default)
class BatchStatistics(Handler):
    """Batch norm by the statistics of the batch: there is no explanation of one sequence by itself."""

    def prepare(self, step: Step) -> None:
        raise _without_running_statistics(step)


def _without_running_statistics(step: Step) -> SeqplrpError:
    return SeqplrpError(
        step.path,
        "batch norm without running statistics makes one sequence's output depend on the others",
        "train it with track_running_stats=True",
    )


@register(aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar)
class Product(Affine):
    """A product or quotient.

    With a constant it is a scale, under epsilon. Of two values that depend on the input, the gate is held constant and
    the signal gets all (METHODS.md, section 2); a divisor is always a gate. Two factors of the same kind get half each,
    which is the uniform rule of bilinear products (Achtibat et al. 2024, Proposition 3.3).
    """

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        return lowest_level(step, levels)

    def receivers(self, step: Step, levels: Mapping[str, int]) -> tuple[str, ...]:
        if step.op == "div":
            return tuple(name for name in step.inputs if name == getattr(step.args[0], "name", None))[:1]
        lowest = lowest_level(step, levels)
        return tuple(name for name in step.inputs if levels.get(name, 0) == lowest)

    def prepare(self, step: Step) -> None:
        if not step.inputs:
            raise SeqplrpError(
                step.path,
                "a constant divided by what depends on the input has no relevance handler",
                "register a handler (seqplrp.lrp.register), or explain the model up to the layer before it",
            )
        others = [a for a in step.args if not step.is_input(a)]
        step.extra = None
        if others and isinstance(others[0], Tensor | int | float):
            step.extra = 1 / others[0] if step.op == "div" else others[0]

    def scale_and_shift(self, step: Step) -> tuple[Tensor | float, Tensor | float]:
        return step.extra, 0.0

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        if step.extra is not None:
            return super().nonnegative(step, inputs)
        return len(inputs) == 2 and (all(inputs) or step.inputs[0] == step.inputs[1])

    def needs(self, step: Step) -> tuple[str, ...]:
        return () if step.extra is None else super().needs(step)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        if step.extra is not None:
            return super().backward(step, relevance, run, ledger)
        share = relevance / len(step.inputs)
        return [Contribution(relevance=share.sum_to_size(run.shapes[name])) for name in step.inputs]

    def describe(self, step: Step) -> str:
        if step.extra is not None:
            return super().describe(step)
        return "all to the signal" if len(step.inputs) == 1 else "half to each factor"


@register(aten.glu.default)
class GatedLinearUnit(Handler):
    """a * sigmoid(b) with a and b the halves of an axis: all to a, the signal; b's half is held constant."""

    vanishing: ClassVar[Vanishing] = "with output"

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        axis = step.argument(1, -1)
        return [Contribution(relevance=torch.cat([relevance, torch.zeros_like(relevance)], axis), is_own=True)]

    def describe(self, step: Step) -> str:
        return "all to the signal"


class ScaledInput(MoveHandler):
    """The explained input times positive constants: another unit of measure, no layer.

    Shared by contribution, ``x * scale`` would hand nothing on where x is 0, and the hypothetical contributions of the
    bases that are not there would be lost. So the layer that reads it is a first layer, as it is where the scale is
    part of its weights: relevance passes, and coefficients take the scale.
    """

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        return [moved]

    def back_coefficient(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        return [moved * step.extra]

    def describe(self, step: Step) -> str:
        return "scaled"


SCALED_INPUT = ScaledInput()


def is_positive_scale(step: Step, shape: Sequence[int | None]) -> bool:
    """Whether a step only multiplies its one input, of the given shape, by positive constants."""
    return (
        isinstance(step.handler, Product)
        and step.extra is not None
        and len(step.inputs) == 1
        and step.node.shape == tuple(shape)
        and bool((torch.as_tensor(step.extra) > 0).all())
    )
