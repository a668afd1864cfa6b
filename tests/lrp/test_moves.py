"""Moves: relevance goes back as gradients do; what falls on constants is in the ledger; coefficients survive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from operator import getitem

import pytest
import torch
import torch.nn.functional as F
from engine import Calls, back_through, forward_of, graph_of, one_hot, seeded, signed
from handler_checks import assert_balanced, check_handler, operations_in, operations_of, trace_together, with_zeros
from naive_lrp import matrix_of, share
from torch import Tensor, nn
from torch_version import OLD_TORCH

import seqplrp as sp
from seqplrp.lrp import Epsilon, Flat, Gamma, Graph, Pruning, make_plan, propagate, run_forward
from seqplrp.lrp.graph import Node, Ref
from seqplrp.lrp.ops import movement, overwriting, rearranging

EPS = 1e-6
aten = torch.ops.aten
Op = Callable[[Tensor], Tensor]
SIGNAL, IMAGE, VOLUME, VECTOR = (4, 6), (4, 4, 6), (1, 3, 4, 5), (6,)
MASK = torch.tensor([True, False, True, True, False, True])
GRID = torch.arange(24).view(4, 6) % 3 == 0


def in_place(write: Callable[[Tensor, Tensor], None]) -> Op:
    """Return a function that writes into a copy of its input."""

    def op(x: Tensor) -> Tensor:
        y = x.clone()
        write(y, x)
        return y

    return op


def assign(y: Tensor, at, value) -> None:
    y[at] = value


def add_to(y: Tensor, at, value) -> None:
    y[at] += value


def both_steps(x: Tensor) -> Tensor:
    y = torch.zeros(x.shape[0], 4, 12, dtype=x.dtype)
    y[..., ::2] = x
    y[..., 1::2] = x.flip(-1)
    return y


# every output is one input, and relevance has nowhere else to go
MOVES: dict[str, tuple[Op, tuple[int, ...]]] = {
    "stack in front": (lambda x: torch.stack([x, x.flip(1)], 1), SIGNAL),
    "stack of three at the end": (lambda x: torch.stack([x, x[:, :1].expand_as(x), x], -1), SIGNAL),
    "stack before the batch": (lambda x: torch.stack([x, x.flip(1)], 0).transpose(0, 1), SIGNAL),
    "hstack": (lambda x: torch.hstack([x, x[:, :2]]), SIGNAL),
    "dstack": (lambda x: torch.dstack([x, x.flip(1)]), SIGNAL),
    "vstack of one": (lambda x: torch.vstack([x]), SIGNAL),
    "column_stack": (lambda x: torch.column_stack([x[:, 0], x[:, 2]]), SIGNAL),
    "concat": (lambda x: torch.concat([x, x[..., 1:3]], 2), SIGNAL),
    "concatenate": (lambda x: torch.concatenate([x[:, 1:], x], 1), SIGNAL),
    "index": (lambda x: x[:, [3, 0, 3]], SIGNAL),
    "index by an array of two axes": (lambda x: x[:, :, torch.tensor([[0, 5], [1, 1]])], SIGNAL),
    "index of two axes at once": (lambda x: x[:, [0, 2], [1, 4]], SIGNAL),
    "index of axes that are apart": (lambda x: x[:, [0, 2], :, [1, 4]].transpose(0, 1), IMAGE),
    "index with a new axis": (lambda x: x[:, None, [0, 2]], SIGNAL),
    "index by a mask": (lambda x: x[..., MASK], SIGNAL),
    "index by a mask of two axes": (lambda x: x[:, GRID], SIGNAL),
    "index, each sequence its own": (lambda x: x[torch.arange(x.shape[0]), 2], SIGNAL),
    "index_select": (lambda x: x.index_select(1, torch.tensor([0, 0, 2])), SIGNAL),
    "gather": (lambda x: x.gather(2, torch.tensor([5, 0, 0]).expand(x.shape[0], 4, 3)), SIGNAL),
    "gather what is largest": (lambda x: x.gather(2, x.argsort(-1)[..., -2:]), SIGNAL),
    "take, each sequence its own": (lambda x: x.take(6 * torch.arange(x.shape[0])[:, None] + torch.arange(3)), VECTOR),
    "roll": (lambda x: x.roll(2, -1), SIGNAL),
    "roll of two axes": (lambda x: x.roll((1, -2), (1, 2)), SIGNAL),
    "movedim": (lambda x: x.movedim(1, -1), IMAGE),
    "swapaxes": (lambda x: x.swapaxes(1, 2), SIGNAL),
    "t, twice": (lambda x: x.t().clone().t(), VECTOR),
    "rot90": (lambda x: x.rot90(1, (1, 2)), SIGNAL),
    "fliplr": (lambda x: aten.fliplr(x), SIGNAL),
    "tile": (lambda x: x.tile(1, 2, 3), SIGNAL),
    "repeat": (lambda x: x.repeat(1, 2, 1), SIGNAL),
    "repeat with a new axis in front": (lambda x: x.repeat(2, 1, 1, 1).transpose(0, 1), SIGNAL),
    "repeat of the batch": (lambda x: x.repeat(2, 1, 1).view(2, -1, 4, 6).transpose(0, 1), SIGNAL),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, 1), SIGNAL),
    "repeat_interleave, each its own": (lambda x: x.repeat_interleave(torch.tensor([1, 0, 2, 1]), 1), SIGNAL),
    "expand_as": (lambda x: x[:, :1].expand_as(x), SIGNAL),
    "diagonal": (lambda x: x.diagonal(1, 1, 2), SIGNAL),
    "reflected": (lambda x: F.pad(x, (2, 1), "reflect"), SIGNAL),
    "reflected, the other": (lambda x: aten.reflection_pad1d(x, [2, 1]), SIGNAL),
    "reflected in two axes": (lambda x: aten.reflection_pad2d(x, [2, 1, 1, 1]), IMAGE),
    "replicated": (lambda x: F.pad(x, (0, 3), "replicate"), SIGNAL),
    "replicated, the other": (lambda x: aten.replication_pad1d(x, [0, 3]), SIGNAL),
    "replicated in two axes": (lambda x: aten.replication_pad2d(x, [2, 1, 1, 1]), IMAGE),
    "replicated in three axes": (lambda x: aten.replication_pad3d(x, [1, 0, 1, 1, 2, 0]), VOLUME),
    "reflected in three axes": (lambda x: aten.reflection_pad3d(x, [1, 0, 1, 1, 2, 0]), VOLUME),
    "circular": (lambda x: F.pad(x, (1, 2), "circular"), SIGNAL),
    "circular, the other": (lambda x: aten._pad_circular(x, [1, 2]), SIGNAL),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), IMAGE),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 2), IMAGE),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 2), IMAGE),
    "unfold": (lambda x: x.unfold(2, 3, 1), SIGNAL),
    "split": (lambda x: torch.cat(x.split([1, 3, 2], 2)[::-1], 2), SIGNAL),
    "chunk": (lambda x: torch.cat(x.chunk(2, 1)[::-1], 1), SIGNAL),
    "chunk, one of them": (lambda x: x.chunk(3, 2)[1], SIGNAL),
    "unbind": (lambda x: x.unbind(1)[2], SIGNAL),
    "tensor_split": (lambda x: x.tensor_split((1, 4), 2)[1], SIGNAL),
    "detach": (lambda x: x.detach(), SIGNAL),
    "copied over": (lambda x: torch.empty(x.shape[0], 4, 6, dtype=x.dtype).copy_(x), SIGNAL),
    "copied over, wider": (in_place(lambda y, x: y.copy_(x[:, :1])), SIGNAL),
    "where the input says": (lambda x: torch.where(x > 0, x, x.flip(1)), SIGNAL),
    "written elsewhere": (in_place(lambda y, x: assign(y, (slice(None), 0), x[:, 1])), SIGNAL),
    "written at steps": (both_steps, SIGNAL),
    "written into a range": (in_place(lambda y, x: assign(y, (..., slice(1, 4)), x[..., 3:])), SIGNAL),
    "written at places": (in_place(lambda y, x: y.index_copy_(1, torch.tensor([0, 3]), x[:, 1:3])), SIGNAL),
    "written at an index": (in_place(lambda y, x: assign(y, (slice(None), torch.tensor([0, 3])), x[:, 1:3])), SIGNAL),
    "written on the diagonal": (lambda x: torch.diagonal_scatter(x, x[:, :, 5], 0, 1, 2), SIGNAL),
    "scattered": (
        lambda x: x.scatter(2, torch.tensor([[0, 2]]).expand(x.shape[0], 4, 2), x[..., 4:]),
        SIGNAL,
    ),
}

# some outputs are constants, which keep what falls on them
ON_CONSTANTS: dict[str, tuple[Op, tuple[int, ...]]] = {
    "pad by ones": (lambda x: F.pad(x, (1, 2), value=1.0), SIGNAL),
    "pad by a negative number": (lambda x: aten.constant_pad_nd(x, [1, 0, 0, 2], -0.5), SIGNAL),
    "pad by ones, cropping": (lambda x: F.pad(x, (-1, 2), value=1.0), SIGNAL),
    "where of a constant mask": (lambda x: torch.where(GRID, x, 0.5), SIGNAL),
    "where, the other way round": (lambda x: torch.where(GRID, -2.0, x), SIGNAL),
    "where of a tensor": (
        lambda x: torch.where(MASK, x, torch.tensor([[0.1], [0.2], [-3.0], [4.0]]).to(x.dtype)),
        SIGNAL,
    ),
    "masked_fill": (lambda x: x.masked_fill(GRID, 0.25), SIGNAL),
    "masked_fill by a tensor": (lambda x: x.masked_fill(GRID, torch.tensor(0.25).to(x.dtype)), SIGNAL),
    "masked_fill in place": (in_place(lambda y, x: y.masked_fill_(GRID, -1.0)), SIGNAL),
    "a mask's places set": (in_place(lambda y, x: assign(y, (slice(None), GRID), 2.0)), SIGNAL),
    "index_fill": (lambda x: x.index_fill(1, torch.tensor([0, 2]), 1.0), SIGNAL),
    "index_fill by a tensor": (lambda x: aten.index_fill(x, 1, torch.tensor([0, 2]), torch.tensor(1.5)), SIGNAL),
    "places set": (in_place(lambda y, x: assign(y, (slice(None), [0, 2]), 1.0)), SIGNAL),
    "an index set to a number": (in_place(lambda y, x: assign(y, (slice(None), 1), 3.0)), SIGNAL),
    "a range set to a number": (in_place(lambda y, x: assign(y, (..., slice(1, 3)), 3.0)), SIGNAL),
    "filled by a tensor": (in_place(lambda y, x: y[:, 0].fill_(torch.tensor(0.7))), SIGNAL),
    "copied over by a constant": (in_place(lambda y, x: y[:, 0].copy_(torch.arange(1.0, 7.0))), SIGNAL),
    "scattered over by a number": (
        lambda x: x.scatter(2, torch.tensor([[0, 2]]).expand(x.shape[0], 4, 2), 0.3),
        SIGNAL,
    ),
    "diag_embed": (lambda x: x.diag_embed(), SIGNAL),
    "tril": (lambda x: x.tril(), SIGNAL),
    "triu": (lambda x: x.triu(1), SIGNAL),
    "stack with a constant": (lambda x: torch.stack([x, GRID.to(x.dtype).expand(x.shape[0], 4, 6)], 1), SIGNAL),
    "hstack with a constant": (lambda x: torch.hstack([x, GRID.to(x.dtype).expand(x.shape[0], 4, 6)]), SIGNAL),
}

# places hold a sum
SUMS: dict[str, tuple[Op, tuple[int, ...]]] = {
    "scatter_add": (lambda x: x.scatter_add(2, torch.tensor([[0, 2]]).expand(x.shape[0], 4, 2), x[..., 4:]), SIGNAL),
    "index_add": (lambda x: x.index_add(1, torch.tensor([0, 3]), x[:, 1:3], alpha=-2), SIGNAL),
    "index_add to constants": (
        lambda x: (GRID.to(x.dtype) - 0.5).repeat(x.shape[0], 1, 1).index_add(1, torch.tensor([0, 3]), x[:, 1:3]),
        SIGNAL,
    ),
    "added at an index": (
        lambda x: aten.index_put(x, [None, torch.tensor([0, 0])], x[:, 1:3], True),
        SIGNAL,
    ),
}
CASES = {**MOVES, **ON_CONSTANTS, **SUMS}


@cache
def modules() -> dict[str, nn.Module]:
    """Make every case's module, and trace those of one shape together."""
    made = {name: Calls(lambda self, x, op=op: op(x)).eval() for name, (op, _) in CASES.items()}
    for shape in (SIGNAL, IMAGE, VOLUME, VECTOR):
        trace_together([made[name] for name, (_, own) in CASES.items() if own == shape], signed(2, *shape))
    return made


