"""Elementwise operations: activations pass relevance through; sums share by contribution; constants scale or shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.ledger import Ledger, per_sample_size, per_sample_sum
from seqplrp.lrp.steps import EPS, Contribution, Handler, Run, Step, Vanishing, register, stabilised

aten = torch.ops.aten


@register(aten.relu.default)
class Relu(Handler):
    """ReLU: relevance passes through."""

    vanishing: ClassVar[Vanishing] = "with output"

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return True

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        return [Contribution(relevance=relevance)]

    def describe(self, step: Step) -> str:
        return "passed through"


@register(aten.add.Tensor, aten.sub.Tensor)
class Add(Handler):
    """x + y shares by x and y over the stabilised sum; a constant among the two takes its share as a bias does."""

    vanishing: ClassVar[Vanishing] = "always"

    def prepare(self, step: Step) -> None:
        if step.kwargs.get("alpha", 1) != 1:
            raise SeqplrpError(
                step.path,
                f"{step.op} with alpha={step.kwargs['alpha']} has no relevance handler",
                "scale first, then add",
            )

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        if step.op == "sub" or not all(inputs):
            return False
        return all(not isinstance(a, Tensor | int | float) or bool(torch.as_tensor(a >= 0).all()) for a in step.args)

    def needs(self, step: Step) -> tuple[str, ...]:
        return (*step.inputs, step.output)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        output = run.values[step.output]
        share = relevance / stabilised(output, EPS)
        summands = run.filled(step.args)
        signs = (1, -1 if step.op == "sub" else 1)
        contributions = []
        handed_on = relevance.new_zeros(len(relevance), dtype=torch.float64)
        constant: Tensor | None = None
        for argument, summand, sign in zip(step.args, summands, signs, strict=True):
            taken = per_sample_sum(sign * summand * share)
            if getattr(argument, "name", None) in step.inputs:
                coefficient = sign * share
                contributions.append(Contribution(coefficient=coefficient.sum_to_size(run.shapes[argument.name])))
                handed_on = handed_on + taken
            else:
                constant = taken
        ledger.add(
            step.path,
            step.op,
            f"Epsilon(eps={EPS:g})",
            relevance_out=per_sample_sum(relevance),
            relevance_in=handed_on,
            **({} if constant is None else {"bias": constant}),
            stabiliser=EPS * per_sample_sum(torch.where(output < 0, -share, share)),
            size=per_sample_size(relevance),
        )
        return contributions

    def describe(self, step: Step) -> str:
        return f"Epsilon(eps={EPS:g})"


class Affine(Handler):
    """y = a * scale + shift with constants: a linear layer of one input an output, under epsilon."""

    vanishing: ClassVar[Vanishing] = "always"

    def needs(self, step: Step) -> tuple[str, ...]:
        return (*step.inputs, step.output)

    def scale_and_shift(self, step: Step) -> tuple[Tensor | float, Tensor | float]:
        """Return the constants, broadcast to the input's shape."""
        raise NotImplementedError

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs) and all(bool(torch.as_tensor(c >= 0).all()) for c in self.scale_and_shift(step))

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        values, output = run.values[step.inputs[0]], run.values[step.output]
        scale, shift = self.scale_and_shift(step)
        share = relevance / stabilised(output, EPS)
        coefficient = (share * scale).sum_to_size(values.shape)
        ledger.add(
            step.path,
            step.op,
            f"Epsilon(eps={EPS:g})",
            relevance_out=per_sample_sum(relevance),
            relevance_in=per_sample_sum(values * coefficient),
            bias=per_sample_sum((share * shift).expand_as(share)),
            stabiliser=EPS * per_sample_sum(torch.where(output < 0, -share, share)),
            size=per_sample_size(relevance),
        )
        return [Contribution(coefficient=coefficient)]

    def describe(self, step: Step) -> str:
        return f"Epsilon(eps={EPS:g})"


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


def batch_norm_affine(step: Step) -> tuple[Tensor, Tensor]:
    """Return a batch norm's scale and shift per channel, each (C,).

    Raises
    ------
    SeqplrpError
        Where it has no running statistics and normalises by the batch.
    """
    if step.op == "batch_norm":
        _, weight, bias, mean, variance, training, _, eps = step.args[:8]
    else:
        _, weight, bias, mean, variance, _, eps = step.args[:7]
        training = False
    if training or mean is None or variance is None:
        raise SeqplrpError(
            step.path,
            "batch norm without running statistics makes one sequence's output depend on the others",
            "train it with track_running_stats=True",
        )
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    return scale, shift if bias is None else shift + bias


@register(aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar)
class Scale(Affine):
    """Multiplication with, or division by, a constant."""

    def prepare(self, step: Step) -> None:
        first_is_input = getattr(step.args[0], "name", None) in step.inputs
        constant = step.args[1] if first_is_input else step.args[0]
        if len(step.inputs) != 1 or (step.op == "div" and not first_is_input):
            raise SeqplrpError(
                step.path,
                f"{step.op} of two values that both depend on the input has no relevance handler",
                "register a handler (seqplrp.lrp.register), or explain the model up to the layer before it",
            )
        if not isinstance(constant, Tensor | int | float):
            raise SeqplrpError(
                step.path,
                f"{step.op} by a number that depends on the shape is not supported",
                "use a constant",
            )
        step.extra = 1 / constant if step.op == "div" else constant

    def scale_and_shift(self, step: Step) -> tuple[Tensor | float, Tensor | float]:
        return step.extra, 0.0
