"""Elementwise activations: forward as NumPy has it, relevance back as METHODS.md's formula has it.

Each function is written once more in NumPy; where f(0) = 0 all relevance passes, elsewhere (f(z) - f(0)) / f(z) of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine import Calls, back_through, graph_of, seeded, signed
from handler_checks import check_handler, operations_in, operations_of, trace_together, with_zeros
from naive_lrp import matrix_of, share
from scipy import special
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import AlphaBeta, Epsilon, Gamma, ZPlus, make_plan, propagate, run_forward
from seqplrp.lrp.ops import activations
from seqplrp.lrp.ops.elementwise import Relu
from seqplrp.lrp.rules import Rule

EPS = 1e-6
aten = torch.ops.aten
Op = Callable[[Tensor], Tensor]
Function = Callable[[np.ndarray], np.ndarray]
SLOPES = torch.tensor([0.3, -0.2, 0.0, 1.5], dtype=torch.float64)
LOW = np.array([[-1.0], [0.25], [0.0], [-2.0]])

BASES = np.array([[-1.0], [2.0], [-2.0], [1.0]])


class Held(nn.Module):
    """A function of the input and of a constant that the module holds, in the module's precision."""

    def __init__(self, constant: np.ndarray, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.register_buffer("constant", torch.from_numpy(constant))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.constant)


def prelu() -> nn.Module:
    module = nn.PReLU(4).double()
    module.weight.data.copy_(SLOPES)
    return module


def elu(z: np.ndarray, alpha: float, scale: float = 1.0, steep: float = 1.0) -> np.ndarray:
    return scale * np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0) * steep))


def gelu_tanh(z: np.ndarray) -> np.ndarray:
    return 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def softplus(z: np.ndarray, beta: float = 1.0) -> np.ndarray:
    return np.logaddexp(0, beta * z) / beta