def case(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a module, an input of both signs with some zeros, and relevance for the output."""
    module = modules()[name]
    x = with_zeros(signed(3, *CASES[name][1], seed=1))
    return module, x, signed(*module(x).shape, seed=2)


def vector_jacobian(module: nn.Module, x: Tensor, v: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    (back,) = torch.autograd.grad(module(leaf), leaf, v, materialize_grads=True)
    return back


@pytest.mark.parametrize("name", list(MOVES))
def test_a_move_hands_back_what_gradients_do_and_loses_nothing(name: str) -> None:
    module, x, R = case(name)
    found = check_handler(module, x, R)
    expected = R if name == "detach" else vector_jacobian(module, x, R)
    torch.testing.assert_close(found.relevance, expected, rtol=1e-13, atol=1e-13)
    for row in found.ledger.rows:  # of writes into what the batch size made, which were written over in turn
        assert (row.numbers["bias"].abs() < 1e-13).all()


def constant_places(module: nn.Module, x: Tensor) -> Tensor:
    """Return 1 where the output is the same whatever the input."""
    return (module(x + 0.123) == module(x - 0.321)).to(x.dtype)


@pytest.mark.parametrize("name", list(ON_CONSTANTS))
def test_what_falls_on_a_constant_is_a_bias(name: str) -> None:
    module, x, R = case(name)
    found = check_handler(module, x, R)
    torch.testing.assert_close(found.relevance, vector_jacobian(module, x, R), rtol=1e-13, atol=1e-13)
    bias = sum(row.numbers["bias"] for row in found.ledger.rows)
    places = constant_places(module, x)
    assert places.any()
    torch.testing.assert_close(bias, (R * places).flatten(1).sum(1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", list(SUMS))
def test_values_added_to_places_share_by_what_they_add(name: str) -> None:
    module, x, R = case(name)
    y = module(x)
    quotient = R / torch.where(y < 0, y - EPS, y + EPS)
    found = check_handler(module, x, R)
    expected = x * vector_jacobian(module, x, quotient)
    torch.testing.assert_close(found.relevance, expected, rtol=1e-11, atol=1e-12)
    if "constants" in name:
        constant = module(torch.zeros_like(x))
        bias = sum(row.numbers["bias"] for row in found.ledger.rows)
        torch.testing.assert_close(bias, (constant * quotient).flatten(1).sum(1), rtol=1e-11, atol=1e-12)


def test_every_operation_of_these_rooms_is_in_a_test() -> None:
    met = set().union(*(operations_in(module, signed(2, *CASES[name][1])) for name, module in modules().items()))
    elsewhere = {  # in test_ops and test_trace
        "aten._unsafe_view.default",
        "aten.alias.default",
        "aten.contiguous.default",
        "aten.reshape.default",
        "aten.flatten.using_ints",
        "aten.unflatten.int",
        "aten.squeeze.default",
        "aten.squeeze.dim",
        "aten.squeeze.dims",
        "aten.dropout.default",
        "aten.feature_dropout.default",
        "aten.native_dropout.default",
        str(getitem),
        "aten.type_as.default",  # below
    }
    if OLD_TORCH:  # exports other operations in its place
        elsewhere.add("aten.fill.Scalar")
    wanted = set().union(*(operations_of(room) for room in (movement, rearranging, overwriting)))
    assert wanted - met - elsewhere == set()


def followed_by_a_layer(graph: Graph, units: int) -> Graph:
    """Put a linear layer behind a traced graph, so that coefficients arrive at its output."""
    sizes = (graph.input_sizes[0], units)
    flat = Node("flat", aten.flatten.using_ints, (Ref(graph.output), 1), {}, "", (None, units), sizes)
    arguments = (Ref("flat"), Ref("layer_weight"), Ref("layer_bias"))
    layer = Node("score", aten.linear.default, arguments, {}, "layer", (None, 2), (sizes[0], 2))
    return replace(
        graph,
        nodes=(*graph.nodes, flat, layer),
        weights={**graph.weights, "layer_weight": "layer.weight", "layer_bias": "layer.bias"},
        output="score",
        output_shape=(None, 2),
    )


@pytest.mark.parametrize("name", [*MOVES, *ON_CONSTANTS])
def test_a_move_of_the_very_input_keeps_its_hypothetical_contributions(name: str) -> None:
    """They stand also where the input is 0, and no relevance is."""
    module, x, R = case(name)
    net = seeded(lambda: Calls(None, layer=nn.Linear(R[0].numel(), 2)))
    plan = make_plan(followed_by_a_layer(graph_of(module, x), R[0].numel()), net)
    z = net.layer(module(x).flatten(1)).detach()
    with torch.inference_mode():
        run = run_forward(plan, x)
        torch.testing.assert_close(run.values[plan.graph.output], z, rtol=1e-12, atol=1e-12)
        found = propagate(plan, run, z)
    coefficient = (z / torch.where(z < 0, z - EPS, z + EPS)) @ net.layer.weight.detach()
    at_output = coefficient.view(R.shape)
    expected = at_output if name == "detach" else vector_jacobian(module, x, at_output)
    assert found.coefficient is not None
    torch.testing.assert_close(found.coefficient, expected, rtol=1e-12, atol=1e-13)
    assert torch.equal(found.relevance, x * found.coefficient)
    assert_balanced(found, z, 1e-12)


@pytest.mark.parametrize(
    "op",
    [
        lambda x: x.flip(0),
        lambda x: x.flip(1, 0),
        lambda x: x.roll(1, 0),
        lambda x: x[..., 0].roll(1),
        lambda x: x.transpose(0, 1).roll(1, 1).transpose(0, 1),
        lambda x: x[torch.arange(x.shape[0]).flip(0)],
        lambda x: x.index_select(0, torch.arange(x.shape[0]).flip(0)),
        lambda x: x.gather(0, torch.arange(x.shape[0]).flip(0).view(-1, 1, 1).expand(-1, 4, 6)),
        lambda x: x.take(torch.arange(x.shape[0] * 6)).view(-1, 6),
        lambda x: x[:, :2, 0].repeat_interleave(2, 0).view(2, -1, 2).sum(0),
    ],
)
def test_a_move_between_sequences_is_refused(op: Op) -> None:
    """One sequence's explanation never depends on the others in its batch."""
    net = Calls(lambda self, x: op(x)).eval()
    x = signed(3, *SIGNAL)
    with pytest.raises(sp.SeqplrpError, match="sequences") as caught:
        back_through(net, x)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (lambda x: x.as_strided((x.shape[0], 3), (24, 6)), "as_strided"),
        (lambda x: torch.ones(6, 2).to(x.dtype).gather(0, x.argmax(2)[:, :2]), "depend on the input"),
        (lambda x: torch.ones(9).to(x.dtype).take(x.argmax(2)), "depend on the input"),
    ],
)
def test_what_can_not_be_moved_back_is_an_error_with_a_remedy(op: Op, text: str) -> None:
    net = Calls(lambda self, x: op(x)).eval()
    with pytest.raises(sp.SeqplrpError, match=text) as caught:
        make_plan(graph_of(net, signed(2, *SIGNAL)), net)
    assert caught.value.remedy


