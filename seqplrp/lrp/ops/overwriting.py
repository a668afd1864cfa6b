"""Values put in the place of others: masks, and writes in place as a traced graph has them; sums into places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seqplrp.lrp.ledger import Ledger, per_sample_size, per_sample_sum
from seqplrp.lrp.ops.arguments import are_nonnegative
from seqplrp.lrp.ops.rearranging import applied, transposed
from seqplrp.lrp.ops.sharing import SharedByContribution
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import Contribution, MoveHandler, Run, Step, constants_column

aten = torch.ops.aten

_VALUES = {
    "where": (1, 2),
    "masked_fill": (0, 2),
    "index_fill": (0, 3),
    "slice_scatter": (0, 1),
    "select_scatter": (0, 1),
    "diagonal_scatter": (0, 1),
    "copy": (1,),
    "fill": (1,),
    "scatter": (0, 3),
    "index_copy": (0, 3),
    "index_put": (0, 2),
    "scatter_add": (0, 3),
    "index_add": (0, 3),
}
"""Which arguments of an operation its output's values come from; the others say where, and are held constant."""


def _values(step: Step) -> list[Any]:
    return [step.args[place] for place in _VALUES[step.op]]


def _are_inputs(step: Step) -> list[bool]:
    return [step.is_input(value) for value in _values(step)]


def _receivers(step: Step) -> tuple[str, ...]:
    chosen = {value.name for value in _values(step) if step.is_input(value)}
    # a value that is overwritten as a whole by a constant: all falls on the constant
    return tuple(name for name in step.inputs if name in chosen) or step.inputs


def _constants_are_nonnegative(step: Step) -> bool:
    return are_nonnegative(value for value in _values(step) if not step.is_input(value))


@register(
    aten.where.self,
    aten.where.ScalarSelf,
    aten.where.ScalarOther,
    aten.masked_fill.Scalar,
    aten.masked_fill.Tensor,
    aten.index_fill.int_Scalar,
    aten.index_fill.int_Tensor,
    aten.slice_scatter.default,
    aten.select_scatter.default,
    aten.diagonal_scatter.default,
    aten.fill.Scalar,
    aten.fill.Tensor,
    aten.scatter.src,
    aten.scatter.value,
    aten.index_copy.default,
)
class Overwritten(MoveHandler):
    """Each output is a value of one of several; each gets its own back, and constants keep what falls on them."""

    def receivers(self, step: Step, levels: Mapping[str, int]) -> tuple[str, ...]:
        return _receivers(step)

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs) and _constants_are_nonnegative(step)

    def needs(self, step: Step) -> tuple[str, ...]:
        return () if all(_are_inputs(step)) else (step.output,)

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        return transposed(step, moved, run)

    def account(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> None:
        if not all(_are_inputs(step)):  # a mask's minus infinity has a share of 0, and times that is no number
            relevance = relevance.masked_fill(run.values[step.output].isinf(), 0)
        self._enter(step, relevance, self.back(step, relevance, run), ledger)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        parts = self.back(step, relevance, run)
        self._enter(step, relevance, parts, ledger)
        return [Contribution(relevance=part) for part in parts]

    def _enter(self, step: Step, relevance: Tensor, parts: Sequence[Tensor], ledger: Ledger) -> None:
        if all(_are_inputs(step)):
            return
        whole = per_sample_sum(relevance, step.batch)
        handed_on = step.handed_on(parts)
        ledger.add(
            step.path,
            step.op,
            self.describe(step),
            relevance_out=whole,
            relevance_in=handed_on,
            size=per_sample_size(relevance, step.batch),
            **{constants_column(step, step.args): whole - handed_on},
        )


@register(aten.copy.default)
class CopiedOver(Overwritten):
    """A value that takes the place of another as a whole, widened to its shape."""

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        (from_input,) = _are_inputs(step)
        none = [moved.new_zeros(run.shapes[name]) for name in step.inputs]
        return [*none[:-1], moved.sum_to_size(run.shapes[step.inputs[-1]])] if from_input else none


class Accumulated(SharedByContribution):
    """Values added to others at some places: a sum, shared by contribution."""

    def receivers(self, step: Step, levels: Mapping[str, int]) -> tuple[str, ...]:
        return _receivers(step)

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs) and _constants_are_nonnegative(step) and step.kwargs.get("alpha", 1) >= 0

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        return transposed(step, share, run)

    def taken_by_constants(self, step: Step, share: Tensor, run: Run) -> Tensor | None:
        if all(_are_inputs(step)):
            return None
        zeros = [share.new_zeros(run.shapes[name]) for name in step.inputs]
        return per_sample_sum(applied(step, zeros, run) * share, step.batch)


register(aten.scatter_add.default, aten.index_add.default)(Accumulated)

ACCUMULATED = Accumulated()


@register(aten.index_put.default)
class Put(Overwritten):
    """``x[index] = values``, or ``+=``."""

    def prepare(self, step: Step) -> None:
        if step.argument(3):
            step.handler = ACCUMULATED