# on inputs (N, 4, 6) of both signs
ANYWHERE: dict[str, tuple[Op, Function]] = {
    "leaky_relu": (nn.LeakyReLU(0.1), lambda z: np.where(z > 0, z, 0.1 * z)),
    "leaky_relu in place": (
        lambda x: F.leaky_relu_(x.clone(), 0.2),
        lambda z: np.where(z > 0, z, 0.2 * z),
    ),
    "leaky_relu, slope below 0": (nn.LeakyReLU(-0.5), lambda z: np.where(z > 0, z, -0.5 * z)),
    "prelu": (prelu(), lambda z: np.where(z > 0, z, SLOPES.numpy()[:, None] * z)),
    "prelu, its kernel": (
        Held(SLOPES.view(1, 4, 1).numpy(), lambda x, slopes: aten._prelu_kernel(x, slopes)),
        lambda z: np.where(z > 0, z, SLOPES.numpy()[:, None] * z),
    ),
    "rrelu": (nn.RReLU(0.1, 0.4).eval(), lambda z: np.where(z > 0, z, 0.25 * z)),
    "elu": (nn.ELU(0.7), lambda z: elu(z, 0.7)),
    "elu, scale below 0": (lambda x: aten.elu(x, 1.0, -0.8, 1.0), lambda z: elu(z, 1.0, -0.8)),
    "elu with scales": (lambda x: aten.elu(x, 1.3, 0.8, 2.0), lambda z: elu(z, 1.3, 0.8, 2.0)),
    "celu": (nn.CELU(1.3), lambda z: elu(z, 1.3, steep=1 / 1.3)),
    "selu": (nn.SELU(), lambda z: elu(z, 1.6732632423543772, 1.0507009873554805)),
    "gelu": (nn.GELU(), lambda z: z * special.ndtr(z)),
    "gelu by tanh": (nn.GELU("tanh"), gelu_tanh),
    "silu": (nn.SiLU(), lambda z: z * special.expit(z)),
    "mish": (nn.Mish(), lambda z: z * np.tanh(softplus(z))),
    "hardswish": (nn.Hardswish(), lambda z: z * np.clip(z + 3, 0, 6) / 6),
    "tanh": (nn.Tanh(), np.tanh),
    "erf": (torch.erf, special.erf),
    "erf, the other": (torch.special.erf, special.erf),
    "atan": (torch.atan, np.arctan),
    "atan, the other": (torch.arctan, np.arctan),
    "sinh": (torch.sinh, np.sinh),
    "asinh": (torch.asinh, np.arcsinh),
    "asinh, the other": (torch.arcsinh, np.arcsinh),
    "expm1": (torch.expm1, np.expm1),
    "expm1, the other": (torch.special.expm1, np.expm1),
    "sin": (torch.sin, np.sin),
    "tan": (torch.tan, np.tan),
    "neg": (lambda x: -x, lambda z: -z),
    "neg, the other": (torch.negative, np.negative),
    "abs": (torch.abs, np.abs),
    "abs, the other": (torch.absolute, np.abs),
    "square": (torch.square, np.square),
    "sign": (torch.sign, np.sign),
    "sgn": (torch.sgn, np.sign),
    "floor": (torch.floor, np.floor),
    "ceil": (torch.ceil, np.ceil),
    "round": (torch.round, np.round),
    "trunc": (torch.trunc, np.trunc),
    "trunc, the other": (torch.fix, np.trunc),
    "nan_to_num": (torch.nan_to_num, np.nan_to_num),
    "threshold below 0": (nn.Threshold(-0.5, 0.3), lambda z: np.where(z > -0.5, z, 0.3)),
    "threshold at 0": (nn.Threshold(0, 0), lambda z: np.maximum(z, 0)),
    "threshold at 0 to a bias": (nn.Threshold(0, 0.7), lambda z: np.where(z > 0, z, 0.7)),
    "threshold above 0 to 0": (nn.Threshold(0.5, 0), lambda z: np.where(z > 0.5, z, 0)),
    "threshold above 0": (nn.Threshold(0.5, -2.0), lambda z: np.where(z > 0.5, z, -2.0)),
    "threshold to a bias": (nn.Threshold(0.5, 2.0), lambda z: np.where(z > 0.5, z, 2.0)),
    "hardtanh": (nn.Hardtanh(), lambda z: np.clip(z, -1, 1)),
    "relu6": (nn.ReLU6(), lambda z: np.clip(z, 0, 6)),
    "relu6 by a function": (F.relu6, lambda z: np.clip(z, 0, 6)),
    "clip": (lambda x: x.clip(-0.4, 0.7), lambda z: np.clip(z, -0.4, 0.7)),
    "clip by tensors": (Held(LOW, lambda x, low: torch.clip(x, low, low + 2)), lambda z: np.clip(z, LOW, LOW + 2)),
    "larger than a number": (Held(np.array(0.3), torch.maximum), lambda z: np.maximum(z, 0.3)),
    "smaller than a number": (Held(np.array(0.3), lambda x, c: torch.minimum(c, x)), lambda z: np.minimum(z, 0.3)),
    "clamp": (lambda x: x.clamp(-0.4, 0.7), lambda z: np.clip(z, -0.4, 0.7)),
    "clamp from below": (lambda x: x.clamp(min=0), lambda z: np.maximum(z, 0)),
    "clamp from above": (lambda x: x.clamp(max=0.5), lambda z: np.minimum(z, 0.5)),
    "clamp_min": (lambda x: torch.clamp_min(x, -0.3), lambda z: np.maximum(z, -0.3)),
    "clamp_max": (lambda x: torch.clamp_max(x, 0.3), lambda z: np.minimum(z, 0.3)),
    "clamp above 0": (lambda x: x.clamp(0.25, 1), lambda z: np.clip(z, 0.25, 1)),
    "clamp below 0": (lambda x: x.clamp(max=-0.25), lambda z: np.minimum(z, -0.25)),
    "clamp by tensors": (Held(LOW, lambda x, low: torch.clamp(x, low, low + 2)), lambda z: np.clip(z, LOW, LOW + 2)),
    "clamp_min by a tensor": (Held(LOW, lambda x, low: torch.clamp_min(x, low)), lambda z: np.maximum(z, LOW)),
    "clamp_max by a tensor": (Held(LOW, lambda x, low: torch.clamp_max(x, low)), lambda z: np.minimum(z, LOW)),
    "exp": (torch.exp, np.exp),
    "exp2": (torch.exp2, np.exp2),
    "exp2, the other": (torch.special.exp2, np.exp2),
    "cosh": (torch.cosh, np.cosh),
    "cos": (torch.cos, np.cos),
    "sinc": (torch.sinc, np.sinc),
    "sinc, the other": (lambda x: aten.special_sinc(x), np.sinc),
    "softplus": (nn.Softplus(2.0, threshold=30), lambda z: softplus(z, 2.0)),
    "sigmoid": (torch.sigmoid, special.expit),
    "sigmoid, the other": (lambda x: aten.special_expit(x), special.expit),
    "hardsigmoid": (nn.Hardsigmoid(), lambda z: np.clip(z + 3, 0, 6) / 6),
    "log_sigmoid": (nn.LogSigmoid(), special.log_expit),
    "log_sigmoid, forward": (lambda x: aten.log_sigmoid_forward(x)[0], special.log_expit),
    "erfc": (torch.erfc, special.erfc),
    "erfc, the other": (torch.special.erfc, special.erfc),
    "square by pow": (lambda x: x**2, np.square),
    "cube": (lambda x: x.pow(3), lambda z: z**3),
    "power 0": (lambda x: x**0, np.ones_like),
    "power by a tensor": (
        Held(2 * np.arange(4)[:, None], lambda x, c: x**c),
        lambda z: z ** (2 * np.arange(4)[:, None]),
    ),
    "base of a power": (lambda x: 3.0**x, lambda z: 3.0**z),
    "base of a power by a tensor": (Held(LOW + 4, lambda x, base: base**x), lambda z: (LOW + 4) ** z),
}

