"""One function written in many ways has one explanation: what hooks on modules get wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from engine import Calls, back_through, one_hot, seeded
from handler_checks import trace_together
from torch import Tensor, nn

from seqplrp.lrp import Epsilon, Gamma, Pruning, Relative, Rule

X = one_hot(3, 24, seed=3)

METHODS: dict[str, tuple[Rule, Pruning | None]] = {
    "epsilon": (Epsilon(), None),
    "gamma": (Gamma(), None),
    "relative": (Relative(), None),
    "PLRP lambda, gamma": (Gamma(), Pruning(p=0.5)),
    "PLRP matrix, epsilon": (Epsilon(), Pruning(p=0.5, mode="matrix")),
    "PLRP lambda, gain": (Epsilon(), Pruning(threshold="gain")),
}


# ---- a chain of layers


class Chain(nn.Module):
    """The plain writing: each call is a module of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm, self.relu1 = nn.Conv1d(4, 6, 4, padding="same"), nn.BatchNorm1d(6), nn.ReLU()
        self.pool = nn.MaxPool1d(3, stride=2)
        self.conv2, self.relu2 = nn.Conv1d(6, 5, 3, padding=2, dilation=2), nn.ReLU()
        self.hidden, self.relu3, self.output = nn.Linear(55, 7), nn.ReLU(), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.pool(self.relu1(self.norm(self.conv1(x))))
        h = torch.flatten(self.relu2(self.conv2(h)), 1)
        return self.output(self.relu3(self.hidden(h)))


def functional(m: Chain, x: Tensor) -> Tensor:
    h = F.conv1d(x, m.conv1.weight, m.conv1.bias, padding="same")
    n = m.norm
    h = F.relu(F.batch_norm(h, n.running_mean, n.running_var, n.weight, n.bias, False, 0.0, n.eps))
    h = F.max_pool1d(h, 3, 2)
    h = torch.relu(torch.conv1d(h, m.conv2.weight, m.conv2.bias, 1, 2, 2))
    h = F.linear(h.flatten(1), m.hidden.weight, m.hidden.bias)
    return F.linear(h.clamp(min=0), m.output.weight, m.output.bias)


def one_relu(m: Chain, x: Tensor) -> Tensor:
    h = m.pool(m.relu1(m.norm(m.conv1(x))))
    return m.output(m.relu1(m.hidden(m.relu1(m.conv2(h)).flatten(1))))


def in_place(m: Chain, x: Tensor) -> Tensor:
    h = m.pool(F.relu_(m.norm(m.conv1(x))))
    h = m.conv2(h)
    h.relu_()
    h = m.hidden(h.flatten(1))
    h.clamp_(min=0)
    return m.output(h)


def viewed(m: Chain, x: Tensor) -> Tensor:
    h = m.pool(m.relu1(m.norm(m.conv1(x))))
    h = m.relu2(m.conv2(h))
    return m.output(m.relu3(m.hidden(h.view(h.size(0), -1))))


def reshaped(m: Chain, x: Tensor) -> Tensor:
    h = m.pool(m.relu1(m.norm(m.conv1(x))))
    h = m.relu2(m.conv2(h).reshape(-1, 55))
    return m.output(m.relu3(m.hidden(h)).unsqueeze(2).squeeze(2))


def padded(m: Chain, x: Tensor) -> Tensor:
    h = F.conv1d(F.pad(x, (1, 2)), m.conv1.weight, m.conv1.bias)
    h = m.pool(m.relu1(m.norm(h)))
    h = F.conv1d(F.pad(h, (2, 2)), m.conv2.weight, m.conv2.bias, dilation=2)
    return m.output(m.relu3(m.hidden(m.relu2(h).flatten(1))))


def turned_about(m: Chain, x: Tensor) -> Tensor:
    h = x.permute(0, 2, 1).transpose(1, 2).flip(2).flip(2)
    h = m.pool(m.relu1(m.norm(m.conv1(h))).transpose(1, 2).contiguous().transpose(1, 2))
    h = m.relu2(m.conv2(h)).unflatten(1, (5, 1)).flatten(1)
    return m.output(m.relu3(m.hidden(h)))


def multiplied(m: Chain, x: Tensor) -> Tensor:
    h = m.pool(m.relu1(m.norm(m.conv1(x))))
    h = m.relu2(m.conv2(h)).flatten(1)
    h = torch.addmm(m.hidden.bias, h, m.hidden.weight.t())
    return torch.addmm(m.output.bias, torch.maximum(h, torch.zeros(()).double()), m.output.weight.t())