def test_relevance_comes_back_in_the_type_that_its_value_had() -> None:
    """A model that works in a wider type within."""

    def wide(self: nn.Module, x: Tensor) -> Tensor:
        h = self.layer(x.double()).to(torch.float32)
        return h.type_as(self.layer.weight).sum(2)

    net = seeded(lambda: Calls(wide, layer=nn.Linear(6, 2)))
    x = signed(2, *SIGNAL, dtype=torch.float32)
    found = back_through(net, x)
    assert found.relevance.dtype == torch.float32
    z = net.layer(x.double()).detach()
    assert_balanced(found, net(x).detach(), 1e-5)
    coefficient = (z / torch.where(z < 0, z - EPS, z + EPS)) @ net.layer.weight.detach()
    torch.testing.assert_close(found.relevance.double(), x.double() * coefficient, rtol=1e-4, atol=1e-5)


def test_a_factor_that_the_model_detached_is_held_constant() -> None:
    net = seeded(
        lambda: Calls(
            lambda self, x: self.one(x) * self.two(x).detach(), one=nn.Linear(6, 5, bias=False), two=nn.Linear(6, 5)
        )
    )
    x = signed(2, 6)
    R = signed(2, 5, seed=3)
    found = back_through(net, x, R)
    assert {row.layer for row in found.ledger.rows} == {"one"}
    alone = back_through(net.one, x, R)
    torch.testing.assert_close(found.relevance, alone.relevance)