# on part of the numbers alone: how inputs of both signs are brought there
SOMEWHERE: dict[str, tuple[Op, Function, Op]] = {
    "sqrt": (torch.sqrt, np.sqrt, torch.abs),
    "root by pow": (lambda x: x**0.5, np.sqrt, torch.abs),
    "log1p": (torch.log1p, np.log1p, torch.abs),
    "log1p, the other": (torch.special.log1p, np.log1p, torch.abs),
    "log1p below 0": (torch.log1p, np.log1p, lambda x: 0.9 * x.tanh()),
    "asin": (torch.asin, np.arcsin, lambda x: 0.9 * x.tanh()),
    "acos": (torch.acos, np.arccos, lambda x: 0.9 * x.tanh()),
    "asin, the other": (torch.arcsin, np.arcsin, lambda x: 0.9 * x.tanh()),
    "acos, the other": (torch.arccos, np.arccos, lambda x: 0.9 * x.tanh()),
    "atanh, the other": (torch.arctanh, np.arctanh, lambda x: 0.9 * x.tanh()),
    "base of a power, below 0": (Held(BASES, lambda x, base: base**x), lambda z: BASES**z, torch.round),
    "atanh": (torch.atanh, np.arctanh, lambda x: 0.9 * x.tanh()),
    "erfinv": (torch.erfinv, special.erfinv, lambda x: 0.9 * x.tanh()),
}

# infinite at 0: all passes, against the reference 1
LOGARITHMS: dict[str, tuple[Op, Function, Op]] = {
    "log": (torch.log, np.log, torch.exp),
    "log2": (torch.log2, np.log2, torch.exp),
    "log10": (torch.log10, np.log10, torch.exp),
}

CASES = {name: (op, f, lambda x: x) for name, (op, f) in ANYWHERE.items()} | SOMEWHERE | LOGARITHMS


def as_module(op: Op) -> nn.Module:
    return op.eval() if isinstance(op, nn.Module) else Calls(lambda self, x: op(x)).eval()


@cache
def modules() -> dict[str, nn.Module]:
    built = {name: as_module(op) for name, (op, _, _) in CASES.items()}
    trace_together(list(built.values()), signed(2, 4, 6))
    return built


def module(name: str) -> nn.Module:
    return modules()[name]


@cache
def case(name: str) -> tuple[Tensor, Tensor]:
    """Return an input with zeros, and relevance of both signs."""
    return CASES[name][2](with_zeros(1.5 * signed(3, 4, 6, seed=1))), signed(3, 4, 6, seed=2)


def at_zero(name: str) -> np.ndarray:
    """Return f(0) at every unit."""
    with np.errstate(divide="ignore"):
        return np.broadcast_to(CASES[name][1](np.zeros((3, 4, 6))), (3, 4, 6))


