"""Where the batch stands in every value of a graph: found from shapes, checked by changing one sequence."""

from __future__ import annotations

from collections.abc import Callable
from operator import getitem
from typing import Any

import pytest
import torch
from engine import Calls, graph_of, one_hot, seeded, signed
from torch import Tensor, nn
from torch_version import OLD_TORCH

import seqplrp as sp
from seqplrp.lrp import Graph, Program, trace
from seqplrp.lrp.batch import (
    BatchAxis,
    batch_axes,
    by_sample,
    from_samples,
    per_sample_factor,
    samples_in,
    with_marked_batch,
)
from seqplrp.lrp.steps import Run

SHAPE = (5, 8)


def windows(self: nn.Module, x: Tensor) -> Tensor:
    """A batch of windows, each sequence's one after the other."""
    return x.view(-1, 5, 2, 4).transpose(1, 2).reshape(-1, 5, 4).relu().transpose(1, 2).reshape(-1, 2, 4, 5)


def both_strands(self: nn.Module, x: Tensor) -> Tensor:
    """A layer runs once on both strands, one batch after the other."""
    n = x.shape[0]
    y = self.layer(torch.cat([x, x.flip(1, 2)], 0))
    return y[:n] + y[n:].flip(1)


def in_halves(self: nn.Module, x: Tensor) -> Tensor:
    """As the field writes it: cut into two again, whatever the batch."""
    forward, backward = self.layer(torch.cat([x, x.flip(1, 2)], 0)).chunk(2)
    return forward + backward.flip(1)


def in_thirds(self: nn.Module, x: Tensor) -> Tensor:
    """The last axis that is cut is named from the end, and each piece has its own way on."""
    one, two, three = self.layer(torch.cat([x, x.flip(1), x * 2], 0)).split(x.shape[0], -3)
    return one.relu() + two * three.sigmoid()


CASES: dict[str, tuple[Callable[[Any, Tensor], Tensor], Callable[[], nn.Module]]] = {
    "length first": (lambda s, x: s.layer(x.transpose(0, 1)).transpose(0, 1), lambda: nn.Linear(8, 3)),
    "length and batch in one": (
        lambda s, x: s.layer(x.transpose(0, 1).reshape(-1, 8)).view(5, -1, 3).transpose(0, 1),
        lambda: nn.Linear(8, 3),
    ),
    "length and batch in one, last": (
        lambda s, x: (x.transpose(0, 1).reshape(-1, 8).t() * 2).t().reshape(5, -1, 8).transpose(0, 1),
        nn.Identity,
    ),
    "batch and length in one": (lambda s, x: (x.reshape(-1, 8).t() * 2).t().reshape(-1, 5, 8), nn.Identity),
    "channels first, batch last": (lambda s, x: x[:, :, 0].t().relu().t(), nn.Identity),
    "attention": (
        lambda s, x: s.layer(x, x, x)[0],
        lambda: nn.MultiheadAttention(8, 2, batch_first=True),
    ),
    "attention, length first": (
        lambda s, x: s.layer(*[x.transpose(0, 1)] * 3, need_weights=False)[0].transpose(0, 1),
        lambda: nn.MultiheadAttention(8, 4),
    ),
    "last states of two directions": (
        lambda s, x: s.layer(x)[1][0].transpose(0, 1),
        lambda: nn.LSTM(8, 3, bidirectional=True, batch_first=True),
    ),
    "recurrent, length first": (lambda s, x: s.layer(x.transpose(0, 1))[0][-1], lambda: nn.GRU(8, 3)),
    "stacked in front": (lambda s, x: torch.stack([x, -x], 0).sum(0), nn.Identity),
    "stacked at the end and moved": (lambda s, x: torch.stack([x, -x], -1).movedim(-1, 0).sum(0), nn.Identity),
    "two batches one after the other": (
        lambda s, x: torch.cat([x, -x], 0).view(2, -1, 5, 8).sum(0),
        nn.Identity,
    ),
    "repeated": (lambda s, x: x.repeat(2, 1, 1).view(2, -1, 5, 8).sum(0), nn.Identity),
    "each sequence twice": (lambda s, x: x.repeat_interleave(2, 0).view(-1, 2, 5, 8).sum(1), nn.Identity),
    "both strands": (both_strands, lambda: nn.Linear(8, 3)),
    "both strands, in halves": (in_halves, lambda: nn.Linear(8, 3)),
    "three strands, in thirds": (in_thirds, lambda: nn.Linear(8, 3)),
    "both strands, by tensor_split": (
        lambda s, x: torch.stack(torch.tensor_split(torch.cat([x, -x], 0), 2), -1).sum(-1),
        nn.Identity,
    ),
    "windows": (windows, nn.Identity),
}


