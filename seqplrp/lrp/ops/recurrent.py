"""Recurrent layers: LSTM, GRU and plain ones, unrolled on the way back, with their gates held constant.

Source: Arras et al. 2017, "Explaining recurrent neural network predictions in sentiment analysis", section 3.1;
METHODS.md, section 2. In each step the state's relevance is shared between what it keeps and what it takes in, by
contribution; what it takes in is a tanh (or ReLU) that relevance passes through, and then a linear layer under epsilon
over the input, the state before and the bias.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import linear

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.batch import samples_in
from seqplrp.lrp.graph import Ref
from seqplrp.lrp.ledger import Ledger
from seqplrp.lrp.steps import EPS, Contribution, Handler, Run, Step, Vanishing, register, stabilised

aten = torch.ops.aten


@dataclass(frozen=True)
class Weights:
    """Those of one layer in one direction, one block of H rows a gate, as torch orders them.

    Attributes
    ----------
    of_input, of_state : Tensor
        (gates * H, inputs) and (gates * H, H).
    input_bias, state_bias : Tensor or None
        (gates * H,).
    """

    of_input: Tensor
    of_state: Tensor
    input_bias: Tensor | None
    state_bias: Tensor | None

    @property
    def units(self) -> int:
        """H."""
        return self.of_state.shape[1]

    def part(self, first: int, last: int) -> Weights:
        """Return the blocks of some gates."""
        rows = slice(first * self.units, last * self.units)
        biases = (None if b is None else b[rows] for b in (self.input_bias, self.state_bias))
        return Weights(self.of_input[rows], self.of_state[rows], *biases)


@dataclass(frozen=True)
class Unrolled:
    """One direction of one layer with its gates held constant; all (steps, N, H), in the order of its own time.

    Attributes
    ----------
    before : Tensor
        The hidden state before each step.
    intake : Tensor
        What the state takes in is a function of this sum of input, state before and bias.
    into : Tensor
        What makes of the state's relevance the share of the intake, R / stab(intake).
    keep : Tensor or None
        What makes of it the relevance of the state before; None where a state keeps nothing.
    state : Tensor or None
        What was divided by for the two.
    reset : Tensor or None
        The factor on the state's part of the intake; None for 1.
    weights : Weights
        Of the intake.
    """

    before: Tensor
    intake: Tensor
    into: Tensor
    keep: Tensor | None
    state: Tensor | None
    reset: Tensor | None
    weights: Weights


def _before(first: Tensor, states: Tensor) -> Tensor:
    return torch.cat([first.unsqueeze(0), states[:-1]])


def unrolled_lstm(values: Tensor, states: Tensor, weights: Weights, first: Tensor, first_cell: Tensor) -> Unrolled:
    """Unroll ``c' = f c + i g``, with g = tanh(intake); h = o tanh(c) hands all to c, so its gate is not needed."""
    before = _before(first, states)
    w = weights.part(0, 3)
    gates = linear(values, w.of_input, w.input_bias).add_(linear(before, w.of_state, w.state_bias))
    let_in, kept, intake = gates.chunk(3, -1)
    added, kept = let_in.sigmoid() * intake.tanh(), kept.sigmoid()
    cells = added.new_empty(len(added) + 1, *added.shape[1:])
    cells[0] = first_cell
    for t in range(len(added)):
        torch.addcmul(added[t], kept[t], cells[t], out=cells[t + 1])
    divisor = stabilised(cells[1:], EPS)
    into = added.div_(divisor).div_(stabilised(intake, EPS))
    keep = kept.mul_(cells[:-1]).div_(divisor)
    return Unrolled(before, intake, into, keep, cells[1:], None, weights.part(2, 3))


def unrolled_gru(values: Tensor, states: Tensor, weights: Weights, first: Tensor) -> Unrolled:
    """Unroll ``h' = (1 - z) n + z h``, with n = tanh(intake), of which r lets in the state's part."""
    before = _before(first, states)
    from_input = linear(values, weights.of_input, weights.input_bias).chunk(3, -1)
    from_state = linear(before, weights.of_state, weights.state_bias).chunk(3, -1)
    reset, update = (a.add(b).sigmoid_() for a, b in zip(from_input[:2], from_state[:2], strict=True))
    intake = from_input[2] + reset * from_state[2]
    added, kept = (1 - update) * intake.tanh(), update * before
    state = added + kept
    divisor = stabilised(state, EPS)
    into = added.div_(divisor).div_(stabilised(intake, EPS))
    return Unrolled(before, intake, into, kept.div_(divisor), state, reset, weights.part(2, 3))


