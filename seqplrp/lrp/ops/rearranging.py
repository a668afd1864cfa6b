"""Moves that are rarer than reshapes and slices: rolls, repetitions, look-ups by constant positions, triangles.

All of them are linear, without weights, so one way back serves them: the transpose that autograd knows of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.batch import by_sample, from_samples, samples_in
from seqplrp.lrp.graph import Ref
from seqplrp.lrp.ledger import per_sample_sum
from seqplrp.lrp.ops.lookup import INDEXED_TABLE
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import MoveHandler, Run, Step, refused

aten = torch.ops.aten


def transposed(step: Step, grad: Tensor, run: Run) -> list[Tensor]:
    """Apply the transpose of an operation that is linear in its inputs: one tensor each; no values are needed."""
    with torch.inference_mode(False), torch.enable_grad():
        leaves = [
            torch.zeros(run.shapes[name], dtype=grad.dtype, device=grad.device, requires_grad=True)
            for name in step.inputs
        ]
        output = applied(step, leaves, run)
        return list(torch.autograd.grad(output, leaves, grad, allow_unused=True, materialize_grads=True))


def applied(step: Step, inputs: Sequence[Tensor], run: Run) -> Tensor:
    """Run an operation on other tensors than its inputs."""
    rest = iter(inputs)
    result: Tensor = step.node.op(*_with(step.args, step, run, rest), **_with(dict(step.kwargs), step, run, rest))
    return result


def _with(value: Any, step: Step, run: Run, inputs: Iterator[Tensor]) -> Any:
    if isinstance(value, Ref):
        if value.name in step.inputs:
            return next(inputs)
        held = run.values[value.name]
        return held.clone() if isinstance(held, Tensor) else held  # autograd saves none that inference made
    if isinstance(value, tuple | list):
        return [_with(item, step, run, inputs) for item in value]
    if isinstance(value, dict):
        return {key: _with(item, step, run, inputs) for key, item in value.items()}
    return value


def check_sequences(step: Step, run: Run) -> None:
    """Raise a SeqplrpError where a move hands values of one sequence to another.

    The sequences' numbers are moved in place of their values.
    """
    shape, axis = run.shapes[step.inputs[0]], step.input_batches[0]
    like = torch.empty(shape, dtype=torch.float64)
    count = samples_in(like, axis)
    numbers = torch.arange(count, dtype=torch.float64).view(-1, 1)
    whole = from_samples(numbers.expand(-1, max(1, shape.numel() // max(1, count))), like, axis)
    with torch.inference_mode(False), torch.no_grad():
        device = next((v.device for v in run.values.values() if isinstance(v, Tensor)), torch.device("cpu"))
        found = by_sample(applied(step, [whole.clone().to(device)], run), step.batch).cpu()
    if len(found) != count or not bool((found == numbers).all()):
        raise SeqplrpError(
            step.path,
            f"{step.op} mixes the sequences of a batch: one's output depends on the others",
            "leave the batch axis out of it",
        )


def batch_at(step: Step, run: Run) -> int | None:
    """Return which axis of a step's first input is the batch; None where it is merged with another."""
    shape, axis = run.shapes[step.inputs[0]], step.input_batches[0]
    if axis is None:
        return 0
    count = shape.numel() // axis.units
    return next((i for i in range(len(shape)) if shape[:i].numel() == axis.lead and shape[i] == count), None)


class Rearranged(MoveHandler):
    """A move whose way back is the transpose that autograd knows."""

    def along(self, step: Step, dims: int) -> Sequence[int] | None:
        """Return the axes along which values change places; None for all."""
        return ()

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        dims = len(run.shapes[step.inputs[0]])
        axes = self.along(step, dims)
        at = batch_at(step, run)
        if axes is None or (axes and at is None) or at in [axis % dims for axis in axes]:
            check_sequences(step, run)
        return transposed(step, moved, run)


