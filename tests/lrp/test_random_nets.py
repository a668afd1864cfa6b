"""Random nets of strides, dilations, groups, pools, skips, branches and crops: what must hold whatever the graph."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import linearised
import pytest
import torch
import torch.nn.functional as F
from engine import back_through, forward_of, graph_of, one_hot, seeded
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import AlphaBeta, Epsilon, Gamma, Pruning, Relative, ZPlus, make_plan
from seqplrp.lrp.propagate import _Backward

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


def without_stabilisers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the stabilisers of sums and averages away; the rules' own are given by the rules."""
    for module in [module for path, module in sys.modules.items() if path.startswith("seqplrp.lrp")]:
        if hasattr(module, "EPS"):
            monkeypatch.setattr(module, "EPS", 1e-15)


def start(model: nn.Module, x: Tensor = X) -> Tensor:
    with torch.no_grad():
        y = model(x)
    return torch.where(torch.arange(3) == 1, y, 0)


def test_the_nets_differ() -> None:
    kinds = {kind for seed in SEEDS for kind, _ in net(seed, True).kinds}
    assert kinds == {"conv", "residual", "branches", "pool", "crop"}


@pytest.mark.parametrize("seed", SEEDS)
def test_without_biases_epsilon_is_gradient_times_input(seed: int, monkeypatch) -> None:
    without_stabilisers(monkeypatch)
    model = net(seed, False)
    leaf = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    found = back_through(model, X, start(model), Epsilon(1e-15))
    expected = X * gradient
    assert ((found.relevance - expected).abs() <= 1e-9 * expected.abs().max()).all()


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


# ---- graphs that hypothesis draws: gates, norms, smooth activations, transposed convolutions

ACTIVATIONS = {
    "relu": F.relu,
    "gelu": F.gelu,
    "leaky_relu": lambda h: F.leaky_relu(h, 0.1),
    "silu": F.silu,
    "elu": F.elu,
    "tanh": torch.tanh,
    "softplus": F.softplus,
}


@dataclass(frozen=True)
class Block:
    """One block of a drawn net; ``what`` says how, in its kind's own words."""

    kind: str
    act: str
    what: tuple


SIZES = st.integers(1, 3)
BLOCKS = st.one_of(
    st.builds(
        Block,
        st.just("conv"),
        st.sampled_from(sorted(ACTIVATIONS)),
        st.tuples(st.integers(1, 5), SIZES, SIZES, st.sampled_from([1, 2]), st.booleans(), st.integers(0, 2)),
    ),
    st.builds(Block, st.just("transposed"), st.sampled_from(sorted(ACTIVATIONS)), st.tuples(SIZES, SIZES)),
    st.builds(Block, st.just("skip"), st.sampled_from(sorted(ACTIVATIONS)), st.tuples(SIZES, st.booleans())),
    st.builds(Block, st.just("concat"), st.sampled_from(sorted(ACTIVATIONS)), st.tuples(SIZES)),
    st.builds(Block, st.just("gate"), st.sampled_from(sorted(ACTIVATIONS)), st.tuples(SIZES)),
    st.builds(Block, st.just("layer norm"), st.just("relu"), st.tuples()),
    st.builds(
        Block, st.just("pool"), st.just("relu"), st.tuples(st.sampled_from(["max", "avg", "adaptive", "overlap"]))
    ),
    st.builds(Block, st.just("crop"), st.just("relu"), st.tuples(SIZES)),
)
NETS = st.tuples(
    st.lists(BLOCKS, min_size=2, max_size=5), st.sampled_from(["flat", "mean", "max"]), st.integers(24, 33)
)


class Drawn(nn.Module):
    """The net of some blocks: 6 channels throughout."""

    def __init__(self, blocks: list[Block], head: str, length: int) -> None:
        super().__init__()
        self.blocks, self.how = blocks, head
        self.stem = nn.Conv1d(4, 6, 3, padding=1)
        self.layers = nn.ModuleList(self._layer(block) for block in blocks)
        with torch.no_grad():
            width = self._body(torch.zeros(1, 4, length)).flatten(1).shape[1]
        self.head = nn.Linear(width, 3)

    @staticmethod
    def _layer(block: Block) -> nn.Module:
        if block.kind == "conv":
            kernel, stride, dilation, groups, bias, padding = block.what
            return nn.Conv1d(6, 6, kernel, stride, padding, dilation, groups, bias)
        if block.kind == "transposed":
            return nn.ConvTranspose1d(6, 6, 3, stride=block.what[0], padding=1, dilation=block.what[1])
        if block.kind in ("skip", "gate"):
            return nn.Conv1d(6, 6, 3, padding=block.what[0], dilation=block.what[0])
        if block.kind == "concat":
            return nn.Conv1d(6, 4, 2 * block.what[0] - 1, padding="same")
        return nn.LayerNorm(6) if block.kind == "layer norm" else nn.Identity()

    def _block(self, block: Block, layer: nn.Module, h: Tensor) -> Tensor:
        act = ACTIVATIONS[block.act]
        if block.kind in ("conv", "transposed"):
            # what is too short for this layer goes by
            needs = 1 if block.kind == "transposed" else (block.what[0] - 1) * block.what[2] + 1
            return act(layer(h)) if needs <= h.shape[2] <= 100 else h
        if block.kind == "skip":
            return h + act(layer(h)) if block.what[1] else act(h + layer(h))
        if block.kind == "concat":
            return torch.cat([act(layer(h)), h[:, 2:4]], 1)
        if block.kind == "gate":
            return act(h) * torch.sigmoid(layer(h))
        if block.kind == "layer norm":
            return layer(h.transpose(1, 2)).transpose(1, 2)
        if block.kind == "crop":
            return h[:, :, block.what[0] :] if h.shape[2] > 4 else h
        if h.shape[2] < 4:
            return h
        return {
            "max": lambda: F.max_pool1d(h, 2),
            "avg": lambda: F.avg_pool1d(h, 3, 2, 1),
            "adaptive": lambda: F.adaptive_avg_pool1d(h, 3),
            "overlap": lambda: F.max_pool1d(h, 3, 1, 1),
        }[block.what[0]]()

    def _body(self, x: Tensor) -> Tensor:
        h = self.stem(x).relu()
        for block, layer in zip(self.blocks, self.layers, strict=True):
            h = self._block(block, layer, h)
        return h if self.how == "flat" else h.mean(2) if self.how == "mean" else h.amax(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self._body(x).flatten(1))