def unrolled_plain(values: Tensor, states: Tensor, weights: Weights, first: Tensor) -> Unrolled:
    """Unroll ``h' = f(intake)``: relevance passes through f."""
    before = _before(first, states)
    intake = linear(values, weights.of_input, weights.input_bias)
    intake += linear(before, weights.of_state, weights.state_bias)
    return Unrolled(before, intake, 1 / stabilised(intake, EPS), None, None, None, weights)


@dataclass(frozen=True)
class Shares:
    """What an unrolled direction hands on.

    Attributes
    ----------
    input : Tensor
        Coefficient of its input (steps, N, inputs).
    first, first_cell : Tensor
        Relevance of the first hidden state, by way of the intake, and of what the first state keeps (N, H).
    bias, stabiliser : Tensor
        What those take (N,).
    """

    input: Tensor
    first: Tensor
    first_cell: Tensor
    bias: Tensor
    stabiliser: Tensor


def share(net: Unrolled, relevance: Tensor, last: Tensor) -> Shares:
    """Pass relevance back through time.

    Parameters
    ----------
    net : Unrolled
        The direction.
    relevance : Tensor
        Of its outputs (steps, N, H), in the order of its own time.
    last : Tensor
        Of its last states besides (N, H).
    """
    whole, shares = torch.empty_like(relevance), torch.empty_like(relevance)
    w = net.weights
    to_first, to_cell = last, torch.zeros_like(last)
    for t in range(len(relevance) - 1, -1, -1):
        arrived = torch.add(relevance[t], to_first + to_cell, out=whole[t])
        taken_in = torch.mul(net.into[t], arrived, out=shares[t])
        if net.reset is not None:
            taken_in = taken_in * net.reset[t]
        to_first = net.before[t] * (taken_in @ w.of_state)
        if net.keep is not None:
            to_cell = net.keep[t] * arrived
    signed = torch.where(net.intake < 0, -shares, shares)
    stabiliser = EPS * _sum(signed)
    if net.state is not None:
        stabiliser = stabiliser + EPS * _sum(whole / (net.state.abs() + EPS))
    bias = torch.zeros_like(stabiliser)
    if w.input_bias is not None:
        bias = bias + _sum(shares * w.input_bias)
    if w.state_bias is not None:
        bias = bias + _sum((shares if net.reset is None else shares * net.reset) * w.state_bias)
    return Shares(shares @ w.of_input, to_first, to_cell, bias, stabiliser)


def _sum(tensor: Tensor) -> Tensor:
    """Sum (..., N, H) to (N,), in float64."""
    return tensor.sum(-1).reshape(-1, tensor.shape[-2]).sum(0, dtype=torch.float64)


