"""Relevance back through time: recurrent layers unrolled, with their gates held constant.

Source: Arras et al. 2017, "Explaining recurrent neural network predictions in sentiment analysis", section 3.1;
METHODS.md, section 2. In each step the state's relevance is shared between what it keeps and what it takes in, by
contribution; what it takes in is a tanh (or ReLU) that relevance passes through, and then a linear layer under epsilon
over the input, the state before and the bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from seqplrp.lrp.steps import EPS, stabilised

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
    stabiliser = EPS * summed_units(signed)
    if net.state is not None:
        stabiliser = stabiliser + EPS * summed_units(whole / (net.state.abs() + EPS))
    bias = torch.zeros_like(stabiliser)
    if w.input_bias is not None:
        bias = bias + summed_units(shares * w.input_bias)
    if w.state_bias is not None:
        bias = bias + summed_units((shares if net.reset is None else shares * net.reset) * w.state_bias)
    return Shares(shares @ w.of_input, to_first, to_cell, bias, stabiliser)


def summed_units(tensor: Tensor) -> Tensor:
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