def watched(model: nn.Module, x: Tensor, R: Tensor, rule, pruning) -> tuple[list[tuple[Tensor, Tensor]], object]:
    """Relevance before and after each pruning, from the output down, and the result."""
    seen: list[tuple[Tensor, Tensor]] = []
    original = _Backward._pruned

    def spy(self, relevance, *rest):
        before = relevance.clone()
        after = original(self, relevance, *rest)
        seen.append((before.flatten(1), after.clone().flatten(1)))
        return after

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Backward, "_pruned", spy)
        return seen, back_through(model, x, R, rule, pruning)


@given(net=NETS, p=st.sampled_from([0.1, 0.5, 0.9]))
@settings(
    max_examples=14,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_a_drawn_graph_keeps_every_promise(net: tuple, p: float) -> None:
    blocks, head, length = net
    model = seeded(lambda: Drawn(blocks, head, length), seed=length)
    x = one_hot(3, length, seed=length)
    R = start(model, x)
    torch.testing.assert_close(forward_of(model, x), model(x).detach(), rtol=1e-11, atol=1e-12)
    _check_against_the_linearised(model, x, R)
    for rule in (Epsilon(), Gamma(), Relative()):
        plain = back_through(model, x, R, rule)
        for mode in ("lambda", "matrix"):
            assert torch.equal(back_through(model, x, R, rule, Pruning(p=0.0, mode=mode)).relevance, plain.relevance)
            seen, found = watched(model, x, R, rule, Pruning(p=p, p_neg=p, mode=mode))
            _check_pruning(seen, p, scaled_alone=mode == "lambda" or isinstance(rule, Relative))
            _check_ledger(found, len(seen))
            assert torch.equal(found.relevance, x * found.coefficient)
            alone = back_through(model, x[1:2], R[1:2], rule, Pruning(p=p, p_neg=p, mode=mode)).relevance[0]
            assert ((alone - found.relevance[1]).abs() <= 1e-9 * alone.abs().sum()).all()
    _check_that_more_goes_with_a_larger_share(model, x, R)


def _check_against_the_linearised(model: nn.Module, x: Tensor, R: Tensor) -> None:
    with pytest.MonkeyPatch.context() as patch:
        without_stabilisers(patch)
        found = back_through(model, x, R, Epsilon(1e-15)).coefficient
    _, expected = linearised.coefficients(lambda leaf: model(leaf)[:, 1], x)
    assert ((found - expected).abs() <= 1e-7 * expected.abs().amax((1, 2), keepdim=True)).all()


def _check_pruning(seen: list[tuple[Tensor, Tensor]], p: float, *, scaled_alone: bool) -> None:
    for before, after in seen:
        size = before.abs().sum(1)
        for sign in (1, -1):
            had, has = (sign * before).clamp(min=0), (sign * after).clamp(min=0)
            lost = (had.sum(1) - has.sum(1)).abs() > 1e-12 * size
            # matrix mode may leave a sign without any unit to carry its sum
            assert not (lost & (has.sum(1) > 0)).any()
            if scaled_alone:
                assert not lost.any()
                kept = (had * (has > 0)).sum(1)
                assert (kept >= (1 - p) * had.sum(1) * (1 - 1e-12)).all()
                factor = torch.where(kept > 0, has.sum(1) / kept.clamp(min=1e-300), 1)
                assert (factor <= 1 / (1 - p) * (1 + 1e-9)).all()
                smallest_kept = torch.where(has > 0, had, float("inf")).amin(1)
                assert (torch.where(has > 0, 0, had).amax(1) < smallest_kept).all()


def _check_ledger(found, prunings: int) -> None:
    rows = found.ledger.rows
    assert [row.op for row in rows].count("prune") == prunings
    for row in rows:
        if "unexplained" in row.numbers:
            size = torch.maximum(row.numbers["size"], row.numbers.get("size_in", row.numbers["size"]))
            assert (row.numbers["unexplained"].abs() <= 1e-12 * size).all(), (row.layer, row.op)


def _check_that_more_goes_with_a_larger_share(model: nn.Module, x: Tensor, R: Tensor) -> None:
    # what arrives at the last activation that is pruned does not depend on the share; below, it does
    kept = [watched(model, x, R, Epsilon(), Pruning(p=p))[0][0][1] != 0 for p in (0.2, 0.5, 0.8)]
    for more, fewer in pairwise(kept):
        assert not (fewer & ~more).any()
