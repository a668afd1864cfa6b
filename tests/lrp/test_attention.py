"""Attention by either rule against dense NumPy, one head and one sequence at a time; torch's own attention modules."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine import Calls, back_through, graph_of, one_hot, seeded, signed
from handler_checks import assert_balanced, check_handler, in_float32, operations_in, operations_of, trace_together
from scipy import special
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import Epsilon, Gamma, Propagated, Pruning, Rule, make_plan, propagate, run_forward
from seqplrp.lrp.ops import attention

EPS = 1e-6
aten = torch.ops.aten
Array = np.ndarray
Op = Callable[[Tensor], Tensor]


def back(
    module: nn.Module, x: Tensor, R: Tensor | None = None, rule: Rule | None = None, attention: str = "attnlrp"
) -> Propagated:
    """Pass relevance back with attention weights as signals, unless said otherwise."""
    plan = make_plan(graph_of(module, x), module, rule, attention=attention)
    with torch.inference_mode():
        run = run_forward(plan, x)
        return propagate(plan, run, run.values[plan.graph.output] if R is None else R)


def stab(y: Array) -> Array:
    return y + EPS * np.where(y < 0, -1.0, 1.0)


def softmax_shares(scores: Array, R: Array) -> tuple[Array, float]:
    """AttnLRP's softmax rule over the last axis, entry by entry, and what it leaves over."""
    r = np.zeros_like(R)
    for index in np.ndindex(*R.shape[:-1]):
        s = special.softmax(scores[index])
        for i, x in enumerate(scores[index]):
            r[index][i] = 0 if s[i] == 0 else x * (R[index][i] - s[i] * R[index].sum())
    return r, float(R.sum() - r.sum())


def attention_shares(
    q: Array, k: Array, v: Array, R: Array, scale: float, mask: Array | None, *, held: bool
) -> tuple[dict[str, Array], dict[str, float]]:
    """Share R (L, E) of one head of one sequence among q (L, E), k (S, E) and v (S, E), in loops."""
    scores = scale * q @ k.T + (0 if mask is None else mask)
    weights = special.softmax(scores, axis=-1)
    y = weights @ v
    u = R / stab(y)
    parts = 1 if held else 2
    found = {"q": np.zeros_like(q), "k": np.zeros_like(k), "v": np.zeros_like(v)}
    taken = {"bias": 0.0, "stabiliser": float(R.sum() - (u * y).sum())}
    of_weights = np.zeros_like(weights)
    for i in range(len(q)):
        for j in range(len(k)):
            contribution = weights[i, j] * v[j] * u[i] / parts
            found["v"][j] += contribution
            of_weights[i, j] = contribution.sum()
    if held:
        return found, taken
    of_scores, taken["bias"] = softmax_shares(scores, of_weights)
    for i in range(len(q)):
        for j in range(len(k)):
            if np.isneginf(scores[i, j]):
                continue
            share = of_scores[i, j] / stab(scores[i, j])
            found["q"][i] += scale * q[i] * k[j] * share / 2
            found["k"][j] += scale * q[i] * k[j] * share / 2
            taken["bias"] += 0 if mask is None else mask[i, j] * share
            taken["stabiliser"] += of_scores[i, j] - scores[i, j] * share
    return found, taken


CAUSAL = np.where(np.tril(np.ones((5, 5))) > 0, 0.0, -np.inf)
SLOPES = np.abs(np.arange(5)[:, None] - np.arange(5)) * -0.3
BLOCK = np.where(np.arange(25).reshape(5, 5) % 4 == 1, -np.inf, 0.0)
SCALE = 4**-0.5