def test_moves_written_differently_are_pruned_alike() -> None:
    """What only puts units into another order stands between a layer and the activation that is pruned before it."""

    def around(h: Tensor) -> Tensor:
        h = h.roll(3, -1).rot90(1, (1, 2)).rot90(-1, (1, 2)).double().roll(-3, -1)
        return F.pixel_unshuffle(F.pixel_shuffle(h.unsqueeze(-1).expand(-1, -1, -1, 1), 1), 1).squeeze(-1)

    def net_of(between: Op) -> nn.Module:
        return seeded(
            lambda: Calls(
                lambda self, x: self.last(between(self.first(x).relu())),
                first=nn.Conv1d(4, 6, 3),
                last=nn.Conv1d(6, 2, 3),
            )
        )

    x = one_hot(4, 20)
    for mode in ("lambda", "matrix"):
        pruning = Pruning(p=0.4, mode=mode)
        plain = back_through(net_of(lambda h: h), x, None, Epsilon(), pruning)
        turned = back_through(net_of(around), x, None, Epsilon(), pruning)
        torch.testing.assert_close(turned.relevance, plain.relevance, rtol=1e-10, atol=1e-12)
        assert any(row.op == "prune" for row in turned.ledger.rows)


def test_padding_by_hand_and_by_an_operation_agree() -> None:
    def by_hand(h: Tensor) -> Tensor:
        y = torch.zeros(h.shape[0], 3, h.shape[2] + 4, dtype=h.dtype)
        y[:, :, 2:-2] = h
        return y

    def net_of(padded: Op) -> nn.Module:
        return seeded(
            lambda: Calls(
                lambda self, x: self.last(padded(self.first(x).relu())),
                first=nn.Conv1d(4, 3, 3),
                last=nn.Conv1d(3, 2, 5),
            )
        )

    x = one_hot(3, 8)
    for rule in (Epsilon(), Gamma()):
        hand = back_through(net_of(by_hand), x, None, rule)
        pad = back_through(net_of(lambda h: F.pad(h, (2, 2))), x, None, rule)
        torch.testing.assert_close(hand.relevance, pad.relevance, rtol=1e-11, atol=1e-13)
        assert_balanced(hand, net_of(by_hand)(x).detach(), 1e-12)