def as_images(m: Chain, x: Tensor) -> Tensor:
    n = m.norm
    h = F.conv2d(F.pad(x, (1, 2)).unsqueeze(2), m.conv1.weight.unsqueeze(2), m.conv1.bias)
    h = F.batch_norm(h, n.running_mean, n.running_var, n.weight, n.bias, False, 0.0, n.eps)
    h = F.max_pool2d(F.relu(h), (1, 3), (1, 2))
    h = F.conv2d(h, m.conv2.weight.unsqueeze(2), m.conv2.bias, padding=(0, 2), dilation=(1, 2)).squeeze(2)
    return m.output(m.relu3(m.hidden(m.relu2(h).flatten(1))))


def with_idle_modules(m: Chain, x: Tensor) -> Tensor:
    h = m.pool(m.relu1(m.norm(m.conv1(F.dropout(x, 0.3, training=m.training)))))
    return m.output(F.dropout(m.relu3(m.hidden(m.relu2(m.conv2(h)).flatten(1))), 0.5, m.training))


@cache
def chain() -> Chain:
    return seeded(Chain, seed=8)


def nested() -> nn.Module:
    m = copy.deepcopy(chain())
    body = nn.Sequential(nn.Sequential(m.conv1, m.norm, m.relu1), nn.ModuleDict({"pool": m.pool})["pool"])
    tail = nn.Sequential(m.conv2, m.relu2, nn.Flatten(), nn.Dropout(0.5))
    return nn.Sequential(nn.Identity(), nn.Sequential(body, tail), m.hidden, nn.ReLU(inplace=True), m.output)


def folded_by_hand() -> nn.Module:
    m = copy.deepcopy(chain())
    scale = m.norm.weight / (m.norm.running_var + m.norm.eps).sqrt()
    conv = nn.Conv1d(4, 6, 4, padding="same").double()
    with torch.no_grad():
        conv.weight.copy_(m.conv1.weight * scale[:, None, None])
        conv.bias.copy_((m.conv1.bias - m.norm.running_mean) * scale + m.norm.bias)
    m.conv1, m.norm = conv, nn.Identity()
    return m


def norms_of_weights() -> nn.Module:
    m = copy.deepcopy(chain())
    for layer in (m.conv1, m.conv2, m.hidden):
        nn.utils.parametrizations.weight_norm(layer)
    return m


WRITINGS: dict[str, Callable[[], nn.Module]] = {
    **{
        function.__name__: (lambda f=function: Calls(lambda self, x: f(self.m, x), m=chain()))
        for function in (
            functional,
            one_relu,
            in_place,
            viewed,
            reshaped,
            padded,
            turned_about,
            multiplied,
            as_images,
            with_idle_modules,
        )
    },
    "nested": nested,
    "folded_by_hand": folded_by_hand,
    "norms_of_weights": norms_of_weights,
}


def zeroed_in_place(h: Tensor) -> Tensor:
    h = h.clone()
    h[h < 0] = 0
    return h


RELUS: dict[str, Callable[[Tensor], Tensor]] = {
    "maximum with zeros_like": lambda h: torch.maximum(h, torch.zeros_like(h)),
    "maximum, zeros first": lambda h: torch.maximum(torch.zeros_like(h), h),
    "max with new_zeros": lambda h: torch.max(h, h.new_zeros(h.shape)),
    "maximum with zeros of its shape": lambda h: torch.maximum(h, torch.zeros(h.shape, dtype=h.dtype)),
    "maximum with full_like": lambda h: torch.maximum(h, torch.full_like(h, 0.0)),
    "maximum with one zero": lambda h: torch.maximum(h, torch.tensor(0.0)),
    "maximum with a tensor of one zero": lambda h: torch.maximum(h, h.new_zeros(1)),
    "fmax": lambda h: torch.fmax(h, torch.zeros_like(h)),
    "minimum of what is turned about": lambda h: -torch.minimum(-h, torch.zeros_like(h)),
    "clamp_min": lambda h: h.clamp_min(0),
    "clamp by a tensor": lambda h: torch.clamp(h, min=torch.zeros_like(h)),
    "where": lambda h: torch.where(h > 0, h, 0),
    "where, with zeros": lambda h: torch.where(h > 0, h, torch.zeros_like(h)),
    "where, turned about": lambda h: torch.where(h < 0, 0.0, h),
    "masked_fill": lambda h: h.masked_fill(h <= 0, 0),
    "by a mask": lambda h: h * (h > 0),
    "in place by a mask": zeroed_in_place,
    "threshold": lambda h: F.threshold(h, 0.0, 0.0),
    "hardtanh": lambda h: F.hardtanh(h, 0, float("inf")),
    "leaky by nothing": lambda h: F.leaky_relu(h, 0.0),
}