IN_PROGRAMS: dict[str, tuple[Callable[[Any, Tensor], Tensor], Callable[[], nn.Module]]] = {
    "reduced in front": (lambda s, x: x.transpose(0, 1).relu().amax(0), nn.Identity),
    "reduced in front, kept": (lambda s, x: x.permute(2, 1, 0).logsumexp((0, 1), keepdim=True)[0].t(), nn.Identity),
    "largest in front": (lambda s, x: x.transpose(0, 1).max(0).values, nn.Identity),
    "picked from the front": (lambda s, x: x.transpose(0, 1)[-1], nn.Identity),
    "a layer, the length in front": (lambda s, x: s.layer(x.transpose(0, 1)).sum(0), lambda: nn.Linear(8, 3)),
    "stacked in front, then reduced": (lambda s, x: torch.stack([x, -x]).relu().amax(-1).sum(0), nn.Identity),
    "weights over the length in front": (lambda s, x: (x * x.softmax(1)).transpose(0, 1).mean(0), nn.Identity),
    "last states of one direction": (lambda s, x: s.layer(x)[1][-1], lambda: nn.GRU(8, 3, batch_first=True)),
}


def values_of(graph: Graph, model: nn.Module, x: Tensor) -> dict[str, Any]:
    """Run a graph node by node."""
    run = Run(values={graph.input: x, **graph.constants})
    for name, path in graph.weights.items():
        run.values[name] = model.get_parameter(path).detach()
    picked = {node.refs()[0] for node in graph.nodes if node.op is getitem}
    for node in graph.nodes:
        value = node.op(*run.filled(node.args), **run.filled(dict(node.kwargs)))
        run.values[node.name] = value[0] if isinstance(value, tuple) and node.name not in picked else value
    return run.values


def assert_each_owns_its_entries(graph: Graph, model: nn.Module, n: int) -> None:
    """Change one of n sequences, and see its entries change in every value of a graph, and no others."""
    axes = batch_axes(graph)
    x = signed(n, *SHAPE, seed=1)
    before = values_of(graph, model, x)
    for place in range(n):
        other = x.clone()
        other[place] += signed(*SHAPE, seed=2)
        after = values_of(graph, model, other)
        met = 0
        for node in graph.nodes:
            one, two = before[node.name], after[node.name]
            if isinstance(one, tuple):
                one, two = one[0], two[0]
            if not isinstance(one, Tensor) or torch.equal(one, two):
                continue
            changed = by_sample(one != two, axes.get(node.name)).any(1).tolist()
            assert changed == [number == place for number in range(n)], node.name
            met += 1
        assert met


@pytest.mark.parametrize("name", list(CASES))
def test_changing_one_sequence_changes_its_own_entries_alone(name: str) -> None:
    forward, build = CASES[name]
    net = seeded(lambda: Calls(forward, layer=build()))
    graph = graph_of(net, signed(3, *SHAPE))
    assert batch_axes(graph)
    assert_each_owns_its_entries(graph, net, 3)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("name", [*CASES, *IN_PROGRAMS])
def test_a_program_s_fixed_batch_is_told_from_other_axes_as_long(name: str, n: int) -> None:
    """Five sequences of five positions, two of two strands, one beside any axis that is 1 long."""
    forward, build = {**CASES, **IN_PROGRAMS}[name]
    net = seeded(lambda: Calls(forward, layer=build()))
    program = Program(torch.export.export(net, (signed(n, *SHAPE),)))
    graph = with_marked_batch(trace(program, signed(n, *SHAPE)))
    assert_each_owns_its_entries(graph, program, n)