@pytest.mark.parametrize("rule", [Gamma(), Flat()], ids=repr)
def test_constants_in_front_of_a_layer_take_the_share_that_its_rule_gives_them(rule) -> None:
    """Of either sign, so that nothing may be thought of as not negative."""
    net = seeded(
        lambda: Calls(
            lambda self, x: self.last(F.pad(self.first(x).relu(), (1, 2), value=-0.5).masked_fill(HOLES, -1.0)),
            first=nn.Conv1d(4, 3, 3),
            last=nn.Conv1d(3, 2, 9),
        )
    )
    x = one_hot(3, 8)
    found = back_through(net, x, None, {"first": Epsilon(), "last": rule})
    h = F.pad(net.first(x).relu().detach(), (1, 2), value=-0.5).masked_fill(HOLES, -1.0)
    constant = HOLES.clone()
    constant[:, [0, -1, -2]] = True
    start = net(x).detach()
    taken = sum(row.numbers["bias"] for row in found.ledger.rows if row.op in ("pad", "masked_fill"))
    W, b = matrix_of(net.last, (3, 9))
    for n in range(3):
        kind = "gamma" if isinstance(rule, Gamma) else "flat"
        r = share(kind, h[n].numpy().ravel(), W, b, start[n].numpy().ravel()).relevance.reshape(3, 9)
        assert float(taken[n]) == pytest.approx(r[constant.numpy()].sum(), abs=1e-10)
    assert_balanced(found, start, 1e-12)


HOLES = torch.zeros(3, 9, dtype=torch.bool)
HOLES[1, 4:6] = True


def test_values_that_a_move_holds_constant_are_kept_for_the_way_back() -> None:
    """A mask made from the input, read again on the way back, in a pass that frees what nothing needs."""
    net = seeded(
        lambda: Calls(
            lambda self, x: self.last(torch.where(self.first(x) > 0.1, self.first(x), -0.2).flip(-1)),
            first=nn.Conv1d(4, 3, 3),
            last=nn.Conv1d(3, 2, 2),
        )
    )
    x = one_hot(3, 8)
    plan = make_plan(graph_of(net, x), net)
    with torch.inference_mode():
        run = run_forward(plan, x)
        start = run.values[plan.graph.output].clone()
        found = propagate(plan, run, start)
    assert_balanced(found, start, 1e-12)
    assert found.relevance.any()
    torch.testing.assert_close(forward_of(net, x), net(x).detach(), rtol=1e-13, atol=1e-13)
