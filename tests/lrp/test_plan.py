"""Plans: rules by pattern, where is pruned, residual nets against a hand-written computation, balanced ledgers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine import Calls, back_through, graph_of, one_hot, seeded
from naive_lrp import kept_by_mass, matrix_of, rescaled, share, share_again
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import AlphaBeta, Epsilon, Flat, Gamma, Propagated, Pruning, Relative, Rule, ZBox, ZPlus, make_plan

X = one_hot(3, 12)


# ---- rules by pattern


@cache
def plain_net() -> nn.Module:
    return seeded(
        lambda: nn.ModuleDict(
            {
                "body": nn.Sequential(nn.Conv1d(4, 5, 3), nn.ReLU(), nn.Conv1d(5, 5, 3), nn.ReLU()),
                "head": nn.Linear(40, 2),
            }
        )
    )


@cache
def named_net() -> nn.Module:
    parts = plain_net()
    return Calls(lambda s, x: s.head(s.body(x).flatten(1)), body=parts["body"], head=parts["head"]).eval()


def rules_placed(rules) -> list[str]:
    plan = make_plan(graph_of(named_net(), X), named_net(), rules)
    return [row[3] for row in plan.table() if row[2] in ("conv1d", "linear")]


def test_the_first_pattern_that_matches_places_the_rule() -> None:
    placed = rules_placed({"body.0": Flat(), "body.*": Gamma(0.5), "*": Epsilon()})
    assert placed == ["Flat(eps=1e-06)", "Gamma(gamma=0.5, eps=1e-06)", "Epsilon(eps=1e-06)"]
    assert rules_placed(None) == ["Epsilon(eps=1e-06)"] * 3
    assert rules_placed(ZPlus()) == ["ZPlus(eps=1e-06)"] * 3


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        ({"body.*": Gamma()}, "rule for head"),
        ({"*": Gamma(), "tail": Epsilon()}, "rule pattern 'tail'"),
        ({"body.*": "gamma", "*": Epsilon()}, "rule for body.0"),
        (Gamma, "rule for body.0"),
        ("gama", "rule"),
        ({}, "rule for body.0"),
    ],
)
def test_a_mapping_must_fit_the_model(rules, where: str) -> None:
    with pytest.raises(sp.SeqplrpError) as caught:
        rules_placed(rules)
    assert caught.value.where == where


@pytest.mark.parametrize(("p", "where"), [({"body.*": 0.5}, "p at head"), ({"*": 0.5, "tail": 0.1}, "p['tail']")])
def test_shares_by_pattern_must_fit_the_model_too(p, where: str) -> None:
    with pytest.raises(sp.SeqplrpError) as caught:
        sp.Explainer(named_net(), X, method=sp.PLRP(p=p))
    assert caught.value.where == where


def test_the_table_shows_every_step_its_rule_and_its_pruning() -> None:
    shown = repr(sp.Explainer(named_net(), X, method=sp.PLRP(p=0.5)))
    lines = [line.split() for line in shown.splitlines()]
    assert ["1", "body.0", "conv1d", "ConservingRelative(eps=1e-06)"] in lines
    assert ["3", "body.2", "conv1d", "Gamma(gamma=0.25,", "eps=1e-06)"] in lines
    # two activations feed layers: the ReLU before body.2, and the one that head reads flattened
    assert sum("lambda" in line for line in lines[1:]) == 2


# ---- where is pruned


def points_of(model: nn.Module, x: Tensor = X) -> tuple[list[tuple[str, ...]], int]:
    plan = make_plan(graph_of(model, x), model)
    return sorted(point.readers for point in plan.prune_points.values()), plan.depth


def conv(width: int = 3, inside: int = 4) -> nn.Conv1d:
    return nn.Conv1d(inside, inside, width, padding="same")


def test_the_input_is_no_prune_point_however_it_is_moved() -> None:
    for first in (lambda x: x, lambda x: F.pad(x, (1, 1))[..., 1:-1], lambda x: torch.cat([x, x.flip(1, 2)], 1)[:, :4]):
        model = seeded(lambda first=first: Calls(lambda s, x: s.a(first(x)), a=conv()))
        assert points_of(model) == ([], 0)


def test_a_pool_a_norm_and_a_sum_are_no_readers() -> None:
    """Only what feeds conv and linear layers is pruned: here the norm's value and the sum's."""
    model = seeded(
        lambda: Calls(
            lambda s, x: s.c((lambda h: h + s.b(s.norm(F.max_pool1d(h, 3, 1, 1))))(s.a(x).relu()).flatten(1)),
            a=conv(),
            norm=nn.BatchNorm1d(4),
            b=conv(),
            c=nn.Linear(48, 2),
        )
    )
    assert points_of(model) == ([("b",), ("c",)], 2)


def test_moves_between_do_not_change_what_is_pruned() -> None:
    """A reshape, a pad and dropout hold the same units, so the activation before them is the one that is pruned."""
    model = seeded(
        lambda: Calls(
            lambda s, x: s.b(
                F.dropout(F.pad(s.a(x).relu(), (2, 2)), training=s.training).transpose(1, 2).transpose(1, 2)
            ),
            a=conv(),
            b=nn.Conv1d(4, 2, 5),
        )
    )
    (value,) = make_plan(graph_of(model, X), model).prune_points
    assert "relu" in value


def test_depth_counts_the_longest_path() -> None:
    skip = seeded(
        lambda: Calls(
            lambda s, x: (lambda h: s.d((h + s.c(s.b(h).relu()).relu()).flatten(1)))(s.a(x).relu()),
            a=conv(),
            b=conv(),
            c=conv(),
            d=nn.Linear(48, 1),
        )
    )
    assert points_of(skip) == ([("b",), ("c",), ("d",)], 3)
    uneven = seeded(
        lambda: Calls(
            lambda s, x: (lambda h: s.e(torch.cat([s.b(h).relu(), s.d(s.c(h).relu()).relu()], 1).flatten(1)))(
                s.a(x).relu()
            ),
            a=conv(),
            b=conv(),
            c=conv(),
            d=conv(),
            e=nn.Linear(96, 1),
        )
    )
    assert points_of(uneven) == ([("b", "c"), ("d",), ("e",)], 3)
    found = back_through(uneven, X, None, Epsilon(), Pruning(budget=0.875))
    shares = {row.rule for row in found.ledger.rows if row.op == "prune"}
    assert shares == {"mass 0.5 (-0.25)"}


# ---- residual and branched nets, by hand


class Residual(nn.Module):
    """h = relu(a(x)); s = h + relu(b(h)); out(s): h is read by a conv and by the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Conv1d(4, 3, 3), nn.Conv1d(3, 3, 3, padding=1), nn.Linear(30, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).relu()
        return self.out((h + self.b(h).relu()).flatten(1))


