"""Who is handed relevance: signals, not gates; what jumps, or only has a value's shape, is a constant."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from engine import Calls, back_through, graph_of, one_hot, seeded, signed
from handler_checks import assert_balanced, check_handler
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import make_plan

CONSTANT = torch.arange(1.0, 5.0, dtype=torch.float64)


def masked_channel(self: nn.Module, x: Tensor) -> Tensor:
    """A network that is told where sequence is, by a channel made of the input."""
    present = (x.sum(1, keepdim=True) > 0).to(x.dtype)
    return self.layer(torch.cat([x, present, torch.ones_like(x[:, :1]), x.new_zeros(x.shape[0], 1, 6)], 1))


def test_a_mask_made_from_the_input_is_a_constant_beside_it() -> None:
    """What falls on the mask, and on constants of the input's shape, is a bias; coefficients are kept."""
    net = seeded(lambda: Calls(masked_channel, layer=nn.Conv1d(7, 2, 3)))
    x = one_hot(3, 6).clone()
    x[1, :, 3:] = 0
    R = signed(3, 2, 4, seed=2)
    found = check_handler(net, x, R)
    leaf = torch.cat([x, (x.sum(1, keepdim=True) > 0).double(), torch.ones_like(x[:, :1]), 0 * x[:, :1]], 1)
    leaf.requires_grad_()
    z = net.layer(leaf)
    (back,) = torch.autograd.grad(z, leaf, R / torch.where(z < 0, z - 1e-6, z + 1e-6).detach())
    torch.testing.assert_close(found.coefficient, back[:, :4], rtol=1e-11, atol=1e-12)
    on_constants = (leaf * back)[:, 4:].sum((1, 2)).detach()
    row = next(row for row in found.ledger.rows if row.op == "cat")
    torch.testing.assert_close(row.numbers["bias"], on_constants, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: s.one(x) * (s.two(x) > 0),
        lambda s, x: s.one(x) * ((s.two(x) > 0) & ~(x.sum(-1, keepdim=True) < -2)),
        lambda s, x: s.one(x).masked_fill(s.two(x) <= 0, 0.0),
        lambda s, x: torch.where(s.two(x) > 0, s.one(x), torch.zeros_like(s.one(x))),
    ],
)
def test_a_mask_that_a_layer_makes_takes_no_relevance(forward) -> None:
    net = seeded(lambda: Calls(forward, one=nn.Linear(4, 5), two=nn.Linear(4, 5)))
    x = signed(3, 4, seed=1)
    R = signed(3, 5, seed=2) * (net(x) != 0)
    found = check_handler(net, x, R)
    assert not any(row.layer == "two" for row in found.ledger.rows)
    alone = back_through(net.one, x, R)
    torch.testing.assert_close(found.relevance, alone.relevance, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("forward", "text"),
    [
        (lambda x: (x.sum(1) > 0).to(x.dtype), "through comparisons alone"),
        (lambda x: torch.zeros_like(x), "does not depend on the input"),
        (lambda x: CONSTANT / (x + 10), "a constant divided by"),
        (lambda x: x + CONSTANT / (x + 10), "a constant divided by"),
        (lambda x: torch.digamma(x), "digamma"),
    ],
)
def test_relevance_is_never_lost_on_what_can_not_hand_it_on(forward, text: str) -> None:
    net = Calls(lambda self, x: forward(x)).eval()
    with pytest.raises(sp.SeqplrpError, match=text) as caught:
        make_plan(graph_of(net, signed(2, 4)), net)
    assert caught.value.remedy


def test_what_only_a_gate_reads_needs_no_handler() -> None:
    net = seeded(lambda: Calls(lambda s, x: s.one(x) * torch.digamma(x.abs() + 1).sigmoid(), one=nn.Linear(4, 4)))
    x, R = signed(3, 4, seed=1), signed(3, 4, seed=2)
    found = check_handler(net, x, R)
    torch.testing.assert_close(found.relevance, back_through(net.one, x, R).relevance, rtol=1e-12, atol=1e-13)
    assert_balanced(found, R, 1e-12)


GATES: dict[str, tuple[nn.Module, Callable[[nn.Module, Tensor], Tensor]]] = {
    "a batch norm": (nn.BatchNorm1d(5), lambda gate, h: gate(h)),
    "a layer norm": (nn.LayerNorm(6), lambda gate, h: gate(h)),
    "an LSTM": (nn.LSTM(6, 6, batch_first=True), lambda gate, h: gate(h)[0]),
    "an LSTM's output and last state": (
        nn.LSTM(6, 6, batch_first=True),
        lambda gate, h: (lambda found: found[0] + found[1][0].transpose(0, 1))(gate(h)),
    ),
    "a pool with indices": (nn.MaxPool1d(3, 1, 1, return_indices=True), lambda gate, h: gate(h)[0]),
}


@pytest.mark.parametrize("name", list(GATES))
def test_an_operation_of_several_results_may_be_part_of_a_gate(name: str) -> None:
    gate, run = GATES[name]
    net = seeded(
        lambda: Calls(lambda s, x: s.one(x) * run(s.gate, s.two(x)).sigmoid(), one=conv(), two=conv(), gate=gate)
    )
    x, R = one_hot(3, 8), signed(3, 5, 6, seed=2)
    found = check_handler(net, x, R)
    torch.testing.assert_close(found.relevance, back_through(net.one, x, R).relevance, rtol=1e-12, atol=1e-13)


def conv() -> nn.Module:
    return nn.Conv1d(4, 5, 3)


def test_a_further_input_may_pass_an_operation_of_several_results() -> None:
    class Controlled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.norm = conv(), nn.BatchNorm1d(5)
            self.two, self.rnn = conv(), nn.LSTM(6, 6, batch_first=True)

        def forward(self, x: Tensor, control: Tensor) -> Tensor:
            outputs, (last, _) = self.rnn(self.two(control))
            return (self.one(x) + self.norm(self.two(control)) + outputs + last.transpose(0, 1)).sum((1, 2))

    net, x = seeded(Controlled), one_hot(3, 8)
    e = sp.explain(net, x, method="lrp", args=(x.flip(2),), check=True)
    torch.testing.assert_close(e.output, net(x, x.flip(2)).detach())