@dataclass(frozen=True)
class Call:
    """What a recurrent operation is given, and gave; time comes first.

    Attributes
    ----------
    kind : str
        "lstm", "gru", "rnn_tanh" or "rnn_relu".
    values : Tensor
        (steps, N, inputs).
    first, first_cell : Tensor
        First states (layers * directions, N, H), and an LSTM's first cells.
    outputs : Tensor
        Of the last layer (steps, N, directions * H).
    weights : tuple of Weights
        Layer by layer, and direction by direction in each.
    directions : int
        1 or 2.
    """

    kind: str
    values: Tensor
    first: Tensor
    first_cell: Tensor | None
    outputs: Tensor
    weights: tuple[Weights, ...]
    directions: int

    @property
    def layers(self) -> int:
        """How many layers are stacked."""
        return len(self.weights) // self.directions

    def ways(self, layer: int) -> range:
        """Return the numbers of a layer's directions, among the weights and among the first states."""
        return range(layer * self.directions, (layer + 1) * self.directions)

    def each_output(self) -> list[Tensor]:
        """Return every layer's output; those that the operation kept to itself are worked out again."""
        found: list[Tensor] = []
        values = self.values
        for layer in range(self.layers - 1):
            ways = self.ways(layer)
            weights = [self.weights[way] for way in ways]
            flat = [t for w in weights for t in (w.of_input, w.of_state, w.input_bias, w.state_bias) if t is not None]
            state = self.first[ways.start : ways.stop]
            given: Any = state
            if self.first_cell is not None:
                given = [state, self.first_cell[ways.start : ways.stop]]
            options = (weights[0].input_bias is not None, 1, 0.0, False, self.directions == 2, False)
            values = getattr(aten, self.kind).input(values, given, flat, *options)[0]
            found.append(values)
        return [*found, self.outputs]

    def unrolled(self, way: int, values: Tensor, outputs: Tensor) -> Unrolled:
        """Unroll one direction, given its input and its output in the order of its own time."""
        weights, first = self.weights[way], self.first[way]
        if self.first_cell is not None:
            return unrolled_lstm(values, outputs, weights, first, self.first_cell[way])
        if self.kind == "gru":
            return unrolled_gru(values, outputs, weights, first)
        return unrolled_plain(values, outputs, weights, first)


@dataclass(frozen=True)
class Arrived:
    """The relevance of what a recurrent operation gave, in the shapes of `Call`; last states as the first ones."""

    outputs: Tensor
    last: Tensor
    last_cell: Tensor | None


def share_all(call: Call, arrived: Arrived) -> Shares:
    """Pass relevance back through all layers; first states (layers * directions, N, H)."""
    outputs = call.each_output()
    relevance = arrived.outputs
    firsts, cells = torch.zeros_like(arrived.last), torch.zeros_like(arrived.last)
    total = relevance.new_zeros(relevance.shape[1], dtype=torch.float64)
    bias, stabiliser = total, total
    for layer in range(call.layers - 1, -1, -1):
        values = call.values if layer == 0 else outputs[layer - 1]
        coefficient = torch.zeros_like(values)
        for number, way in enumerate(call.ways(layer)):
            units = call.weights[way].units
            own = slice(number * units, (number + 1) * units)
            last = arrived.last[way] if arrived.last_cell is None else arrived.last[way] + arrived.last_cell[way]
            net = call.unrolled(way, _in_time(values, number), _in_time(outputs[layer][..., own], number))
            shares = share(net, _in_time(relevance[..., own], number), last)
            coefficient += _in_time(shares.input, number)
            firsts[way], cells[way] = shares.first, shares.first_cell
            bias, stabiliser = bias + shares.bias, stabiliser + shares.stabiliser
        if layer > 0:
            relevance = values * coefficient
    return Shares(coefficient, firsts, cells, bias, stabiliser)


def _in_time(tensor: Tensor, direction: int) -> Tensor:
    """Return a sequence in the order in which a direction reads it."""
    return tensor.flip(0) if direction else tensor


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
            is_input = isinstance(argument, Ref) and argument.name in step.inputs
            if place == 0 and is_input:
                contribution, total = step.share_out(0, self.back(step, shares.input), run)
            elif argument is None:
                continue
            else:
                relevance = (call.values * shares.input, firsts, shares.first_cell)[place]
                total = summed(_sum(relevance))
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
            relevance_out=summed(torch.stack([_sum(tensor) for tensor in every]).sum(0)),
            relevance_in=handed_on,
            bias=bias,
            stabiliser=summed(shares.stabiliser),
            size=summed(torch.stack([_sum(tensor.abs()) for tensor in every]).sum(0)),
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
            raise _refused(step, "with weights that depend on the input or the batch", "use constant weights")
        if len(params) != layers * (1 + bool(bidirectional)) * (4 if has_biases else 2):
            raise _refused(step, "with projections (proj_size)", "put a torch.nn.Linear behind it")
        if dropout and train:
            raise _refused(
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
            raise _refused(step, "with weights that depend on the input or the batch", "use constant weights")

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


def _refused(step: Step, what: str, remedy: str) -> SeqplrpError:
    return SeqplrpError(step.path, f"{step.op} {what} has no relevance handler", remedy)