class PreActivation(Residual):
    """The skip carries a value of both signs, and the sum is rectified."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        return self.out((h + self.b(h)).relu().flatten(1))


class Branched(Residual):
    """h is read by two convs, whose outputs stand side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.out = nn.Conv1d(3, 2, 1), nn.Linear(50, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).relu()
        return self.out(torch.cat([self.b(h).relu(), self.c(h).relu()], 1).flatten(1))


Matrix = tuple[np.ndarray, np.ndarray]


def by_hand(model: Residual, x: np.ndarray, target: int, rule: str, mode: str, p: float, tau: float) -> np.ndarray:
    """METHODS.md, section 3, for the three nets above: each activation is pruned once, after all its readers."""
    a, b = matrix_of(model.a, (4, 12)), matrix_of(model.b, (3, 10))
    out = (model.out.weight.detach().numpy().T, model.out.bias.detach().numpy())
    eps = 1e-6

    def forward(values: np.ndarray, layer: Matrix) -> np.ndarray:
        return values @ layer[0] + layer[1]

    def prune(before: np.ndarray, kept_again: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        kept = kept_by_mass(before, p, p / 2)
        if mode == "lambda":
            return rescaled(np.where(kept, before, 0), before)
        again = kept_again(kept)
        return again if tau == 0 else rescaled(again, before)

    def again(values: np.ndarray, layer: Matrix, R: np.ndarray, kept: np.ndarray) -> np.ndarray:
        return share_again(rule, values, *layer, R, kept, tau)[0]

    h = forward(x, a)
    h = h if isinstance(model, PreActivation) else np.maximum(h, 0)
    second = forward(h, b)
    if isinstance(model, Branched):
        c = matrix_of(model.c, (3, 10))
        parts = [np.maximum(second, 0), np.maximum(forward(h, c), 0)]
        s = np.concatenate(parts)
    elif isinstance(model, PreActivation):
        s = np.maximum(h + second, 0)
    else:
        second = np.maximum(second, 0)
        s = h + second
    scores = forward(s, out)
    R = np.where(np.arange(2) == target, scores, 0)
    r = prune(share(rule, s, *out, R).relevance, lambda kept: again(s, out, R, kept))
    if isinstance(model, Branched):
        for_b, for_c = r[: len(second)], r[len(second) :]
        total = share(rule, h, *b, for_b).relevance + share(rule, h, *c, for_c).relevance
        r = prune(total, lambda kept: again(h, b, for_b, kept) + again(h, c, for_c, kept))
    else:
        z = h + second
        quotient = r / (z + eps * np.where(z >= 0, 1, -1))
        skip, through = h * quotient, second * quotient
        total = skip + share(rule, h, *b, through).relevance
        r = prune(total, lambda kept: kept * skip + again(h, b, through, kept))
    return share(rule, x, *a, r).relevance


@cache
def residual(kind: type[Residual]) -> Residual:
    model = seeded(kind, seed=6)
    assert isinstance(model, Residual)
    return model


RULES: dict[str, Rule] = {"epsilon": Epsilon(), "gamma": Gamma(0.25), "zplus": ZPlus(), "alphabeta": AlphaBeta(2, 1)}


@pytest.mark.parametrize("kind", [Residual, PreActivation, Branched], ids=lambda k: k.__name__)
@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize(("mode", "tau"), [("lambda", 0.2), ("matrix", 0.2), ("matrix", 0.0), ("matrix", 0.7)])
def test_a_shared_activation_is_pruned_once_after_the_sum_of_its_readers(kind, rule, mode, tau) -> None:
    model = residual(kind)
    pruning = Pruning(p=0.4, mode=mode, tau=tau)
    found = sp.explain(model, X, target=1, method=sp.PLRP(rule=RULES[rule], p=0.4, mode=mode, tau=tau))
    rows = found.ledger[(found.ledger.sequence == 0) & (found.ledger.op == "prune")]
    assert len(rows) == 2
    assert pruning.mode == mode
    for n in range(len(X)):
        expected = by_hand(model, X[n].numpy().ravel(), 1, rule, mode, 0.4, tau)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found.relevance[n].numpy().ravel(), expected, rtol=1e-7, atol=1e-9 * scale)