def with_relu(m: Chain, x: Tensor, relu: Callable[[Tensor], Tensor]) -> Tensor:
    h = m.pool(relu(m.norm(m.conv1(x))))
    return m.output(relu(m.hidden(relu(m.conv2(h)).flatten(1))))


def start(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return torch.where(torch.arange(3) == 1, model(X), 0)


def assert_twins(one: nn.Module, other: nn.Module, x: Tensor = X) -> None:
    one.eval()
    other.eval()
    with torch.no_grad():
        torch.testing.assert_close(other(x), one(x), rtol=1e-12, atol=1e-12)
    R = start(one)
    for name, (rule, pruning) in METHODS.items():
        expected = back_through(one, X, R, rule, pruning)
        found = back_through(other, x, R, rule, pruning)
        scale = expected.coefficient.abs().amax()
        assert scale > 0
        assert ((found.coefficient - expected.coefficient).abs() <= 1e-11 * scale).all(), name
        prunes = [[row.op for row in f.ledger.rows].count("prune") for f in (found, expected)]
        assert prunes[0] == prunes[1], name


@pytest.mark.parametrize("name", WRITINGS)
def test_a_chain_of_layers_explains_alike_however_it_is_written(name: str) -> None:
    assert_twins(chain(), WRITINGS[name]())


@cache
def with_relus() -> dict[str, nn.Module]:
    """One for each writing, traced at the price of one."""
    nets = {
        name: Calls(lambda self, x, relu=relu: with_relu(self.m, x, relu), m=copy.deepcopy(chain())).eval()
        for name, relu in RELUS.items()
    }
    trace_together(list(nets.values()), X)
    return nets


@pytest.mark.parametrize("name", RELUS)
def test_a_relu_explains_alike_however_it_is_written(name: str) -> None:
    assert_twins(chain(), with_relus()[name])


BOUNDED: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "from below": (lambda h: torch.maximum(torch.full_like(h, -1.0), h), lambda h: h.clamp(min=-1)),
    "from above": (lambda h: torch.minimum(torch.ones_like(h), h), lambda h: h.clamp(max=1)),
    "from above by a clamp": (lambda h: torch.clamp(h, max=torch.ones_like(h)), lambda h: h.clamp(max=1)),
    "on both sides": (
        lambda h: torch.clamp(h, torch.full_like(h, -0.5), torch.ones_like(h)),
        lambda h: h.clamp(-0.5, 1),
    ),
    "by what widens it": (
        lambda h: torch.maximum(h[:, :1], torch.zeros(6, 1, dtype=h.dtype)),
        lambda h: h[:, :1].expand(-1, 6, -1).clamp(min=0),
    ),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_a_bound_explains_alike_whether_it_is_a_number_or_a_tensor(name: str) -> None:
    written, plain = (
        Calls(
            lambda self, x, f=f: self.m.output(self.m.hidden(self.m.conv2(self.m.pool(f(self.m.conv1(x)))).flatten(1))),
            m=chain(),
        )
        for f in BOUNDED[name]
    )
    assert_twins(plain, written)


def test_memory_that_lies_otherwise_changes_nothing() -> None:
    strided = X.permute(0, 2, 1).contiguous().permute(0, 2, 1)
    assert not strided.is_contiguous()
    assert_twins(chain(), chain(), strided)


# ---- skips


class Skip(nn.Module):
    def __init__(self, add: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.stem, self.conv1, self.conv2 = (nn.Conv1d(i, 6, 3, padding=1) for i in (4, 6, 6))
        self.head = nn.Linear(6, 3)
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.stem(x))
        h = F.relu(self.add(h, self.conv2(F.relu(self.conv1(h)))))
        return self.head(h.mean(2))


def augmented(h: Tensor, f: Tensor) -> Tensor:
    h += f
    return h


def the_other_way(h: Tensor, f: Tensor) -> Tensor:
    f += h
    return f


def into_memory(h: Tensor, f: Tensor) -> Tensor:
    result = h.clone()
    result[:, :] += f
    return result


def by_index(h: Tensor, f: Tensor) -> Tensor:
    result = torch.zeros_like(h)
    for place in range(2):
        result[:, 3 * place : 3 * place + 3] = h[:, 3 * place : 3 * place + 3] + f[:, 3 * place : 3 * place + 3]
    return result


ADDITIONS = {
    "torch.add": torch.add,
    "f + h": lambda h, f: f + h,
    "+=": augmented,
    "f += h": the_other_way,
    "add_": lambda h, f: f.add_(h),
    "into memory": into_memory,
    "by index": by_index,
    "subtracted": lambda h, f: h - (-f),
    "alpha": lambda h, f: torch.add(h, f, alpha=1),
}


def skip(add: Callable[[Tensor, Tensor], Tensor]) -> nn.Module:
    return seeded(lambda: Skip(add), seed=5)


@cache
def plain_skip() -> nn.Module:
    return skip(lambda h, f: h + f)


@pytest.mark.parametrize("name", ADDITIONS)
def test_a_skip_explains_alike_however_it_is_written(name: str) -> None:
    assert_twins(plain_skip(), skip(ADDITIONS[name]))


# ---- branches that are joined


class Branches(nn.Module):
    def __init__(self, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.short, self.long = nn.Conv1d(4, 3, 3, padding=1), nn.Conv1d(4, 5, 7, padding=3)
        self.conv, self.head = nn.Conv1d(8, 4, 3), nn.Linear(4, 3)
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        h = self.join(F.relu(self.short(x)), F.relu(self.long(x)))
        return self.head(F.relu(self.conv(h)).amax(2))


def written(a: Tensor, b: Tensor) -> Tensor:
    h = a.new_zeros(a.shape[0], 8, a.shape[2])
    h[:, :3], h[:, 3:] = a, b
    return h


def piece_by_piece(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([*a.unbind(1), *(piece.squeeze(1) for piece in b.split(1, 1))], 1)


JOINS = {
    "concat": lambda a, b: torch.concat((a, b), dim=-2),
    "hstack": lambda a, b: torch.hstack([a, b]),
    "written": written,
    "piece by piece": piece_by_piece,
}


@pytest.mark.parametrize("name", JOINS)
def test_joined_branches_explain_alike_however_they_are_joined(name: str) -> None:
    def net(join: Callable[[Tensor, Tensor], Tensor]) -> nn.Module:
        return seeded(lambda: Branches(join), seed=6)

    assert_twins(net(lambda a, b: torch.cat([a, b], 1)), net(JOINS[name]))


# ---- layers that are used several times


class Tied(nn.Module):
    """Three passes through one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.middle, self.head = nn.Conv1d(4, 6, 5, stride=5), nn.Linear(24, 24), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv(x)).flatten(1)
        for _ in range(3):
            h = F.relu(self.middle(h))
        return self.head(h)


def tied(m: Tied, *layers: Callable[[Tensor], Tensor]) -> nn.Module:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        h = F.relu(self.m.conv(x)).flatten(1)
        for layer in layers:
            h = F.relu(layer(h))
        return self.m.head(h)

    return Calls(forward, m=m, layers=nn.ModuleList(layer for layer in layers if isinstance(layer, nn.Module)))


@pytest.mark.parametrize("how", ["tied weights", "copies", "functional"])
def test_a_layer_that_runs_thrice_is_three_layers(how: str) -> None:
    m = seeded(Tied, seed=7)
    if how == "functional":
        layers = [lambda h: F.linear(h, m.middle.weight, m.middle.bias)] * 3
    else:
        layers = [copy.deepcopy(m.middle) for _ in range(3)]
        for layer in layers if how == "tied weights" else []:
            layer.weight, layer.bias = m.middle.weight, m.middle.bias
    assert_twins(m, tied(m, *layers))


def test_images_explain_alike_with_channels_last() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 3),
    )
    model = seeded(lambda: net, seed=9)
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    x = torch.randn(3, 3, 12, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x_last = x.to(memory_format=torch.channels_last)
    assert not x_last.is_contiguous()
    for rule, pruning in METHODS.values():
        expected = back_through(model, x, None, rule, pruning).relevance
        for net, value in ((last, x_last), (last, x), (model, x_last)):
            found = back_through(net, value, None, rule, pruning).relevance
            assert ((found - expected).abs() <= 1e-11 * expected.abs().amax()).all()