@pytest.mark.parametrize("name", list(CASES))
def test_an_activation_passes_what_the_input_adds_to_its_value_at_0(name: str) -> None:
    x, R = case(name)
    y = CASES[name][1](x.numpy())
    np.testing.assert_allclose(module(name)(x).detach().numpy(), y, rtol=1e-12, atol=1e-13)
    f0 = np.where(np.isfinite(at_zero(name)), at_zero(name), 0)
    R = R.masked_fill(torch.from_numpy((y == 0) & (f0 != 0)), 0)  # R over the stabiliser alone is rounding alone
    quotient = R.numpy() / np.where(y < 0, y - EPS, y + EPS)
    found = check_handler(module(name), x, R)
    expected = np.where(f0 == 0, R.numpy(), (y - f0) * quotient)
    np.testing.assert_allclose(found.relevance.numpy(), expected, rtol=1e-11, atol=1e-12)
    if not f0.any():
        assert found.ledger.rows == []
        return
    (row,) = found.ledger.rows
    beyond = np.where(f0 == 0, 0, quotient)
    for column, each in (("bias", f0 * beyond), ("stabiliser", EPS * np.where(y < 0, -1, 1) * beyond)):
        np.testing.assert_allclose(row.numbers[column].numpy(), each.sum((1, 2)), rtol=1e-10, atol=1e-12)


def test_every_activation_that_has_a_handler_is_among_the_cases() -> None:
    tested = set().union(*(operations_in(module(name), case(name)[0]) for name in CASES))
    elsewhere = {"rsqrt", "reciprocal", "softshrink", "hardshrink"}
    assert operations_of(activations) - tested == {f"aten.{name}.default" for name in elsewhere}


def step_of(name: str):
    net = module(name)
    plan = make_plan(graph_of(net, case(name)[0]), net)
    return next(step for step in plan.steps if step.output == plan.graph.output)


@pytest.mark.parametrize("name", list(CASES))
def test_what_an_activation_promises_of_signs_and_zeros_holds(name: str) -> None:
    """Wrong promises lose relevance without a trace: a layer leaves out what they say can't arrive or be negative."""
    x, R = case(name)
    if name in LOGARITHMS:
        x = with_zeros(x)
    step = step_of(name)
    if step.handler.nonnegative(step, (True,)):
        assert (module(name)(x.abs()) >= 0).all()
    if step.handler.nonnegative(step, (False,)):
        assert (module(name)(x) >= 0).all()
    if step.handler.conserves:
        assert torch.equal(back_through(module(name), x, R).relevance, R)
    if step.handler.vanishing == "never":
        return
    if step.handler.vanishing == "with output":
        R = R.masked_fill(module(name)(x) == 0, 0)
    assert not back_through(module(name), x, R).relevance[x == 0].any()


KNOWN_NOT_NEGATIVE = {
    "abs", "square", "sqrt", "threshold at 0", "relu6", "clamp from below", "clamp above 0", "exp", "exp2", "cosh",
    "softplus", "sigmoid", "hardsigmoid", "erfc", "square by pow", "base of a power",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(KNOWN_NOT_NEGATIVE))
def test_values_that_can_not_be_negative_are_known_for_such(name: str) -> None:
    """Under gamma and zplus, such an input spares half the work."""
    step = step_of(name)
    assert step.handler.nonnegative(step, (False,))


AFTER_RELU = ["softplus", "sigmoid", "gelu", "clamp above 0", "leaky_relu"]


@pytest.mark.parametrize("rule", [Epsilon(), Gamma(), ZPlus(), AlphaBeta()], ids=repr)
@pytest.mark.parametrize("name", [*AFTER_RELU, "log of a clamp"])
def test_layers_around_a_relu_and_an_activation_share_as_their_formulas_say(name: str, rule: Rule) -> None:
    """The layer before a ReLU skips what can't arrive where its output is not positive: what does, must be told."""
    net = nets()[name]
    x = with_zeros(signed(3, 6, seed=4))
    kind = {"Epsilon": "epsilon", "Gamma": "gamma", "ZPlus": "zplus", "AlphaBeta": "alphabeta"}[type(rule).__name__]
    found = back_through(net, x, net(x).detach(), rule)
    for n in range(len(x)):
        h = net.one(x[n : n + 1]).relu().detach()
        z = net.act(h)
        upper = share(kind, z[0].numpy(), *matrix_of(net.two, (5,)), net.two(z)[0].detach().numpy()).relevance
        if name == "log of a clamp":
            y, f0 = h[0].clamp(min=0.1).numpy(), 0.1
        else:
            y, f0 = z[0].numpy(), ANYWHERE[name][1](np.zeros(1))[0]
        between = upper * (y - f0) / (y + EPS) if f0 else upper
        expected = share(kind, x[n].numpy(), *matrix_of(net.one, (6,)), between).relevance
        np.testing.assert_allclose(found.relevance[n].numpy(), expected, rtol=1e-9, atol=1e-10)


