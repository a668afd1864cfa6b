"""Reductions over axes: sums share by contribution, a maximum hands all to its winner, a soft one by weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.ledger import Ledger, per_sample_sum
from seqplrp.lrp.ops.activations import Activation, Clamp, value_at
from seqplrp.lrp.ops.arguments import axes_of, filled
from seqplrp.lrp.ops.sharing import SharedByContribution
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import Contribution, Handler, Run, Step, Vanishing, lowest_level

aten = torch.ops.aten


def _check_keeps_the_batch(step: Step, along: int | None = None) -> None:
    """Raise where an operation mixes the batch: nothing is left of that axis, or it runs along it."""
    shape = step.node.shape or ()
    mixes = None not in shape
    if along is not None and not mixes:  # where more than the batch varies, the batch comes first
        mixes = shape[along] is None and (shape.count(None) == 1 or along % len(shape) == 0)
    if mixes:
        raise SeqplrpError(
            step.path,
            f"{step.op} over the batch makes one sequence's output depend on the others",
            "leave the batch axis out of it",
        )


def _kept(reduced: Tensor, shape: torch.Size, axes: Sequence[int]) -> Tensor:
    """Give a reduced value its axes of size 1 again."""
    return reduced.reshape([1 if axis in axes else size for axis, size in enumerate(shape)])


@register(aten.mean.dim, aten.mean.default, aten.sum.dim_IntList, aten.sum.default)
class Reduce(SharedByContribution):
    """Mean or sum over axes."""

    def prepare(self, step: Step) -> None:
        _check_keeps_the_batch(step)

    def is_plain_sum(self, step: Step) -> bool:
        return True

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        shape = run.shapes[step.inputs[0]]
        axes = axes_of(filled(step, None)[0], len(shape))
        if step.op == "mean":
            share = share / prod(shape[axis] for axis in axes)
        return [_kept(share, shape, axes).to(run.values[step.inputs[0]].dtype).expand(shape)]


@register(aten.cumsum.default)
class CumulativeSum(SharedByContribution):
    """Sums of all that came before along an axis."""

    def prepare(self, step: Step) -> None:
        _check_keeps_the_batch(step, step.args[1])

    def is_plain_sum(self, step: Step) -> bool:
        return True

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        axis = step.args[1]
        return [share.flip(axis).cumsum(axis).flip(axis).to(run.values[step.inputs[0]].dtype)]


class SoftMaximum(SharedByContribution):
    """Shared by weights that a value of minus infinity, as masks put it, has none of."""

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        # times its weight of 0 it is no number; the lowest number there is has the same weight, and is one
        values = {name: run.values[name] for name in step.inputs}
        lowest = {name: value.clamp(min=torch.finfo(value.dtype).min) for name, value in values.items()}
        return super().backward(step, relevance, replace(run, values={**run.values, **lowest}), ledger)


@register(aten.logsumexp.default, aten.special_logsumexp.default)
class LogSumExp(SoftMaximum):
    """A soft maximum, shared by its softmax weights, held constant.

    With p = softmax(x), ``logsumexp(x) = sum_i p_i x_i + H(p)`` exactly, H(p) = - sum_i p_i log p_i. So an input is
    handed ``p_i x_i / (y + eps sgn y) R``, and the entropy, which no input brings along, takes its part as a bias.
    Where one input stands far above the others it gets all, as from a maximum. Our choice, as for an attention's
    weights (METHODS.md, section 2).
    """

    def prepare(self, step: Step) -> None:
        _check_keeps_the_batch(step)

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs)  # it is above the largest

    @staticmethod
    def _weights(step: Step, run: Run) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        """Return the softmax weights, by how much each input falls short of y (log p), and the axes."""
        values: Tensor = run.values[step.inputs[0]]
        axes = axes_of(step.args[1], values.dim())
        short = values - _kept(run.values[step.output], values.shape, axes)
        return short.exp(), short, axes

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        weights, _, axes = self._weights(step, run)
        return [weights * _kept(share, weights.shape, axes)]

    def taken_by_constants(self, step: Step, share: Tensor, run: Run) -> Tensor | None:
        weights, short, axes = self._weights(step, run)
        entropy = -(weights * short).sum(axes, keepdim=True)
        return per_sample_sum((entropy * _kept(share, weights.shape, axes)).reshape(share.shape), step.batch)


@register(aten.logaddexp.default, aten.logaddexp2.default)
class LogAddExp(SoftMaximum):
    """A soft maximum of two values at each unit, shared by its weights, held constant, as `LogSumExp`.

    With p = exp(a - y) and q = exp(b - y) (2 to their power in logaddexp2), p + q = 1 and
    ``y = p a + q b - p log p - q log q`` exactly; the last two, which neither brings along, take their part as a bias.
    With a constant it is an activation of the other, softplus in another spelling, and is one for the plan.
    """

    def prepare(self, step: Step) -> None:
        if len(step.inputs) == 1 and set(step.refs()) == set(step.inputs):
            step.handler = SOFT_BOUND
            step.handler.prepare(step)

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return any(inputs)  # it is above the larger

    @staticmethod
    def _weight(step: Step, argument: Any, run: Run) -> tuple[Tensor, Tensor]:
        """Return one argument's weight at every unit, and by how much it falls short of y there (log p)."""
        short = run.filled(argument) - run.values[step.output]
        return (short.exp2() if step.op == "logaddexp2" else short.exp()), short

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        return [
            (share * self._weight(step, argument, run)[0]).sum_to_size(run.shapes[argument.name])
            for argument in step.args
            if step.is_input(argument)
        ]

    def taken_by_constants(self, step: Step, share: Tensor, run: Run) -> Tensor | None:
        taken = torch.zeros_like(share)
        for argument in step.args:
            weight, short = self._weight(step, argument, run)
            brought = -short
            if not step.is_input(argument):
                brought = brought + run.filled(argument)  # with what is held fixed, all that it adds is its own
            taken = taken + torch.where(weight == 0, 0, weight * brought)
        return per_sample_sum(share * taken, step.batch)