@pytest.mark.parametrize("axis", [None, BatchAxis(1, 20), BatchAxis(5, 20), BatchAxis(10, 20)], ids=repr)
def test_values_are_taken_apart_by_sequence_and_put_together_again(axis: BatchAxis | None) -> None:
    lead = 1 if axis is None else axis.lead
    number = torch.arange(3.0).view(1, 3, 1).expand(lead, 3, 20 // lead)
    shape = (3, 20) if axis is None else (lead, 3, 20 // lead)
    tensor = (number * 100 + torch.arange(60.0).view(lead, 3, -1) % 7).reshape(shape)
    samples = by_sample(tensor, axis)
    assert samples_in(tensor, axis) == 3
    assert samples.shape == (3, 20)
    assert (samples // 100 == torch.arange(3.0).view(3, 1)).all()
    assert torch.equal(from_samples(samples, tensor, axis), tensor)
    factor = per_sample_factor(torch.tensor([1.0, 10.0, 0.0]), tensor, axis)
    assert torch.equal(by_sample(factor * tensor, axis), samples * torch.tensor([[1.0], [10.0], [0.0]]))


@pytest.mark.parametrize(
    ("forward", "text"),
    [
        (lambda s, x: x.sum(0), "mixes the sequences"),
        (lambda s, x: x.transpose(0, 1)[0].sum(0), "mixes the sequences"),
        (lambda s, x: x[1:], "moves the batch axis"),
        (lambda s, x: x * x.softmax(0), "softmax along the batch"),
        (lambda s, x: x * x.detach().sigmoid().cumsum(0), "cumsum along the batch"),
        (lambda s, x: x.transpose(0, 1).log_softmax(1).transpose(0, 1) * 2, "log_softmax along the batch"),
        (lambda s, x: x.sort(0).values, "sort along the batch"),
        (lambda s, x: x[:, 0, 0].argsort() + x[:, 0, 0], "argsort along the batch"),
        (lambda s, x: x - x.mean(0), "mixes the sequences"),
        (lambda s, x: torch.cat([x, x[:1]], 0), "mixes the sequences"),
        (lambda s, x: torch.cat([x, torch.zeros(13, 5, 8).to(x.dtype)], 0), "moves the batch axis"),
        (lambda s, x: torch.cat([x, -x], 0)[1:], "merged with another axis"),
        (lambda s, x: x[x[:, 0, 0] > 0], "moves the batch axis"),
        (lambda s, x: x[:, torch.arange(5) > 2].transpose(0, 1), "known at run time alone"),
        pytest.param(
            lambda s, x: torch.take_along_dim(x, torch.tensor([[[0, 1]]]), 2),
            "one size of the batch",
            marks=pytest.mark.skipif(OLD_TORCH, reason="torch 2.6 keeps the batch free there"),
        ),
    ],
)
def test_a_batch_that_can_not_be_followed_is_an_error_with_a_remedy(forward, text: str) -> None:
    net = Calls(forward).eval()
    with pytest.raises(sp.SeqplrpError, match=text) as caught:
        batch_axes(graph_of(net, signed(2, *SHAPE)))
    assert caught.value.remedy


class BothStrands(nn.Module):
    """A net on both strands of a sequence, and what becomes of the two scores."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], *, at_once: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.Linear(54, 3)
        self.join, self.at_once = join, at_once

    def score(self, x: Tensor) -> Tensor:
        return self.head(nn.functional.max_pool1d(self.norm(self.conv(x)).relu(), 2).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        if self.at_once:
            return self.join(*self.score(torch.cat([x, x.flip(1, 2)])).chunk(2))
        return self.join(self.score(x), self.score(x.flip(1, 2)))


@pytest.mark.parametrize("join", [lambda a, b: a + b, torch.maximum, torch.logaddexp, lambda a, b: a * a.sigmoid()])
def test_both_strands_in_one_batch_explain_as_one_after_the_other(join: Callable[[Tensor, Tensor], Tensor]) -> None:
    together, apart = (seeded(lambda at=at: BothStrands(join, at_once=at), seed=3) for at in (True, False))
    x = one_hot(4, 22)
    for method in (sp.LRP(), sp.LRP(rule="gamma"), sp.LRP(rule="epsilon-gamma-box")):
        found, expected = (sp.explain(net, x, 1, method, check=True) for net in (together, apart))
        torch.testing.assert_close(found.output, expected.output)
        scale = float(expected.relevance.abs().max())
        torch.testing.assert_close(found.relevance, expected.relevance, rtol=0, atol=1e-11 * scale)
        if expected.has_hypothetical:
            torch.testing.assert_close(found.hypothetical, expected.hypothetical, rtol=0, atol=1e-11 * scale)
    explainer = sp.Explainer(together, x, sp.PLRP(p=0.5))
    pruned = explainer(x, 1, check=True)
    assert explainer.graph.input_shape[0] is None
    for n in range(4):  # one's pruning does not depend on the others, nor on how many there are
        alone = explainer(x[n : n + 1], 1)
        torch.testing.assert_close(alone.relevance[0], pruned.relevance[n], rtol=1e-10, atol=1e-13)


def test_a_batch_size_that_forward_takes_for_fixed_is_told_with_the_way_out() -> None:
    net = Calls(lambda s, x: torch.cat([x, -x]).reshape(2, len(x), 40).sum(0)).eval()
    with pytest.raises(sp.SeqplrpError, match=r"fixes the batch size.*x.shape\[0\] in forward, not from len\(x\)"):
        graph_of(net, signed(2, *SHAPE))