@cache
def nets() -> dict[str, nn.Module]:
    def build(act: nn.Module) -> nn.Module:
        return Calls(lambda s, x: s.two(s.act(s.one(x).relu())), one=nn.Linear(6, 5), act=act, two=nn.Linear(5, 3))

    acts = {name: as_module(ANYWHERE[name][0]) for name in AFTER_RELU}
    acts["log of a clamp"] = as_module(lambda x: x.clamp(min=0.1).log())
    built = {name: seeded(lambda act=act: build(act), seed=3) for name, act in acts.items()}
    trace_together(list(built.values()), signed(2, 6))
    return built


GATES: dict[str, Op] = {
    "sigmoid": lambda h: h.sigmoid(),
    "hardsigmoid": lambda h: F.hardsigmoid(h),
    "tanh": lambda h: h.tanh(),
    "sign": lambda h: h.sign(),
    "clamp": lambda h: h.clamp(-1, 1),
    "hardtanh": lambda h: F.hardtanh(h),
    "relu6": lambda h: F.relu6(h + 3) / 6,  # a sigmoid of lines
    "clamp_min": lambda h: (h / 6 + 0.5).clamp_min(0).clamp(0, 1),
    "rsqrt": lambda h: h.square().mean(-1, keepdim=True).add(0.1).rsqrt(),
    "pow": lambda h: h.square().mean(-1, keepdim=True).add(0.1) ** -0.5,
    "reciprocal": lambda h: (1 + torch.exp(-h)).reciprocal(),
}

REFUSED: dict[str, tuple[Op, str]] = {
    "reciprocal": (lambda x: torch.reciprocal(x), "reciprocal is infinite or undefined at 0"),
    "rsqrt": (lambda x: x.abs().add(1).rsqrt(), "rsqrt is infinite or undefined at 0"),
    "negative power": (lambda x: x.abs().add(1) ** -2, "pow is infinite or undefined at 0"),
    "bound": (lambda x: x.clamp(min=x[:, :1]), "depend on the input"),
    "random slopes": (lambda x: F.rrelu(x, training=True), "slopes at random"),
    "exponent": (lambda x: x ** x.shape[0], "only known at run time"),
}


@cache
def uses() -> dict[str, nn.Module]:
    """Trace the gates and what is refused."""
    built = {f"gate {name}": as_module(lambda x, op=op: x.flip(-1) * op(x)) for name, op in GATES.items()}
    built |= {f"refused {name}": as_module(op) for name, (op, _) in REFUSED.items()}
    trace_together(list(built.values()), signed(2, 4, 6))
    return built


@pytest.mark.parametrize("name", list(GATES))
def test_a_gate_is_held_constant_and_the_signal_gets_all(name: str) -> None:
    net = uses()[f"gate {name}"]
    x, R = with_zeros(signed(3, 4, 6, seed=1)), signed(3, 4, 6, seed=2)
    assert name in {node.op_name for node in graph_of(net, x).nodes}
    found = back_through(net, x, R)
    torch.testing.assert_close(found.relevance, R.flip(-1))


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_has_no_share_for_its_input_is_an_error_with_a_remedy(name: str) -> None:
    net = uses()[f"refused {name}"]
    with pytest.raises(sp.SeqplrpError, match=REFUSED[name][1]) as caught:
        make_plan(graph_of(net, signed(2, 4, 6)), net)
    assert caught.value.where.startswith("(forward) ")
    assert caught.value.remedy


RELUS: dict[str, Op] = {
    "relu": lambda h: h.relu(),
    "clamp": lambda h: h.clamp(min=0),
    "clamp_min": lambda h: torch.clamp_min(h, 0.0),
    "threshold": lambda h: F.threshold(h, 0.0, 0.0),
    "maximum": lambda h: torch.maximum(torch.zeros((), dtype=h.dtype), h),
    "hardtanh": lambda h: F.hardtanh(h, 0.0, float("inf")),
}