def sdpa(**options) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    def apply(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        cast = {
            key: v.to(q.dtype) if isinstance(v, Tensor) and v.is_floating_point() else v for key, v in given.items()
        }
        return F.scaled_dot_product_attention(q, k, v, **cast)

    given = options
    return apply


# an attention of queries, keys and values (N, H, L, 4); its scale and the mask that it adds
FUSED: dict[str, tuple[Callable[[Tensor, Tensor, Tensor], Tensor], float, Array | None]] = {
    "plain": (sdpa(), SCALE, None),
    "scaled": (sdpa(scale=0.3), 0.3, None),
    "causal": (sdpa(is_causal=True), SCALE, CAUSAL),
    "a mask of numbers": (sdpa(attn_mask=torch.from_numpy(SLOPES)), SCALE, SLOPES),
    "a mask of minus infinity": (sdpa(attn_mask=torch.from_numpy(BLOCK)), SCALE, BLOCK),
    "a mask of truth": (sdpa(attn_mask=torch.from_numpy(BLOCK == 0)), SCALE, BLOCK),
    "written out": (lambda q, k, v: (SCALE * q @ k.mT).softmax(-1) @ v, SCALE, None),
    "written with a mask that is added": (
        lambda q, k, v: (SCALE * q @ k.mT + torch.from_numpy(CAUSAL).to(q.dtype)).softmax(-1) @ v,
        SCALE,
        CAUSAL,
    ),
    "written with a mask that fills": (
        lambda q, k, v: (SCALE * q @ k.mT).masked_fill(torch.from_numpy(BLOCK != 0), -torch.inf).softmax(-1) @ v,
        SCALE,
        BLOCK,
    ),
    "written as einsum": (
        lambda q, k, v: torch.einsum("nhij,nhjd->nhid", torch.einsum("nhid,nhjd->nhij", q * SCALE, k).softmax(-1), v),
        SCALE,
        None,
    ),
    "math": (lambda q, k, v: aten._scaled_dot_product_attention_math(q, k, v, is_causal=True)[0], SCALE, CAUSAL),
    "flash on a CPU": (
        lambda q, k, v: aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, False, scale=0.3)[0],
        0.3,
        None,
    ),
}


