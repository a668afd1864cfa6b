"""Look-ups: a token's relevance is that of all that was looked up for it; an N's falls on no base."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine import Calls, back_through, graph_of, one_hot, seeded, signed
from handler_checks import assert_balanced, check_handler, operations_in, operations_of, trace_together
from naive_lrp import matrix_of, share
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import Epsilon, Gamma, Pruning, make_plan, propagate, run_forward
from seqplrp.lrp.ops import lookup

Forward = Callable[[nn.Module, Tensor], Tensor]


def tokens(n: int = 3, length: int = 7, classes: int = 4) -> Tensor:
    return torch.randint(0, classes, (n, length), generator=torch.Generator().manual_seed(1))


# of whole numbers (N, L)
OF_TOKENS: dict[str, tuple[Forward, int]] = {
    "embedding": (lambda s, x: s.table(x), 6),
    "embedding with padding": (lambda s, x: F.embedding(x, s.table.weight, padding_idx=0), 6),
    "embedding and positions": (
        lambda s, x: s.table(x) + F.embedding(torch.arange(x.shape[1]), s.positions.weight),
        6,
    ),
    "table by hand": (lambda s, x: s.table.weight[x], 6),
    "tokens moved": (lambda s, x: s.table(x.flip(1).roll(2, 1).flip(1).roll(-2, 1)).flip(1).roll(-4, 1).flip(1), 6),
    "tokens of another type": (lambda s, x: s.table(x.to(torch.int32)), 6),
    "one-hot code": (lambda s, x: F.one_hot(x, 6).to(s.table.weight.dtype) @ s.table.weight, 6),
}


@cache
def of_tokens() -> dict[str, nn.Module]:
    made = {
        name: seeded(
            lambda f=forward: Calls(
                lambda s, x: s.layer(f(s, x).transpose(1, 2)).relu().flatten(1),
                table=nn.Embedding(6, 5),
                positions=nn.Embedding(7, 5),
                layer=nn.Conv1d(5, 3, 3, padding=1),
            )
        )
        for name, (forward, _) in OF_TOKENS.items()
    }
    trace_together(list(made.values()), tokens(2, classes=6))
    return made


def explained(module: nn.Module, x: Tensor, R: Tensor, rule=None, pruning: Pruning | None = None):
    plan = make_plan(graph_of(module, x), module, rule)
    with torch.inference_mode():
        run = run_forward(plan, x)
        torch.testing.assert_close(run.values[plan.graph.output], module(x), rtol=1e-13, atol=1e-13)
        return propagate(plan, run, R, pruning)


@pytest.mark.parametrize("rule", [Epsilon(), Gamma()], ids=repr)
@pytest.mark.parametrize("name", list(OF_TOKENS))
def test_a_token_gets_the_sum_over_its_embedding(name: str, rule) -> None:
    """The relevance of what is looked up by the dense formula of the layer behind it, summed for each token."""
    module, (forward, classes) = of_tokens()[name], OF_TOKENS[name]
    x = tokens(classes=classes)
    with torch.no_grad():
        R = signed(*module(x).shape, seed=2) * (module(x) != 0)
        h = forward(module, x).transpose(1, 2)
    found = explained(module, x, R, rule)
    assert found.coefficient is None
    assert found.relevance.shape == x.shape
    assert found.relevance.dtype == torch.float64
    W, b = matrix_of(module.layer, (5, 7))
    for n in range(3):
        kind = "gamma" if isinstance(rule, Gamma) else "epsilon"
        r = share(kind, h[n].numpy().ravel(), W, b, R[n].numpy().ravel()).relevance.reshape(5, 7)
        if name == "embedding and positions":
            table = module.table(x[n]).t().detach().numpy()
            y = h[n].numpy()
            r = r * table / np.where(y < 0, y - 1e-6, y + 1e-6)
        expected = r.sum(0)
        if name == "tokens moved":
            expected = module_order(expected)
        if name == "one-hot code":  # one more layer of one input
            np.testing.assert_allclose(found.relevance[n].numpy(), expected, rtol=1e-3, atol=1e-3)
            continue
        np.testing.assert_allclose(found.relevance[n].numpy(), expected, rtol=1e-9, atol=1e-10)
    assert_balanced(found, R, 1e-12)


def module_order(r: np.ndarray) -> np.ndarray:
    """Undo the moves of the case that moves tokens there and back in part."""
    x = torch.from_numpy(r)
    return x.flip(0).roll(4, 0).flip(0).roll(2, 0).flip(0).roll(-2, 0).flip(0).numpy()


def test_tokens_are_pruned_and_batched_as_anything_is() -> None:
    module, x = of_tokens()["embedding"], tokens(classes=6)
    deep = seeded(
        lambda: Calls(
            lambda s, x: s.last(s.layer(s.table(x).transpose(1, 2)).relu().mean(-1)),
            table=nn.Embedding(6, 5),
            layer=nn.Conv1d(5, 8, 3),
            last=nn.Linear(8, 2),
        )
    )
    for net, pruning in ((module, None), (deep, Pruning(p=0.5)), (deep, Pruning(p=0.5, mode="matrix"))):
        R = net(x).detach()
        together = explained(net, x, R, None, pruning)
        for n in range(3):
            alone = explained(net, x[n : n + 1], R[n : n + 1], None, pruning)
            torch.testing.assert_close(alone.relevance[0], together.relevance[n], rtol=1e-10, atol=1e-12)
        assert_balanced(together, R, 1e-12)


# of one-hot codes (N, 4, L)
OF_BASES: dict[str, Forward] = {
    "argmax": lambda s, x: s.table(x.argmax(1)),
    "argmax, kept": lambda s, x: s.table(x.argmax(1, keepdim=True).squeeze(1)),
    "argmax from the end": lambda s, x: s.table(x.transpose(1, 2).argmax(-1)),
    "argmax, table by hand": lambda s, x: s.table.weight[x.argmax(1)],
    "argmax, one-hot again": lambda s, x: F.one_hot(x.argmax(1), 4).to(x.dtype) @ s.table.weight,
    "argmax, moved": lambda s, x: s.table(x.argmax(1).flip(1)).flip(1),
}


@cache
def of_bases() -> dict[str, nn.Module]:
    made = {
        name: seeded(
            lambda f=forward: Calls(
                lambda s, x: s.layer(f(s, x).transpose(1, 2)), table=nn.Embedding(4, 5), layer=nn.Conv1d(5, 3, 3)
            )
        )
        for name, forward in OF_BASES.items()
    }
    trace_together(list(made.values()), one_hot(2, 7))
    return made


@pytest.mark.parametrize("name", list(OF_BASES))
def test_the_base_that_is_present_gets_what_its_token_is_due(name: str) -> None:
    module = of_bases()[name]
    x = one_hot(3, 7)
    R = signed(3, 3, 5, seed=2)
    found = check_handler(module, x, R)
    assert (found.relevance[x == 0] == 0).all()
    h = module.table(x.argmax(1)).transpose(1, 2).detach()
    at_table = back_through(module.layer, h, R).relevance.sum(1)
    tolerance = 1e-3 if "again" in name else 1e-10  # one more layer of one input
    torch.testing.assert_close(found.relevance.sum(1), at_table, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", list(OF_BASES))
def test_an_unknown_base_gets_nothing_and_its_part_is_a_bias(name: str) -> None:
    """Argmax takes a column of zeros for an A; what is looked up there is due to no base."""
    module = of_bases()[name]
    x = one_hot(3, 7).clone()
    x[1, :, 2:4] = 0
    R = signed(3, 3, 5, seed=2)
    found = check_handler(module, x, R)
    assert torch.equal(found.relevance[1, :, 2:4], torch.zeros(4, 2, dtype=torch.float64))
    h = module.table(x.argmax(1)).transpose(1, 2).detach()
    at_table = back_through(module.layer, h, R).relevance.sum(1)
    row = next(row for row in found.ledger.rows if row.op == "argmax")
    tolerance = 1e-3 if "again" in name else 1e-10
    expected = torch.stack([at_table[0, :0].sum(), at_table[1, 2:4].sum(), at_table[2, :0].sum()])
    torch.testing.assert_close(row.numbers["bias"], expected, rtol=tolerance, atol=tolerance)
    assert float(row.numbers["bias"][1].abs()) > 1e-3


def test_an_argmax_of_what_a_layer_makes_picks_the_channel_that_won() -> None:
    """A discrete code in the middle of a network; the channel that won gets all, and hands it on."""
    net = seeded(
        lambda: Calls(
            lambda s, x: s.table(s.code(x).argmax(1)).sum(1), code=nn.Conv1d(4, 6, 1), table=nn.Embedding(6, 2)
        )
    )
    x = one_hot(3, 7)
    R = net(x).detach()
    found = check_handler(net, x, R)
    looked_up = net.table(net.code(x).argmax(1)).detach()
    y = looked_up.sum(1)
    at_token = (looked_up * (R / torch.where(y < 0, y - 1e-6, y + 1e-6)).unsqueeze(1)).sum(2)
    at_code = torch.zeros(3, 6, 7, dtype=torch.float64).scatter_(
        1, net.code(x).argmax(1, keepdim=True), at_token[:, None]
    )
    torch.testing.assert_close(found.relevance, back_through(net.code, x, at_code).relevance, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("forward", "x", "text"),
    [
        (lambda s, x: s.table(4 * x[:, 1:] + x[:, :-1]), tokens(), "computed from others"),
        (
            lambda s, x: s.table(4 * x[..., 1:].argmax(1) + x[..., :-1].argmax(1)),
            one_hot(3, 7),
            "computed from others",
        ),
        (lambda s, x: s.table(x.max(1).indices), one_hot(3, 7), "computed from others"),
        (lambda s, x: F.embedding(x, s.table.weight.detach().clone(), max_norm=1.0), tokens(), "max_norm"),
        (lambda s, x: s.table(x.argmax(0)), one_hot(3, 7), "mixes"),
        (lambda s, x: s.table(x.argmax()), one_hot(3, 7), "mixes"),
        (lambda s, x: s.bag(x), tokens(), "embedding_bag"),
    ],
)
def test_an_index_that_no_relevance_can_be_handed_to_is_an_error_with_a_remedy(forward, x: Tensor, text: str) -> None:
    net = seeded(lambda: Calls(forward, table=nn.Embedding(16, 3), bag=nn.EmbeddingBag(16, 3)))
    with pytest.raises(sp.SeqplrpError, match=text) as caught:
        back_through(net, x)
    assert caught.value.remedy


def test_every_operation_of_this_room_is_in_a_test() -> None:
    met = {op for m in of_tokens().values() for op in operations_in(m, tokens(2, classes=6))}
    met |= {op for m in of_bases().values() for op in operations_in(m, one_hot(2, 7))}
    assert operations_of(lookup) - met == {str(torch.ops.aten.embedding_renorm.default)}  # refused, above
