"""Layers forget from the top, the model does not; maps that ignore the model stay and maps that do not change."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from seqplrp import SeqplrpError
from seqplrp.evaluate import RANDOMISATION_MEASURES, layer_randomisation, layers_of, reinitialised


class Net(nn.Module):
    """Defined in another order than it is called in."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.first = nn.Conv1d(4, 6, 5, padding=2)
        self.first_norm = nn.BatchNorm1d(6)
        self.second = nn.Conv1d(6, 6, 3, padding=1)
        self.second_norm = nn.BatchNorm1d(6)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first_norm(self.first(x)).relu()
        h = self.second_norm(self.second(h)).relu()
        return self.head(h.mean(dim=2))


def trained() -> Net:
    torch.manual_seed(0)
    net = Net()
    for norm in (net.first_norm, net.second_norm):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        nn.init.normal_(norm.weight)
    return net.eval()


X = (
    torch.nn.functional.one_hot(torch.from_numpy(np.random.default_rng(0).integers(4, size=(6, 40))))
    .float()
    .transpose(1, 2)
)
TARGET = torch.tensor([0, 1, 2, 0, 1, 2])


def gradient_map(model: nn.Module) -> Tensor:
    x = X.clone().requires_grad_()
    model(x).gather(1, TARGET[:, None]).sum().backward()
    return (x * x.grad).sum(dim=1).detach()


def names(model: nn.Module, example: Tensor | None = None) -> list[str]:
    return [layer.name for layer in layers_of(model, example)]


def test_layers_come_from_the_top_as_the_model_calls_them_with_their_norms() -> None:
    found = layers_of(trained(), X[:1])
    assert [(layer.name, layer.modules) for layer in found] == [
        ("head", ("head",)),
        ("second", ("second", "second_norm")),
        ("first", ("first", "first_norm")),
    ]
    assert names(trained()) == ["second", "first", "head"]  # without an example: as defined


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


def test_the_users_model_its_mode_and_torchs_random_state_stay_as_they_were() -> None:
    net = trained()
    before, state = copy.deepcopy(net), torch.get_rng_state()
    net.first.train()
    layer_randomisation(net, gradient_map, example=X[:1], seeds=2)
    assert same(net, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert net.first.training
    assert not net.training
    assert not net._forward_pre_hooks
    assert all(p.grad is None for p in before.parameters())


def test_a_cascade_forgets_ever_more_layers_and_independent_ones_forget_one_each() -> None:
    net, seen = trained(), {"cascade": [], "independent": []}
    for mode in seen:

        def explain(model: nn.Module, mode: str = mode) -> Tensor:
            seen[mode].append(copy.deepcopy(model))
            return gradient_map(model)

        layer_randomisation(net, explain, example=X[:1], seeds=1, mode=mode, relevance=gradient_map(net))
    order = ["head", "second", "first"]
    for depth in range(3):
        for number, name in enumerate(order):
            kept = getattr(net, name).weight
            cascade, alone = (getattr(seen[mode][depth], name).weight for mode in ("cascade", "independent"))
            assert torch.equal(cascade, kept) == (number > depth)
            assert torch.equal(alone, kept) == (number != depth)
        # A layer's new weights depend on the seed and the layer, not on what else is new.
        new = order[depth]
        assert torch.equal(getattr(seen["cascade"][depth], new).weight, getattr(seen["independent"][depth], new).weight)


def test_a_batch_norm_is_reset_with_its_layer_and_then_passes_on_what_it_gets() -> None:
    net = trained()
    changed = reinitialised(net, layers_of(net, X[:1])[:2], 0, numbers=[0, 1])
    h = torch.randn(3, 6, 9)
    torch.testing.assert_close(changed.second_norm(h), h, rtol=1e-4, atol=1e-4)
    assert same(changed.first_norm, net.first_norm)


def test_a_batch_norm_that_has_statistics_alone_is_reset_too() -> None:
    net = nn.Sequential(nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6, affine=False), nn.ReLU(), nn.Flatten(), nn.Linear(216, 3))
    net[1].running_mean.fill_(3.0)
    assert [layer.modules for layer in layers_of(net, X[:1])] == [("4",), ("0", "1")]
    changed = reinitialised(net, layers_of(net, X[:1]), 0, numbers=[0, 1])
    assert not changed[1].running_mean.any()
    assert (net[1].running_mean == 3).all()