def heads(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Take an input (N, 6, 5, 4) for two heads' queries, keys and values."""
    return x[:, :2], x[:, 2:4], x[:, 4:]


@cache
def fused() -> dict[str, nn.Module]:
    made = {name: Calls(lambda self, x, op=op: op(*heads(x))).eval() for name, (op, _, _) in FUSED.items()}
    trace_together(list(made.values()), signed(2, 6, 5, 4))
    return made


@pytest.mark.parametrize("rule", ["constant", "attnlrp"])
@pytest.mark.parametrize("name", list(FUSED))
def test_attention_shares_as_its_dense_formula_does(name: str, rule: str) -> None:
    """Held constant, weights hand all to the values; under AttnLRP, half goes through the softmax to the scores."""
    module, (_, scale, mask) = fused()[name], FUSED[name]
    x, R = signed(2, 6, 5, 4, seed=1), signed(2, 2, 5, 4, seed=2)
    found = check_handler(module, x, R) if rule == "constant" else back(module, x, R)
    total: dict[str, Array] = {"bias": np.zeros(2), "stabiliser": np.zeros(2)}
    # written out, sums are stabilised one after the other; the difference is of the stabiliser's size
    loose = {"rtol": 1e-3, "atol": 1e-3} if name.startswith("written") else {"rtol": 1e-9, "atol": 1e-11}
    for n in range(2):
        for h in range(2):
            q, k, v = (part[n, h].numpy() for part in heads(x))
            expected, taken = attention_shares(q, k, v, R[n, h].numpy(), scale, mask, held=rule == "constant")
            for place, part in enumerate("qkv"):
                np.testing.assert_allclose(found.relevance[n, 2 * place + h].numpy(), expected[part], **loose)
            for column, value in taken.items():
                total[column][n] += value
    for column, value in total.items():
        summed = sum(row.numbers.get(column, torch.zeros(2)) for row in found.ledger.rows)
        np.testing.assert_allclose(summed.numpy(), value, **{**loose, "atol": max(loose["atol"], 1e-10)})
    assert_balanced(found, R, 1e-12)


@pytest.mark.parametrize("name", list(FUSED))
def test_under_attnlrp_the_ledger_is_balanced_in_float32_and_each_sequence_explained_alone(name: str) -> None:
    module = fused()[name]
    x = signed(3, 6, 5, 4, seed=1)
    whole, alone = back(module, x), back(module, x[1:2])
    torch.testing.assert_close(whole.relevance[1:2], alone.relevance, rtol=1e-12, atol=1e-13)
    small = copy.deepcopy(module).float()
    plan = make_plan(in_float32(graph_of(module, x)), small, attention="attnlrp")
    with torch.inference_mode():
        run = run_forward(plan, x.float())
        start = run.values[plan.graph.output]
        found = propagate(plan, run, start)
    assert found.relevance.dtype == torch.float32
    assert_balanced(found, start, 1e-5)


def test_weights_are_worked_out_in_parts_where_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sequence at a time gives what all together do."""
    x = signed(5, 6, 5, 4, seed=1)
    for rule in ("constant", "attnlrp"):
        together = back(fused()["a mask of numbers"], x, None, attention=rule)
        with monkeypatch.context() as patch:
            patch.setattr(attention, "_WEIGHTS_AT_A_TIME", 2 * 5 * 5 * 2)
            parts = back(fused()["a mask of numbers"], x, None, attention=rule)
        torch.testing.assert_close(parts.relevance, together.relevance, rtol=1e-13, atol=1e-14)
        for one, other in zip(parts.ledger.rows, together.ledger.rows, strict=True):
            torch.testing.assert_close(one.numbers, other.numbers, rtol=1e-11, atol=1e-12)


# heads that share keys and values, learned queries: what broadcasts, or is no input
SHARED: dict[str, tuple[Op, tuple[int, ...]]] = {
    "grouped queries": (
        lambda x: F.scaled_dot_product_attention(x, x[:, :2], x[:, 2:].flip(2), enable_gqa=True),
        (4, 5, 4),
    ),
    "one head's keys for all": (
        lambda x: F.scaled_dot_product_attention(x, x[:, :1], x[:, 3:], enable_gqa=True),
        (4, 5, 4),
    ),
    "learned queries": (
        lambda x: F.scaled_dot_product_attention(QUERIES.to(x.dtype).expand(x.shape[0], 4, 2, 4), x, x.flip(2)),
        (4, 5, 4),
    ),
    "learned keys": (
        lambda x: F.scaled_dot_product_attention(x, QUERIES.to(x.dtype).expand(x.shape[0], 4, 2, 4), x[:, :, :2]),
        (4, 5, 4),
    ),
    "learned values": (
        lambda x: F.scaled_dot_product_attention(x, x.flip(2), VALUES.to(x.dtype).expand(x.shape[0], 4, 5, 4)),
        (4, 5, 4),
    ),
    "of itself": (lambda x: F.scaled_dot_product_attention(x, x, x), (4, 5, 4)),
    "a query that sees nothing": (
        lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=torch.arange(25).view(5, 5) < 20),
        (4, 5, 4),
    ),
    "one head": (lambda x: F.scaled_dot_product_attention(x, x.flip(1), x), (5, 4)),
    "a mask made from the input": (
        lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=(x[..., 0] > -1)[:, :, None, :]),
        (4, 5, 4),
    ),
}
QUERIES, VALUES = signed(1, 4, 2, 4, seed=8), signed(1, 4, 5, 4, seed=9)


@cache
def shared() -> dict[str, nn.Module]:
    made = {name: Calls(lambda self, x, op=op: op(x)).eval() for name, (op, _) in SHARED.items()}
    for shape in ((4, 5, 4), (5, 4)):
        trace_together([made[name] for name in made if SHARED[name][1] == shape], signed(2, *shape))
    return made


def by_autograd(op: Op, x: Tensor, R: Tensor) -> Tensor:
    """Share R with weights held constant, by autograd of the same attention with queries and keys cut off."""
    real = F.scaled_dot_product_attention
    leaf = x.clone().requires_grad_()
    try:
        F.scaled_dot_product_attention = lambda q, k, v, **how: real(q.detach(), k.detach(), v, **how)
        y = op(leaf)
        (grad,) = torch.autograd.grad(y, leaf, R / torch.where(y < 0, y - EPS, y + EPS).detach())
    finally:
        F.scaled_dot_product_attention = real
    return x * grad


@pytest.mark.parametrize("name", list(SHARED))
def test_heads_that_share_and_parts_that_are_constants(name: str) -> None:
    module, (op, shape) = shared()[name], SHARED[name]
    x = signed(3, *shape, seed=1)
    R = signed(*module(x).shape, seed=2)
    found = check_handler(module, x, R)
    if name != "learned values":  # there is nothing but the weights
        torch.testing.assert_close(found.relevance, by_autograd(op, x, R), rtol=1e-10, atol=1e-11)
    signal = back(module, x, R)
    assert_balanced(signal, R, 1e-12)
    differs = not torch.allclose(signal.relevance, found.relevance)
    assert differs == (name != "learned values")


def test_attention_to_constants_alone_goes_through_the_weights() -> None:
    """Then they are no gate: no value depends on the input."""
    module = shared()["learned values"]
    x = signed(2, 4, 5, 4, seed=1)
    R = signed(2, 4, 5, 4, seed=2)
    found = back(module, x, R, attention="constant")
    total = np.zeros((4, 5, 4))
    for h in range(4):
        q, k, v = x[0, h].numpy(), x[0, h].numpy()[::-1], VALUES[0, h].numpy()
        # all of the product is due to the weights, so twice what they get where values share in it
        expected, _ = attention_shares(q, k, v, R[0, h].numpy(), SCALE, None, held=False)
        total[h] = 2 * (expected["q"] + expected["k"][::-1])
    np.testing.assert_allclose(found.relevance[0].numpy(), total, rtol=1e-9, atol=1e-11)


SOFT: dict[str, Op] = {
    "softmax": lambda x: x.softmax(-1),
    "softmax of an inner axis": lambda x: x.softmax(1),
    "softmax in another type": lambda x: x.softmax(-1, dtype=torch.float64).to(x.dtype),
    "softmax, the other": lambda x: aten._softmax(x, -1, False),
    "softmax, safe": lambda x: aten._safe_softmax(x, -1),
    "softmax of what is masked": lambda x: x.masked_fill(torch.arange(6) > 3, float("-inf")).softmax(-1),
}


@cache
def soft() -> dict[str, nn.Module]:
    made = {
        **{name: Calls(lambda self, x, op=op: op(x).flip(1)).eval() for name, op in SOFT.items()},
        "log_softmax": Calls(lambda self, x: x.log_softmax(-1).flip(1)).eval(),
        "log_softmax, the other": Calls(lambda self, x: aten._log_softmax(x, 1, False).flip(1)).eval(),
    }
    trace_together(list(made.values()), signed(2, 4, 6))
    return made


@pytest.mark.parametrize("name", list(SOFT))
def test_a_softmax_that_relevance_reaches_shares_it_by_its_taylor_decomposition(name: str) -> None:
    module = soft()[name]
    x, R = signed(3, 4, 6, seed=1), signed(3, 4, 6, seed=2)
    found = check_handler(module, x, R)
    scores, arrived = x.numpy(), R.flip(1).numpy()
    if "masked" in name:
        scores = np.where(np.arange(6) > 3, -np.inf, scores)
    turn = "inner" in name
    for n in range(3):
        a, b = (array[n].T if turn else array[n] for array in (scores, arrived))
        expected, bias = softmax_shares(np.ascontiguousarray(a), np.ascontiguousarray(b))
        expected = expected.T if turn else expected
        np.testing.assert_allclose(found.relevance[n].numpy(), expected, rtol=1e-10, atol=1e-12)
        row = next(row for row in found.ledger.rows if "softmax" in row.op)
        if "masked" in name:  # what arrives at a weight of 0 is left over, too
            bias = float(arrived[n].sum() - expected.sum())
        assert float(row.numbers["bias"][n]) == pytest.approx(bias, rel=1e-10, abs=1e-11)


@pytest.mark.parametrize(("name", "axis"), [("log_softmax", -1), ("log_softmax, the other", 1)])
def test_a_log_softmax_holds_its_normaliser_constant(name: str, axis: int) -> None:
    module = soft()[name]
    x, R = signed(3, 4, 6, seed=1), signed(3, 4, 6, seed=2)
    found = check_handler(module, x, R)
    norm = special.logsumexp(x.numpy(), axis=axis, keepdims=True)
    quotient = R.flip(1).numpy() / stab(x.numpy() - norm)
    np.testing.assert_allclose(found.relevance.numpy(), x.numpy() * quotient, rtol=1e-9, atol=1e-11)
    expected = (-norm * quotient).sum((1, 2))
    np.testing.assert_allclose(found.ledger.rows[0].numbers["bias"].numpy(), expected, rtol=1e-9, atol=1e-10)


def test_every_operation_of_this_room_is_in_a_test() -> None:
    cases = [(fused(), (6, 5, 4)), (soft(), (4, 6))]
    met = {op for made, shape in cases for m in made.values() for op in operations_in(m, signed(2, *shape))}
    on_gpus = {
        "aten._scaled_dot_product_flash_attention.default",
        "aten._scaled_dot_product_efficient_attention.default",
        "aten._scaled_dot_product_cudnn_attention.default",
    }
    assert operations_of(attention) - met == on_gpus


class Block(nn.Module):
    """One of torch's attention modules behind a convolution, and a score for two classes."""

    def __init__(self, build: Callable[[], nn.Module], run: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 8, 3)
        self.attention = build()
        self.last = nn.Linear(8, 2)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.run(self.attention, self.first(x).relu().transpose(1, 2)).mean(1))


