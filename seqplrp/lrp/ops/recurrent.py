"""Recurrent layers: LSTM, GRU and plain ones, whole sequences or single cells (see `unrolling`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqplrp.lrp.batch import samples_in
from seqplrp.lrp.ledger import Ledger
from seqplrp.lrp.ops.unrolling import Arrived, Call, Weights, share_all, summed_units
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import EPS, Contribution, Handler, Run, Step, Vanishing, refused

aten = torch.ops.aten


class Recurrent(Handler, ABC):
    """What LSTM, GRU and plain recurrent operations share; a subclass reads the arguments of its kind."""

    vanishing: ClassVar[Vanishing] = "always"

    def given(self, step: Step) -> tuple[Any, Any, Any]:
        """Return the arguments for the input, the first hidden state and the first cells (None but for LSTMs)."""
        states = step.args[1]
        is_pair = isinstance(states, tuple | list)
        return step.args[0], states[0] if is_pair else states, states[1] if is_pair else None

    @abstractmethod
    def call(self, step: Step, run: Run) -> Call:
        """Return the arguments and the output at run time."""

    @abstractmethod
    def arrived(self, step: Step, call: Call, relevances: Mapping[int, Tensor]) -> Arrived:
        """Bring the results' relevances into the shapes of `Call`."""

    @abstractmethod
    def rows_at(self, step: Step, place: int) -> int:
        """Return the axis that the batch is on in an argument, as `given` counts them."""

    @abstractmethod
    def back(self, step: Step, coefficient: Tensor) -> Tensor:
        """Bring the input's coefficient into the input's shape."""

    def needs(self, step: Step) -> tuple[str, ...]:
        return (*step.inputs, step.output)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        return self.backward_items(step, {0: relevance}, run, ledger)

    def backward_items(
        self, step: Step, relevances: Mapping[int, Tensor], run: Run, ledger: Ledger
    ) -> list[Contribution]:
        call = self.call(step, run)
        arrived = self.arrived(step, call, relevances)
        shares = share_all(call, arrived)
        firsts = shares.first if call.first_cell is not None else shares.first + shares.first_cell
        summed = self._summing(step, run)
        bias = summed(shares.bias)
        contributions, handed_on = [], torch.zeros_like(bias)
        for place, argument in enumerate(self.given(step)):
            is_input = step.is_input(argument)
            if place == 0 and is_input:
                contribution, total = step.share_out(0, self.back(step, shares.input), run)
            elif argument is None:
                continue
            else:
                relevance = (call.values * shares.input, firsts, shares.first_cell)[place]
                total = summed(summed_units(relevance))
                contribution = Contribution(relevance=relevance.reshape(run.filled(argument).shape))
            if is_input:
                contributions.append(contribution)
                handed_on = handed_on + total
            else:  # first states of zeros take nothing
                bias = bias + total
        every = [arrived.outputs, arrived.last, *([] if arrived.last_cell is None else [arrived.last_cell])]
        ledger.add(
            step.path,
            step.op,
            self.describe(step),
            relevance_out=summed(torch.stack([summed_units(tensor) for tensor in every]).sum(0)),
            relevance_in=handed_on,
            bias=bias,
            stabiliser=summed(shares.stabiliser),
            size=summed(torch.stack([summed_units(tensor.abs()) for tensor in every]).sum(0)),
        )
        return contributions

    def _summing(self, step: Step, run: Run) -> Callable[[Tensor], Tensor]:
        """Return what sums to (N,) what each row has; a sequence may have several, its two strands say."""
        name, axis = step.inputs[0], step.input_batches[0] if step.input_batches else None
        if axis is None:
            return lambda rows: rows
        places = [getattr(argument, "name", None) for argument in self.given(step)]
        value = run.values[name]
        lead = axis.lead // prod(value.shape[: self.rows_at(step, places.index(name))])
        n = samples_in(value, axis)
        return lambda rows: rows.view(lead, n, -1).sum((0, 2))

    def describe(self, step: Step) -> str:
        return f"gates held constant, Epsilon(eps={EPS:g})"