@cache
def relus() -> dict[str, nn.Module]:
    def build(relu: Op) -> nn.Module:
        return Calls(
            lambda s, x: s.two(F.max_pool1d(relu(s.one(x)), 2).flatten(1)), one=nn.Conv1d(4, 3, 3), two=nn.Linear(6, 2)
        )

    built = {name: seeded(lambda relu=relu: build(relu), seed=3) for name, relu in RELUS.items()}
    trace_together(list(built.values()), signed(2, 4, 6))
    return built


@pytest.mark.parametrize("rule", [Gamma(), ZPlus()], ids=repr)
@pytest.mark.parametrize("name", list(RELUS)[1:])
def test_a_relu_in_another_spelling_is_worked_with_as_a_relu_is(name: str, rule: Rule) -> None:
    """So its layer works at the pool's winners alone, whatever the ReLU is called: twins agree bit for bit."""
    x = signed(3, 4, 6, seed=5)
    plan = make_plan(graph_of(relus()[name], x), relus()[name], rule)
    assert [step.op for step in plan.steps if step.gated and step.pooled] == ["conv1d"]
    found, expected = (check_handler(relus()[n], x, relus()[n](x).detach(), rule) for n in (name, "relu"))
    assert torch.equal(found.relevance, expected.relevance)


@pytest.mark.parametrize("name", ["relu6", "clamp above 0", "threshold above 0", "clamp_min by a tensor"])
def test_what_is_like_a_relu_in_part_is_none(name: str) -> None:
    assert not isinstance(step_of(name).handler, Relu)


def test_softplus_at_0_hands_on_nothing_not_even_rounding() -> None:
    """Vector and scalar code may round softplus(0) in two ways; a difference of one unit would be relevance."""
    net = module("softplus")
    for dtype in (torch.float32, torch.float64):
        x = torch.zeros(2, 4, 6, dtype=dtype)
        plan = make_plan(graph_of(net, x), net)
        (step,) = plan.steps
        step.extra = torch.nextafter(step.extra.to(dtype), torch.tensor(1.0, dtype=dtype))
        with torch.inference_mode():
            run = run_forward(plan, x)
            assert not propagate(plan, run, torch.ones_like(x)).relevance.any()


@pytest.mark.parametrize("bound", [0.0, 0.5])
def test_an_activation_that_widens_its_input_hands_back_the_sum(bound: float) -> None:
    net = Held(LOW - LOW + bound, torch.clamp_min).eval()
    x, R = with_zeros(signed(3, 1, 6, seed=1)), signed(3, 4, 6, seed=2)
    y = np.maximum(x.numpy(), bound)
    expected = (R.numpy() * ((y - bound) / (y + EPS) if bound else 1)).sum(1, keepdims=True)
    np.testing.assert_allclose(check_handler(net, x, R).relevance.numpy(), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["softshrink", "hardshrink"])
def test_what_an_older_torch_leaves_whole_passes_relevance_through(name: str) -> None:
    """This torch takes them apart when it exports."""
    op = getattr(aten, name).default
    x, R = case("tanh")
    graph = graph_of(module("tanh"), x)
    (node,) = graph.nodes
    swapped = replace(graph, nodes=(replace(node, op=op, args=(*node.args, 0.4)),))
    plan = make_plan(swapped, module("tanh"))
    with torch.inference_mode():
        run = run_forward(plan, x)
        assert torch.equal(run.values[graph.output], op(x, 0.4))
        assert torch.equal(propagate(plan, run, R).relevance, R)
    assert plan.steps[0].handler.nonnegative(plan.steps[0], (True,))


def test_softsign_and_tanhshrink_which_are_made_of_others_add_up() -> None:
    x = with_zeros(signed(3, 4, 6, seed=1))
    soft, shrink = as_module(F.softsign), as_module(F.tanhshrink)
    R = signed(3, 4, 6, seed=2)
    torch.testing.assert_close(check_handler(soft, x, R).relevance, R)
    y = shrink(x)
    found = back_through(shrink, x, y)
    torch.testing.assert_close(found.relevance, y * y / torch.where(y < 0, y - EPS, y + EPS), rtol=1e-9, atol=1e-12)


def test_the_plan_says_how_much_an_activation_keeps_back() -> None:
    steps = {name: step_of(name) for name in ("tanh", "sigmoid", "clamp by tensors")}
    told = {name: step.handler.describe(step) for name, step in steps.items()}
    assert told == {
        "tanh": "passed through",
        "sigmoid": "passed beyond f(0) = 0.5",
        "clamp by tensors": "passed beyond f(0)",
    }