def length_first(call: Callable[[nn.Module, Tensor], Tensor]) -> Callable[[nn.Module, Tensor], Tensor]:
    return lambda m, h: call(m, h.transpose(0, 1)).transpose(0, 1)


def attend(m: nn.Module, h: Tensor, **how) -> Tensor:
    return m(h, h, h, **how)[0]


MODULES: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module, Tensor], Tensor]]] = {
    "attention": (lambda: nn.MultiheadAttention(8, 2, batch_first=True), attend),
    "attention without weights": (
        lambda: nn.MultiheadAttention(8, 2, batch_first=True),
        lambda m, h: attend(m, h, need_weights=False),
    ),
    "attention, length first": (lambda: nn.MultiheadAttention(8, 2), length_first(attend)),
    "attention, length first, without weights": (
        lambda: nn.MultiheadAttention(8, 4),
        length_first(lambda m, h: attend(m, h, need_weights=False)),
    ),
    "attention with more keys": (
        lambda: nn.MultiheadAttention(8, 2, batch_first=True, add_bias_kv=True, add_zero_attn=True),
        attend,
    ),
    "attention of keys of another width": (
        lambda: nn.MultiheadAttention(8, 2, kdim=3, vdim=5, batch_first=True),
        lambda m, h: m(h, h[..., :3], h[..., 3:])[0],
    ),
    "attention with padding": (
        lambda: nn.MultiheadAttention(8, 2, batch_first=True),
        lambda m, h: attend(m, h, key_padding_mask=h.sum(-1) < 0.2),
    ),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), lambda m, h: m(h)),
    "encoder layer, length first": (lambda: nn.TransformerEncoderLayer(8, 2, 12), length_first(lambda m, h: m(h))),
    "encoder layer, norm first, causal": (
        lambda: nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, norm_first=True, activation="gelu"),
        lambda m, h: m(h, src_mask=nn.Transformer.generate_square_subsequent_mask(6), is_causal=True),
    ),
    "encoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), 2, nn.LayerNorm(8)),
        lambda m, h: m(h),
    ),
    "encoder, length first, with padding": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12), 2, enable_nested_tensor=False),
        lambda m, h: m(h.transpose(0, 1), src_key_padding_mask=h.sum(-1) < 0.2).transpose(0, 1),
    ),
    "decoder layer": (lambda: nn.TransformerDecoderLayer(8, 2, 12, batch_first=True), lambda m, h: m(h, h.flip(1))),
}