@pytest.mark.parametrize("mode", ["lambda", "matrix"])
def test_matrix_mode_where_a_relative_layer_reads_beside_another(mode: str) -> None:
    """Relative has no denominator to work out again: its share is masked, the other's propagated again."""
    model = residual(Branched)
    rules = {"b": Relative(), "*": Epsilon()}
    found = back_through(model, X, None, rules, Pruning(p=0.4, mode=mode))
    assert torch.isfinite(found.relevance).all()
    assert found.relevance.any()


# ---- ledgers


class BPNetLike(nn.Module):
    """Dilated residual layers, each cropped to what it sees whole; mean over positions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 8, 7, padding=3)
        self.layers = nn.ModuleList(nn.Conv1d(8, 8, 3, padding=2**i, dilation=2**i) for i in range(1, 4))
        self.profile, self.count = nn.Conv1d(8, 1, 5), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        for layer in self.layers:
            h = h + layer(h).relu()
        h = h[:, :, 6:-6]
        profile = self.profile(h).squeeze(1)[:, 1:-1]
        return torch.cat([self.count(h.mean(2)), profile], 1)


class CroppedSkip(nn.Module):
    """Valid convolutions, whose skips are cropped to fit."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 6, 5)
        self.layers = nn.ModuleList(nn.Conv1d(6, 6, 3, dilation=d) for d in (1, 2, 4))
        self.out = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        for layer in self.layers:
            d = layer.dilation[0]
            h = h[..., d:-d] + layer(h).relu()
        return self.out(h.sum(-1))


class Block(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.a = nn.Conv1d(inside, outside, 3, stride=stride, padding=1, bias=False)
        self.norm_a, self.norm_b = nn.BatchNorm1d(outside), nn.BatchNorm1d(outside)
        self.b = nn.Conv1d(outside, outside, 3, padding=1, bias=False)
        self.skip = (
            nn.Sequential(nn.Conv1d(inside, outside, 1, stride=stride, bias=False), nn.BatchNorm1d(outside))
            if stride > 1
            else nn.Identity()
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm_b(self.b(self.relu(self.norm_a(self.a(x))))) + self.skip(x))


def resnet1d() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(4, 8, 7, padding=3, bias=False),
        nn.BatchNorm1d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool1d(3, stride=2, padding=1),
        Block(8, 8, 1),
        Block(8, 12, 2),
        Block(12, 12, 1),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(12, 3),
    )


def everything() -> nn.Module:
    """Lone batch norms, average pools, grouped and same-padded convs, scales and shifts."""
    return Calls(
        lambda s, x: s.out(s.tail((s.head(s.norm(x)) * 0.5 + 0.1) - s.shift.weight.T[None]).flatten(1)) / 2,
        norm=nn.BatchNorm1d(4),
        head=nn.Sequential(
            nn.Conv1d(4, 6, 4, padding="same"), nn.ReLU(), nn.AvgPool1d(2, 2, padding=1), nn.BatchNorm1d(6)
        ),
        shift=nn.Linear(6, 1, bias=False),
        tail=nn.Sequential(nn.Conv1d(6, 6, 3, groups=3), nn.ReLU(), nn.Dropout(), nn.AdaptiveMaxPool1d(4)),
        out=nn.Linear(24, 3),
    )