def test_a_model_that_can_not_be_copied_is_told_so() -> None:
    net = nn.Sequential(nn.Conv1d(4, 6, 5), nn.Flatten(), nn.Linear(216, 3))
    net[0].doubled = net[0].weight * 2  # no leaf of the graph, as under torch.nn.utils.weight_norm
    with pytest.raises(SeqplrpError, match="Sequential: can't be copied"):
        layer_randomisation(net, gradient_map, relevance=np.ones((6, 40)))


def test_a_model_that_refuses_to_be_copied_without_a_word_is_named_too() -> None:
    class Silent(nn.Linear):
        def __deepcopy__(self, memo):
            raise NotImplementedError

    with pytest.raises(SeqplrpError, match=r"Silent: can't be copied \(NotImplementedError\)"):
        layer_randomisation(Silent(4, 1), gradient_map, relevance=np.ones((6, 40)))


def test_a_seed_repeats_its_weights_and_another_gives_others() -> None:
    net = trained()
    layers = layers_of(net, X[:1])
    one, again, other = (reinitialised(net, layers, seed, numbers=range(3)) for seed in (0, 0, 1))
    assert same(one, again)
    assert not torch.equal(one.head.weight, other.head.weight)


def test_likeness_is_scipys_rank_correlation_of_the_maps_before_and_after() -> None:
    net = trained()
    maps: list[np.ndarray] = []

    def explain(model: nn.Module) -> Tensor:
        maps.append(gradient_map(model).numpy())
        return gradient_map(model)

    ignore = np.zeros((6, 40), dtype=bool)
    ignore[:, :4] = True
    got = layer_randomisation(net, explain, example=X[:1], seeds=2, seed=7, ignore=ignore).table
    assert got["seed"].unique().tolist() == [7, 8]
    assert got["layer"].unique().tolist() == ["head", "second", "first"]
    for number, (_, rows) in enumerate(got.groupby(["seed", "depth"], sort=True)):
        for row in rows.itertuples():
            before, after = maps[0][row.input, 4:], maps[number + 1][row.input, 4:]
            assert row.spearman == pytest.approx(stats.spearmanr(before, after).statistic)
            assert row.spearman_abs == pytest.approx(stats.spearmanr(np.abs(before), np.abs(after)).statistic)
            tops = [set(np.argsort(-np.abs(values))[:4]) for values in (before, after)]
            assert row.overlap == pytest.approx(len(tops[0] & tops[1]) / 4)


def test_a_map_that_ignores_the_model_is_found_out_and_one_that_follows_it_is_not() -> None:
    net = trained()
    fixed = gradient_map(net)
    blind = layer_randomisation(net, lambda model: fixed, example=X[:1], seeds=2).measures()
    assert list(blind) == [m.name for m in RANDOMISATION_MEASURES]
    for value in blind.values():
        np.testing.assert_allclose(value, 1)
    following = layer_randomisation(net, gradient_map, example=X[:1], seeds=5).measures()
    assert np.abs(following["randomised_spearman"]).mean() < 0.5


def test_measures_are_read_at_the_end_of_a_cascade_and_over_all_independent_layers() -> None:
    net = trained()
    cascade = layer_randomisation(net, gradient_map, example=X[:1], seeds=3)
    table = cascade.table
    last = table[(table["depth"] == 3) & (table["input"] == 2)]
    assert cascade.measures()["randomised_spearman"][2] == pytest.approx(last["spearman"].mean())
    alone = layer_randomisation(net, gradient_map, example=X[:1], seeds=3, mode="independent")
    rows = alone.table[alone.table["input"] == 2]
    assert len(rows) == 9
    assert alone.measures()["randomised_overlap"][2] == pytest.approx(rows["overlap"].mean())


