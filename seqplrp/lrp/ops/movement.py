"""Operations that move values: reshape, permute, slice, pad, concatenate. Relevance moves back the same way."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.batch import SAME_ORDER
from seqplrp.lrp.ledger import Ledger, per_sample_sum
from seqplrp.lrp.ops.rearranging import COPIED, batch_at, check_sequences
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import Contribution, Handler, MoveHandler, Run, Step

aten = torch.ops.aten


@register(
    *SAME_ORDER,
    aten.clone.default,
    aten.alias.default,
    aten.contiguous.default,
    aten.dropout.default,
    aten.feature_dropout.default,
)
class Reshape(MoveHandler):
    """The same values in another shape."""

    hoists: ClassVar[bool] = True
    conserves: ClassVar[bool] = True

    def prepare(self, step: Step) -> None:
        if step.op in ("dropout", "feature_dropout") and step.argument(2):
            raise _random(step)

    def forward(self, step: Step, run: Run) -> Tensor:
        shape = step.node.shape
        values: Tensor = run.values[step.inputs[0]]
        if step.op in ("view", "unsafe_view"):  # masks of what is kept come by here, too, and may lie otherwise
            return values.reshape(run.filled(step.args[1]))
        if step.op != "squeeze" or shape is None or shape.count(None) != 1:
            return super().forward(step, run)
        # as it was traced: a batch of one must keep its axis
        return values.reshape([-1 if size is None else size for size in shape])

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        return [moved.reshape(run.shapes[step.inputs[0]])]


@register(aten.detach.default)
class Detach(Reshape):
    """A value that the model itself took out of its gradients: a factor that is held constant, or the same value."""

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        return 3


@register(aten._to_copy.default, aten.type_as.default)
class Cast(MoveHandler):
    """The same values in another type, or elsewhere."""

    hoists: ClassVar[bool] = True

    def receivers(self, step: Step, levels: Mapping[str, int]) -> tuple[str, ...]:
        return step.inputs[:1]

    def forward(self, step: Step, run: Run) -> Tensor:
        values: Tensor = run.values[step.inputs[0]]
        run.extras[step.output] = (values.device, values.dtype if values.is_floating_point() else None)
        return super().forward(step, run)

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        device, dtype = run.extras[step.output]
        return [moved.to(device=device, dtype=dtype or moved.dtype)]  # tokens are whole numbers, their relevance is not


@register(aten.native_dropout.default)
class RandomDropout(Reshape):
    """Dropout that runs in evaluation mode: refused."""

    def prepare(self, step: Step) -> None:
        raise _random(step)


def _random(step: Step) -> SeqplrpError:
    return SeqplrpError(
        step.path,
        "dropout stays switched on in evaluation mode, so the model's output is random",
        "pass training=self.training to it",
    )


@register(aten.permute.default)
class Permute(MoveHandler):
    """Axes in another order."""

    hoists: ClassVar[bool] = True
    conserves: ClassVar[bool] = True

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        order = step.args[1]
        inverse = [0] * len(order)
        for to, source in enumerate(order):
            inverse[source] = to
        return [moved.permute(inverse)]


@register(aten.transpose.int, aten.t.default)
class Transpose(MoveHandler):
    """Two axes swapped."""

    hoists: ClassVar[bool] = True
    conserves: ClassVar[bool] = True

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        axes = (0, 1) if step.op == "t" else step.args[1:3]
        return [moved.transpose(*axes)]


@register(aten.flip.default)
class Flip(MoveHandler):
    """Axes reversed."""

    hoists: ClassVar[bool] = True
    conserves: ClassVar[bool] = True

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        at = batch_at(step, run)
        if at is None or at in [axis % moved.dim() for axis in step.args[1]]:
            check_sequences(step, run)
        return [moved.flip(step.args[1])]


@register(aten.constant_pad_nd.default, aten.pad.default)
class Pad(MoveHandler):
    """Padding by zeros; what falls on them is dropped (it is 0 under every rule but flat, where padding is 0)."""

    hoists: ClassVar[bool] = True

    def prepare(self, step: Step) -> None:
        mode = step.argument(2, "constant") if step.op == "pad" else "constant"
        if mode != "constant":
            step.handler = COPIED
        elif _fill_value(step) != 0:
            step.handler = FILLED_PAD

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        shape = run.shapes[step.inputs[0]]
        pads = run.filled(step.args[1])
        for pair in range(len(pads) // 2):
            axis = moved.dim() - 1 - pair
            left, size = pads[2 * pair], shape[axis]
            if left >= 0:
                moved = moved.narrow(axis, left, min(size, moved.shape[axis] - left))
            else:
                moved = torch.nn.functional.pad(moved, _one_axis(moved.dim(), axis, -left, 0))
                moved = moved.narrow(axis, 0, min(size, moved.shape[axis]))
            if moved.shape[axis] < size:  # a negative pad on the right cut values off
                moved = torch.nn.functional.pad(moved, _one_axis(moved.dim(), axis, 0, size - moved.shape[axis]))
        return [moved]


def _fill_value(step: Step) -> float:
    return float(step.argument(3 if step.op == "pad" else 2) or 0)


class FilledPad(Pad):
    """Padding by another number than 0, which takes what falls on it as a bias does."""

    hoists: ClassVar[bool] = False

    def prepare(self, step: Step) -> None:
        return

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs) and _fill_value(step) >= 0

    def needs(self, step: Step) -> tuple[str, ...]:
        return (step.output,)

    def on_constants(self, step: Step, relevance: Tensor, run: Run) -> Tensor:
        return per_sample_sum(relevance, step.batch) - step.handed_on(self.back(step, relevance, run))


FILLED_PAD = FilledPad()


def _one_axis(dims: int, axis: int, left: int, right: int) -> list[int]:
    pads = [0] * (2 * dims)
    at = 2 * (dims - 1 - axis)
    pads[at], pads[at + 1] = left, right
    return pads


@register(aten.slice.Tensor)
class Slice(MoveHandler):
    """A range of an axis; the rest gets nothing."""

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        # the value itself may be freed by now; only its shape is asked for
        given = run.filled(step.args[1:])
        axis, start, end, stride = given + [0, None, None, 1][len(given) :]
        whole = moved.new_zeros(run.shapes[step.inputs[0]])
        index: list[slice] = [slice(None)] * whole.dim()
        index[axis] = slice(start, end, stride)
        whole[tuple(index)] = moved
        return [whole]


@register(aten.select.int)
class Select(MoveHandler):
    """One index of an axis; the rest gets nothing."""

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        axis, index = run.filled(step.args[1:])
        whole = moved.new_zeros(run.shapes[step.inputs[0]])
        whole.select(axis, index).copy_(moved)
        return [whole]


@register(operator.getitem)
class Item(Handler):
    """One of the results of an operation that has several."""

    def forward(self, step: Step, run: Run) -> Tensor:
        value: Tensor = run.values[step.inputs[0]][step.args[1]]
        return value

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        return [Contribution(item=(step.args[1], relevance))]

    def describe(self, step: Step) -> str:
        return "passed through"


@register(aten.expand.default)
class Expand(MoveHandler):
    """Values repeated along an axis; their relevances are summed."""

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        return [moved.sum_to_size(run.shapes[step.inputs[0]])]


@register(aten.cat.default, aten.concat.default, aten.concatenate.default)
class Concatenate(MoveHandler):
    """Values side by side; each gets its own part back. Constant parts keep theirs, which the ledger counts as bias."""

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs) and not self._has_constants(step)

    def needs(self, step: Step) -> tuple[str, ...]:
        return (step.output,) if self._has_constants(step) else ()

    @staticmethod
    def _has_constants(step: Step) -> bool:
        return len(step.inputs) < len(step.args[0])

    @staticmethod
    def _pieces(step: Step, moved: Tensor, run: Run) -> list[tuple[Tensor, bool]]:
        """Return each part's piece, and whether the part is an input (a constant may depend on the batch size)."""
        parts = step.args[0]
        axis = step.argument(1, 0)
        sizes = [part.shape[axis] if isinstance(part, Tensor) else run.shapes[part.name][axis] for part in parts]
        split = torch.split(moved, sizes, axis)
        return [(piece, step.is_input(part)) for piece, part in zip(split, parts, strict=True)]

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        return [piece for piece, is_input in self._pieces(step, moved, run) if is_input]

    def on_constants(self, step: Step, relevance: Tensor, run: Run) -> Tensor | None:
        if not self._has_constants(step):
            return None
        if step.batch is not None:
            return per_sample_sum(relevance, step.batch) - step.handed_on(self.back(step, relevance, run))
        constant = [per_sample_sum(piece) for piece, is_input in self._pieces(step, relevance, run) if not is_input]
        return torch.stack(constant).sum(0)