def _weights(params: Sequence[Tensor], has_biases: bool) -> Iterator[Weights]:
    each = 4 if has_biases else 2
    for start in range(0, len(params), each):
        some = params[start : start + each]
        yield Weights(some[0], some[1], *(some[2:] if has_biases else (None, None)))


@register(aten.lstm.input, aten.gru.input, aten.rnn_tanh.input, aten.rnn_relu.input)
class Sequential(Recurrent):
    """Whole sequences, through one or several layers, in one or both directions."""

    def prepare(self, step: Step) -> None:
        params, has_biases, layers, dropout, train, bidirectional = step.args[2:8]
        if not all(isinstance(parameter, Tensor) for parameter in params):
            raise refused(step, "with weights that depend on the input or the batch", "use constant weights")
        if len(params) != layers * (1 + bool(bidirectional)) * (4 if has_biases else 2):
            raise refused(step, "with projections (proj_size)", "put a torch.nn.Linear behind it")
        if dropout and train:
            raise refused(
                step, "whose dropout stays switched on in evaluation mode", "pass training=self.training to it"
            )

    def call(self, step: Step, run: Run) -> Call:
        values, first, cell = (run.filled(argument) for argument in self.given(step))
        outputs = run.values[step.output]
        outputs = outputs[0] if step.has_items else outputs
        if step.args[8]:
            values, outputs = values.transpose(0, 1), outputs.transpose(0, 1)
        weights = tuple(_weights(step.args[2], step.args[3]))
        return Call(step.op, values, first, cell, outputs, weights, 1 + bool(step.args[7]))

    def arrived(self, step: Step, call: Call, relevances: Mapping[int, Tensor]) -> Arrived:
        outputs = relevances.get(0)
        if outputs is not None and step.args[8]:
            outputs = outputs.transpose(0, 1)
        last, cell = relevances.get(1, torch.zeros_like(call.first)), None
        if call.first_cell is not None:
            cell = relevances.get(2, torch.zeros_like(call.first_cell))
        return Arrived(torch.zeros_like(call.outputs) if outputs is None else outputs, last, cell)

    def rows_at(self, step: Step, place: int) -> int:
        return 0 if place == 0 and step.args[8] else 1

    def back(self, step: Step, coefficient: Tensor) -> Tensor:
        return coefficient.transpose(0, 1) if step.args[8] else coefficient


@register(aten.lstm_cell.default, aten.gru_cell.default, aten.rnn_tanh_cell.default, aten.rnn_relu_cell.default)
class Cell(Recurrent):
    """A single step."""

    def prepare(self, step: Step) -> None:
        if not all(parameter is None or isinstance(parameter, Tensor) for parameter in step.args[2:]):
            raise refused(step, "with weights that depend on the input or the batch", "use constant weights")

    def call(self, step: Step, run: Run) -> Call:
        values, first, cell = (run.filled(argument) for argument in self.given(step))
        output = run.values[step.output]
        output = output[0] if step.has_items else output
        weights = Weights(*(*step.args[2:], None, None)[:4])
        kind = step.op.removesuffix("_cell")
        return Call(kind, values[None], first[None], None if cell is None else cell[None], output[None], (weights,), 1)

    def arrived(self, step: Step, call: Call, relevances: Mapping[int, Tensor]) -> Arrived:
        none = torch.zeros_like(call.outputs)
        outputs = relevances[0].unsqueeze(0) if 0 in relevances else none
        cell = None
        if call.first_cell is not None:
            cell = relevances[1].unsqueeze(0) if 1 in relevances else none
        return Arrived(outputs, none, cell)

    def rows_at(self, step: Step, place: int) -> int:
        return 0

    def back(self, step: Step, coefficient: Tensor) -> Tensor:
        return coefficient[0]