@cache
def blocks() -> dict[str, nn.Module]:
    made = {name: seeded(lambda b=build, r=run: Block(b, r), seed=2) for name, (build, run) in MODULES.items()}
    for module in made.values():
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):  # torch starts those of attention at 0
                nn.init.normal_(parameter, 0.0, 0.3, generator=torch.Generator().manual_seed(len(name)))
    trace_together(list(made.values()), one_hot(2, 8))
    return made


@pytest.mark.parametrize("name", list(MODULES))
def test_attention_modules_explain_with_the_ledger_balanced(name: str) -> None:
    """However torch exports them: packed projections, fused attention, the batch in front, behind, or among heads."""
    module, x = blocks()[name], one_hot(3, 8)
    start = module(x).detach()
    found = check_handler(module, x, start)
    assert found.coefficient is not None
    assert_balanced(back(module, x), start, 1e-12)


@pytest.mark.parametrize("attention", ["constant", "attnlrp"])
@pytest.mark.parametrize("name", [name for name in MODULES if "length first" in name])
def test_sums_are_those_of_each_sequence_where_the_batch_does_not_come_first(name: str, attention: str) -> None:
    module, x = blocks()[name], one_hot(3, 8)
    together = back(module, x, None, Gamma(), attention)
    for n in range(3):
        alone = back(module, x[n : n + 1], None, Gamma(), attention)
        for row, own in zip(together.ledger.rows, alone.ledger.rows, strict=True):
            assert (row.layer, row.op) == (own.layer, own.op)
            for column, numbers in row.numbers.items():
                scale = max(1.0, float(row.numbers["size"][n]))
                assert float(numbers[n]) == pytest.approx(float(own.numbers[column][0]), abs=1e-11 * scale), column