NETS = {"BPNet-like": BPNetLike, "cropped skips": CroppedSkip, "ResNet1d": resnet1d, "everything": everything}
LONG = one_hot(4, 48, seed=3)


@cache
def net(name: str, dtype: torch.dtype) -> nn.Module:
    return seeded(NETS[name], seed=9).to(dtype)


METHODS: dict[str, sp.LRP] = {
    "epsilon": sp.LRP(),
    "gamma": sp.LRP(rule=Gamma()),
    "alphabeta": sp.LRP(rule=AlphaBeta()),
    "zplus pruned": sp.PLRP(rule=ZPlus(), p=0.5),
    "gamma pruned": sp.PLRP(p=0.5),
    "epsilon, gain": sp.PLRP(rule=Epsilon(), threshold="gain"),
    "gamma, matrix": sp.PLRP(p=0.5, mode="matrix"),
    "gamma, matrix, plain reading": sp.PLRP(p=0.5, mode="matrix", tau=0.0),
    "pruned map": sp.PLRP(p=0.5, prune_input=True),
    "budget": sp.PLRP(budget=0.7, rule=Epsilon()),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("name", list(NETS))
def test_the_ledger_balances_at_every_layer_and_over_all(name, method, dtype) -> None:
    """Score = map + biases + stabilisers + what pruning lost; nothing is unexplained."""
    e = sp.explain(net(name, dtype), LONG.to(dtype), target=1, method=method)
    ledger = e.ledger
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    assert ledger.unexplained.notna().all()
    balance = ledger.unexplained.abs() / ledger["size"].clip(lower=1e-300)
    assert balance.max() < tolerance, ledger.loc[balance.idxmax()]
    parts = ledger.groupby("sequence")[["bias", "stabiliser", "residue"]].sum().sum(axis=1).to_numpy()
    total = e.relevance.double().sum((1, 2)).numpy() + parts
    largest = ledger.groupby("sequence")["size"].max().to_numpy()
    np.testing.assert_array_less(np.abs(total - e.output.double().numpy()), len(ledger) * tolerance * largest)
    pruned = ledger[ledger.op == "prune"]
    if method.pruning is None:
        assert pruned.empty
    elif method.tau > 0:
        assert (pruned.residue.abs() / pruned["size"]).max() < tolerance
        assert (pruned.kept_share < 1).any()


@pytest.mark.parametrize("name", list(NETS))
def test_relative_claims_no_balance_but_says_its_scale(name: str) -> None:
    e = sp.explain(net(name, torch.float64), LONG, target=1, method=sp.PLRP(rule=Relative(), p=0.5))
    layers = e.ledger[e.ledger.rule == "Relative"]
    assert len(layers)
    assert layers.unexplained.isna().all()
    assert (layers.scale > 0).all()
    sizes = e.ledger[e.ledger.rule != "Relative"]
    assert (sizes.unexplained.abs() / sizes["size"].clip(lower=1e-300)).max() < 1e-12


@pytest.mark.parametrize(
    "rules",
    [
        {"first": Flat(), "*": Gamma()},
        {"first": ZBox(0.0, 1.0), "*": Epsilon()},
        {"first": Relative(), "*": AlphaBeta()},
    ],
    ids=["flat below", "box below", "relative below"],
)
def test_rules_of_the_first_layer_keep_the_balance(rules) -> None:
    e = sp.explain(net("cropped skips", torch.float64), LONG, target=0, method=sp.PLRP(rule=rules, p=0.5))
    claimed = e.ledger[e.ledger.rule != "Relative"]
    assert (claimed.unexplained.abs() / claimed["size"]).max() < 1e-12


def test_a_map_that_nothing_reaches_is_zero_not_missing() -> None:
    """All of a ReLU layer is dead: the score is all bias."""
    model = seeded(lambda: nn.Sequential(nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(30, 1)))
    with torch.no_grad():
        model[0].bias.fill_(-100.0)
    for method in (sp.LRP(), sp.PLRP(), sp.PLRP(mode="matrix"), sp.PLRP(rule=Relative()), sp.PLRP(threshold="gain")):
        e = sp.explain(model, X, method=method)
        assert not e.relevance.any()
        assert torch.isfinite(e.hypothetical).all()


def test_layers_in_a_deep_net_pass_on_what_they_get() -> None:
    """Rows hang together: what a prune point hands on arrives, in sum, at the layers below."""
    found: Propagated = back_through(named_net(), X, None, Epsilon(), Pruning(p=0.5))
    rows = found.ledger.rows
    for upper, lower in itertools.pairwise(rows):
        torch.testing.assert_close(upper.numbers["relevance_in"], lower.numbers["relevance_out"], rtol=1e-9, atol=1e-12)