@register(
    aten.tile.default,
    aten.repeat.default,
    aten.stack.default,
    aten.hstack.default,
    aten.vstack.default,
    aten.dstack.default,
    aten.column_stack.default,
    aten.diagonal.default,
    aten.diag_embed.default,
    aten.tril.default,
    aten.triu.default,
    aten.reflection_pad1d.default,
    aten.reflection_pad2d.default,
    aten.reflection_pad3d.default,
    aten.replication_pad1d.default,
    aten.replication_pad2d.default,
    aten.replication_pad3d.default,
    aten._pad_circular.default,
)
class Copied(Rearranged):
    """Copies of values, some of them left out or several times there; constants among them take what falls on them."""

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs) and (step.op in _AMONG_ZEROS or not self._has_constants(step))

    def needs(self, step: Step) -> tuple[str, ...]:
        return (step.output,) if self._has_constants(step) else ()

    @staticmethod
    def _has_constants(step: Step) -> bool:
        """Whether constants stand beside the inputs: other parts, or the zeros outside a triangle or a diagonal."""
        parts = step.args[0]
        return step.op in _AMONG_ZEROS or (isinstance(parts, tuple | list) and len(parts) > len(step.inputs))

    def on_constants(self, step: Step, relevance: Tensor, run: Run) -> Tensor | None:
        if not self._has_constants(step):
            return None
        return per_sample_sum(relevance, step.batch) - step.handed_on(transposed(step, relevance, run))


_AMONG_ZEROS = ("diag_embed", "tril", "triu")

COPIED = Copied()


@register(
    aten.pixel_shuffle.default,
    aten.pixel_unshuffle.default,
    aten.channel_shuffle.default,
)
class Shuffled(Rearranged):
    """Channels and positions in another order, the same for all sequences."""

    hoists: ClassVar[bool] = True
    conserves: ClassVar[bool] = True


@register(aten.roll.default)
class Rolled(Shuffled):
    """Values shifted along axes, those that fall off at one end put to the other."""

    def along(self, step: Step, dims: int) -> Sequence[int] | None:
        return step.argument(2) or None


@register(aten.rot90.default, aten.fliplr.default)
class Turned(Shuffled):
    """Two axes rotated, or one reversed."""

    def along(self, step: Step, dims: int) -> Sequence[int] | None:
        if step.op == "fliplr":
            return (1,)
        return tuple(step.argument(2, (0, 1)))


class Positioned(Rearranged):
    """Values picked by positions, which are held constant."""

    def receivers(self, step: Step, levels: Mapping[str, int]) -> tuple[str, ...]:
        return (step.args[0].name,) if step.is_input(step.args[0]) else step.inputs

    def prepare(self, step: Step) -> None:
        if not step.is_input(step.args[0]):
            raise refused(
                step, "from constants at positions that depend on the input", "look them up with torch.nn.Embedding"
            )


@register(
    aten.index_select.default,
    aten.gather.default,
    aten.repeat_interleave.self_int,
    aten.repeat_interleave.self_Tensor,
)
class PickedAlong(Positioned):
    """Values picked along one axis."""

    def along(self, step: Step, dims: int) -> Sequence[int] | None:
        at = 1 if step.op in ("index_select", "gather") else 2
        axis = step.argument(at, step.kwargs.get("dim"))
        return None if axis is None else (axis,)


@register(aten.take.default)
class Taken(Positioned):
    """Values picked from all of them in a row, the batch included."""

    def along(self, step: Step, dims: int) -> Sequence[int] | None:
        return None


@register(aten.index.Tensor)
class Indexed(Positioned):
    """``x[..., [0, 2], mask]``: positions or masks along some axes."""

    def along(self, step: Step, dims: int) -> Sequence[int] | None:
        axes: list[int] = []
        axis = 0
        for index in step.args[1]:
            width = 1
            if isinstance(index, Tensor) and index.dtype == torch.bool:
                width = index.dim()
            elif isinstance(index, Ref):
                return None  # it may be a mask over several axes
            if index is not None:
                axes += range(axis, axis + width)
            axis += width
        return axes

    def prepare(self, step: Step) -> None:
        if isinstance(step.args[0], Tensor) and len(step.args[1]) == 1:
            step.handler = INDEXED_TABLE
            INDEXED_TABLE.prepare(step)
            return
        super().prepare(step)