def test_maps_without_a_shape_are_counted_not_averaged_away() -> None:
    net, zeros = trained(), torch.zeros(6, 40)
    got = layer_randomisation(net, lambda model: zeros, example=X[:1], relevance=gradient_map(net), seeds=2)
    layers = got.by_layer()
    assert layers["layer"].tolist() == ["head", "second", "first"]
    assert (layers["spearman_undefined"] == 12).all()
    assert (layers["spearman_n"] == 0).all()
    assert np.isnan(got.measures()["randomised_spearman"]).all()


class Odd(nn.Module):
    """Weights that have no reset of their own, that are computed from others, and that are vectors alone."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(4, 5))
        self.scale = Scale()
        self.normed = parametrizations.weight_norm(nn.Linear(5, 5))
        self.attention = nn.MultiheadAttention(5, 1, batch_first=True)
        self.recurrent = nn.LSTM(5, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.normed(self.scale(x.transpose(1, 2) @ self.table))
        h = self.attention(h, h, h)[0]
        return self.head(self.recurrent(h)[0].mean(dim=1))


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.randn(5))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def test_every_kind_of_weight_is_made_new_and_its_scheme_is_the_stated_one() -> None:
    torch.manual_seed(1)
    net = Odd().eval()
    layers = layers_of(net, X[:1])
    assert [layer.name for layer in layers] == ["head", "recurrent", "attention.out_proj", "attention", "normed", "Odd"]
    assert layers[-1].modules == ("", "scale")
    changed = reinitialised(net, layers, 0, numbers=range(len(layers)))
    old = dict(net.named_parameters())
    for name, tensor in changed.named_parameters():
        constant = name.endswith("bias") and "recurrent" not in name and "head" not in name and "normed" not in name
        assert constant or not torch.equal(tensor, old[name]), name
    # No reset of their own: the same numbers elsewhere.
    for name in ("table", "scale.factor", "normed.parametrizations.weight.original1"):
        assert torch.equal(
            dict(changed.named_parameters())[name].flatten().sort().values, old[name].flatten().sort().values
        )
    assert not torch.equal(changed.normed.weight, net.normed.weight)


def test_chosen_layers_a_reset_of_ones_own_and_progress() -> None:
    net, told = trained(), []
    got = layer_randomisation(
        net,
        gradient_map,
        example=X[:1],
        layers=["head", "s*"],
        seeds=2,
        reset=lambda module: [nn.init.constant_(p, 0.5) for p in module.parameters()],
        progress=lambda *now: told.append(now),
    )
    assert [layer.name for layer in got.layers] == ["head", "second"]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert got.table.groupby("depth")["spearman"].nunique().max() <= 6  # both seeds give the same constants


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"seeds": 0}, "seeds: 0"),
        ({"mode": "down"}, "mode: is 'down'"),
        ({"layers": ["tail"]}, "layers: no layer matches 'tail'; the layers are head, second, first"),
        ({"layers": "head"}, "layers: 'head' is no list"),
        ({"model": nn.Flatten()}, "Flatten: has no parameters"),
        ({"reset": lambda module: None}, "layer 'head': keeps its weights"),
        ({"explain": lambda model: np.full((6, 40), np.nan)}, "not finite"),
    ],
)
def test_what_can_not_be_done_is_refused(change: dict, text: str) -> None:
    given = {"model": trained(), "explain": gradient_map, "example": X[:1]} | change
    if isinstance(given["model"], nn.Flatten):
        given["example"] = None
    with pytest.raises(SeqplrpError) as error:
        layer_randomisation(**given)
    assert text in str(error.value)
