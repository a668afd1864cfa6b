"""Random nets of strides, dilations, groups, pools, skips, branches and crops: what must hold whatever the graph."""

from __future__ import annotations

import random
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from engine import back_through, forward_of, graph_of, one_hot, seeded
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import AlphaBeta, Epsilon, Gamma, Pruning, ZPlus, make_plan

SEEDS = range(8)
X = one_hot(4, 40, seed=11)


class Random(nn.Module):
    """Four to six random blocks on (N, channels, length) and a linear head."""

    def __init__(self, seed: int, bias: bool) -> None:
        super().__init__()
        self.draw, self.bias = random.Random(seed), bias
        self.parts = nn.ModuleList()
        self.kinds: list[tuple[str, dict]] = []
        channels = 4
        for number in range(self.draw.randint(4, 6)):
            kind = self.draw.choice(["conv", "conv", "residual", "branches", "pool", "crop"]) if number else "conv"
            channels = getattr(self, f"_{kind}")(channels)
        with torch.no_grad():
            width = self._body(torch.zeros(2, 4, 40)).flatten(1).shape[1]
        self.head = nn.Linear(width, 3, bias=bias)

    def _add(self, kind: str, module: nn.Module, channels: int, **how) -> int:
        self.parts.append(module)
        self.kinds.append((kind, how))
        return channels

    def _layer(self, inside: int, outside: int, **how) -> nn.Module:
        conv = nn.Conv1d(inside, outside, bias=self.bias, **how)
        if self.bias and self.draw.random() < 0.5:
            return nn.Sequential(conv, nn.BatchNorm1d(outside))
        return conv

    def _conv(self, channels: int) -> int:
        groups = self.draw.choice([g for g in (1, 2) if channels % g == 0])
        how = {"kernel_size": self.draw.choice([1, 2, 3, 5]), "groups": groups}
        if self.draw.random() < 0.5:
            how |= {"padding": "same", "dilation": self.draw.choice([1, 2, 3])}
        else:
            how |= {"padding": self.draw.choice([2, 3]), "stride": self.draw.choice([1, 2])}
        outside = self.draw.choice([4, 6])
        return self._add("conv", self._layer(channels, outside, **how), outside, relu=self.draw.random() < 0.8)

    def _residual(self, channels: int) -> int:
        layer = self._layer(channels, channels, kernel_size=3, padding="same", dilation=self.draw.choice([1, 2]))
        return self._add("residual", layer, channels, before=self.draw.random() < 0.5)

    def _branches(self, channels: int) -> int:
        two = [self._layer(channels, 3, kernel_size=k, padding="same") for k in self.draw.sample([1, 3, 4], 2)]
        return self._add("branches", nn.ModuleList(two), 6 + channels)

    def _pool(self, channels: int) -> int:
        pools = [
            nn.MaxPool1d(2),
            nn.MaxPool1d(3, 2, 1),
            nn.AvgPool1d(2),
            nn.AvgPool1d(3, 1, 1),
            nn.AdaptiveMaxPool1d(9),
        ]
        return self._add("pool", self.draw.choice(pools), channels)

    def _crop(self, channels: int) -> int:
        return self._add("crop", nn.Identity(), channels, cut=self.draw.choice([1, 2]))

    def _body(self, h: Tensor) -> Tensor:
        for part, (kind, how) in zip(self.parts, self.kinds, strict=True):
            if kind == "conv":
                h = part(h).relu() if how["relu"] else part(h)
            elif kind == "residual":
                h = (h + part(h)).relu() if how["before"] else h + F.relu(part(h))
            elif kind == "branches":
                h = torch.cat([part[0](h).relu(), h, part[1](h).relu()], 1)
            elif kind == "pool":
                h = part(h)
            else:
                h = h[:, :, how["cut"] : -how["cut"]]
        return h

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self._body(x).flatten(1))


@cache
def net(seed: int, bias: bool) -> nn.Module:
    return seeded(lambda: Random(seed, bias).eval(), seed=seed)


def start(model: nn.Module) -> Tensor:
    with torch.no_grad():
        y = model(X)
    return torch.where(torch.arange(3) == 1, y, 0)


def test_the_nets_differ() -> None:
    kinds = {kind for seed in SEEDS for kind, _ in net(seed, True).kinds}
    assert kinds == {"conv", "residual", "branches", "pool", "crop"}


@pytest.mark.parametrize("seed", SEEDS)
def test_without_biases_epsilon_is_gradient_times_input(seed: int) -> None:
    model = net(seed, False)
    leaf = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    found = back_through(model, X, start(model), Epsilon(1e-13))
    expected = X * gradient
    scale = float(expected.abs().max())
    # sums and averages are stabilised by 1e-6, which shows where one of both signs comes out near 0
    torch.testing.assert_close(found.relevance, expected, rtol=1e-3, atol=1e-2 * scale)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_the_graph_the_promises_hold(seed: int) -> None:
    model = net(seed, True)
    torch.testing.assert_close(forward_of(model, X), model(X).detach(), rtol=1e-10, atol=1e-11)
    R = start(model)
    for rule in (Epsilon(), Gamma()) if seed % 2 else (ZPlus(), AlphaBeta()):
        plain = back_through(model, X, R, rule)
        for pruning in (Pruning(p=0.5), Pruning(p=0.4, mode="matrix"), Pruning(threshold="gain"), Pruning(budget=0.8)):
            found = back_through(model, X, R, rule, pruning)
            assert torch.isfinite(found.relevance).all()
            assert torch.equal(found.relevance, X * found.coefficient)
            for row in found.ledger.rows:
                unexplained = row.numbers["unexplained"].abs() / row.numbers["size"].clamp(min=1e-300)
                assert (unexplained < 1e-12).all(), (row.layer, row.op)
                if row.op == "prune":
                    assert (row.numbers["residue"].abs() <= 1e-12 * row.numbers["size"]).all()
                    assert (row.numbers["kept_share"] <= 1).all()
                    if pruning.mode == "lambda" and pruning.threshold == "mass":
                        p = pruning.p or 1 - (1 - 0.8) ** (1 / make_plan(graph_of(model, X), model).depth)
                        assert (row.numbers["lambda_pos"] <= 1 / (1 - p) + 1e-9).all()
            alone = back_through(model, X[2:3], R[2:3], rule, pruning).relevance[0]
            scale = float(alone.abs().max())
            torch.testing.assert_close(alone, found.relevance[2], rtol=1e-8, atol=1e-10 * (scale + 1e-300))
        unpruned = back_through(model, X, R, rule, Pruning(p=0.0, mode="matrix"))
        assert torch.equal(unpruned.relevance, plain.relevance)


@pytest.mark.parametrize("seed", SEEDS[::2])
def test_single_precision_keeps_the_ledger(seed: int) -> None:
    model = Random(seed, True).eval()
    model.load_state_dict(net(seed, True).state_dict())
    e = sp.explain(model, X.float(), target=1, method=sp.PLRP(p=0.5))
    assert (e.ledger.unexplained.abs() / e.ledger["size"].clip(lower=1e-30)).max() < 1e-5