class SoftBound(Activation):
    """log(exp z + exp c) with a constant c, which it tends to where z is small."""

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs) or bool((value_at(step, float("-inf")) >= 0).all())


SOFT_BOUND = SoftBound()


class WinnerTakesAll(Handler):
    """Every output is one of the inputs, which gets all that arrives there."""

    vanishing: ClassVar[Vanishing] = "with output"

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        return lowest_level(step, levels)

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def describe(self, step: Step) -> str:
        return "winner takes all"


@register(aten.amax.default, aten.amin.default)
class Extreme(WinnerTakesAll):
    """The largest or smallest value over axes; the first of equals wins."""

    def prepare(self, step: Step) -> None:
        _check_keeps_the_batch(step)

    @staticmethod
    def _last(shape: torch.Size, axes: Sequence[int]) -> list[int]:
        """Return the order of axes that puts those reduced over at the end."""
        return [axis for axis in range(len(shape)) if axis not in axes] + list(axes)

    def forward(self, step: Step, run: Run) -> Tensor:
        values: Tensor = run.values[step.inputs[0]]
        axes = axes_of(filled(step, None)[0], values.dim())
        flat = values.permute(self._last(values.shape, axes)).flatten(values.dim() - len(axes))
        found, run.extras[step.output] = flat.max(-1) if step.op == "amax" else flat.min(-1)
        keep = filled(step, None, False)[1]
        return _kept(found, values.shape, axes) if keep else found

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        shape = run.shapes[step.inputs[0]]
        axes = axes_of(filled(step, None)[0], len(shape))
        order = self._last(shape, axes)
        sizes = [shape[axis] for axis in order]
        indices = run.extras[step.output].unsqueeze(-1)
        whole = relevance.new_zeros(*indices.shape[:-1], prod(shape[axis] for axis in axes))
        whole.scatter_(-1, indices, relevance.reshape(indices.shape))
        inverse = [order.index(axis) for axis in range(len(shape))]
        return [Contribution(relevance=whole.view(sizes).permute(inverse))]


@register(
    aten.maximum.default,
    aten.minimum.default,
    aten.fmax.default,
    aten.fmin.default,
    aten.max.other,
    aten.min.other,
)
class OfTwo(WinnerTakesAll):
    """The larger or smaller of two values at each unit, of equals the first; a constant is a bound of the other."""

    def prepare(self, step: Step) -> None:
        if len(step.inputs) == 1:
            step.handler = Clamp()
            step.handler.prepare(step)

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return any(inputs) if "max" in step.op else all(inputs)

    def needs(self, step: Step) -> tuple[str, ...]:
        return step.inputs

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        one, other = (run.values[name] for name in step.inputs)
        first = one >= other if "max" in step.op else one <= other
        parts = relevance.masked_fill(~first, 0), relevance.masked_fill(first, 0)
        return [
            Contribution(relevance=part.sum_to_size(run.shapes[name]))
            for part, name in zip(parts, step.inputs, strict=True)
        ]


@register(
    aten.max.dim,
    aten.min.dim,
    aten.topk.default,
    aten.sort.default,
    aten.sort.stable,
    aten.kthvalue.default,
    aten.median.dim,
    aten.cummax.default,
    aten.cummin.default,
)
class Chosen(WinnerTakesAll):
    """Operations along an axis that say which of the inputs each output is."""

    @staticmethod
    def _axis(step: Step) -> int:
        place = 2 if step.op in ("topk", "kthvalue") else 1
        axis: int = step.argument(place, step.kwargs.get("dim", -1))
        return axis

    def prepare(self, step: Step) -> None:
        _check_keeps_the_batch(step, self._axis(step) if step.op in ("sort", "cummax", "cummin") else None)

    def forward(self, step: Step, run: Run) -> Tensor:
        both: Any = tuple(step.call(run))
        values, run.extras[step.output] = both
        value: Tensor = both if step.has_items else values
        return value

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        shape, axis = run.shapes[step.inputs[0]], self._axis(step)
        indices = run.extras[step.output]
        if indices.dim() < len(shape):
            indices, relevance = indices.unsqueeze(axis), relevance.unsqueeze(axis)
        return [Contribution(relevance=relevance.new_zeros(shape).scatter_add_(axis, indices, relevance))]

    def backward_items(
        self, step: Step, relevances: Mapping[int, Tensor], run: Run, ledger: Ledger
    ) -> list[Contribution]:
        if set(relevances) != {0}:
            raise SeqplrpError(
                step.path,
                f"relevance arrives at the positions that {step.op} returns, which are no function of the values",
                "explain the values",
            )
        return self.backward(step, relevances[0], run, ledger)