@pytest.mark.parametrize("mode", ["lambda", "matrix"])
@pytest.mark.parametrize("name", list(MODULES))
def test_each_sequence_is_pruned_by_itself(name: str, mode: str) -> None:
    module, x = blocks()[name], one_hot(3, 8)
    pruning = Pruning(p=0.4, mode=mode)
    together = back_through(module, x, None, Epsilon(), pruning)
    plain = back_through(module, x, None, Epsilon())
    assert not torch.allclose(together.relevance, plain.relevance)
    for n in range(3):
        alone = back_through(module, x[n : n + 1], None, Epsilon(), pruning)
        torch.testing.assert_close(together.relevance[n], alone.relevance[0], rtol=1e-9, atol=1e-11)
        pruned = [float(row.numbers["pruned"][n]) for row in together.ledger.rows if row.op == "prune"]
        own = [float(row.numbers["pruned"][0]) for row in alone.ledger.rows if row.op == "prune"]
        assert pruned == pytest.approx(own, rel=1e-9, abs=1e-11)
        assert len(pruned) >= 3


def test_an_attention_module_is_its_dense_formula() -> None:
    """nn.MultiheadAttention end to end in NumPy: projections under epsilon, heads one by one, both rules."""
    net = seeded(lambda: Calls(lambda self, x: self.a(x, x, x, need_weights=False)[0], a=nn.MultiheadAttention(8, 2)))
    net.a.batch_first = True
    nn.init.normal_(net.a.in_proj_bias, 0.0, 0.3, generator=torch.Generator().manual_seed(1))
    x, R = signed(2, 5, 8, seed=1), signed(2, 5, 8, seed=2)
    W = net.a.in_proj_weight.detach().numpy()
    b = net.a.in_proj_bias.detach().numpy()
    Wo, bo = net.a.out_proj.weight.detach().numpy(), net.a.out_proj.bias.detach().numpy()
    for held in (True, False):
        found = back(net, x, R, attention="constant" if held else "attnlrp")
        for n in range(2):
            a = x[n].numpy()
            q, k, v = np.split(a @ W.T + b, 3, axis=1)
            joined = np.concatenate(
                [
                    special.softmax(q[:, s] @ k[:, s].T / math.sqrt(4), axis=-1) @ v[:, s]
                    for s in (slice(0, 4), slice(4, 8))
                ],
                axis=1,
            )
            at_heads = joined * ((R[n].numpy() / stab(joined @ Wo.T + bo)) @ Wo)
            into = {"q": np.zeros_like(q), "k": np.zeros_like(k), "v": np.zeros_like(v)}
            for s in (slice(0, 4), slice(4, 8)):
                shares, _ = attention_shares(q[:, s], k[:, s], v[:, s], at_heads[:, s], 0.5, None, held=held)
                for part, value in shares.items():
                    into[part][:, s] = value
            projected = np.concatenate([into["q"], into["k"], into["v"]], axis=1)
            expected = a * ((projected / stab(a @ W.T + b)) @ W)
            np.testing.assert_allclose(found.relevance[n].numpy(), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.1), "dropout of the attention weights"),
        (lambda x: F.scaled_dot_product_attention(x[:, 0], x[:, 0], x[:, 0]), "mixes the sequences"),
    ],
)
def test_attention_that_can_not_be_explained_is_an_error_with_a_remedy(op: Op, text: str) -> None:
    net = Calls(lambda self, x: op(x)).eval()
    with pytest.raises(sp.SeqplrpError, match=text) as caught:
        make_plan(graph_of(net, signed(2, 5, 4)), net)
    assert caught.value.remedy


def test_the_plan_says_which_rule_attention_has() -> None:
    module, x = blocks()["encoder layer"], one_hot(2, 8)
    for rule, said in (("constant", "weights held constant"), ("attnlrp", "AttnLRP attention")):
        table = make_plan(graph_of(module, x), module, attention=rule).table()
        assert [row[3] for row in table if "attention" in row[2]] == [said]
