"""What the explainer offers beside the map: layers, further inputs, lengths, many targets, ensembles, checks."""

from __future__ import annotations

import copy
from collections import OrderedDict
from functools import cache
from itertools import pairwise

import pandas as pd
import pytest
import torch
from nets import seeded, sequences
from torch import Tensor, nn

import seqplrp as sp


def test_a_score_that_is_a_small_difference_of_large_numbers_passes_the_check() -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 26, 1)), seed=2)
    x = torch.eye(4)[torch.randint(0, 4, (200, 30), generator=torch.Generator().manual_seed(3))].transpose(1, 2)
    with torch.no_grad():
        hidden = model[:-1](x.double())
        scores = model(x.double())
        model[-1].bias -= scores[17]  # its score is 0 but for rounding
    e = sp.explain(model.float(), x, method="lrp", check=True)
    last = e.ledger[e.ledger.op == "linear"].set_index("sequence")
    parts = (hidden * model[-1].weight.detach().double()).abs().sum(1)
    assert abs(float(e.output[17])) < 1e-6 * float(parts[17])
    assert (last.unexplained.abs() / last["size"]).max() > 1e-5  # what the scores' size alone would say
    kept = (e.output.abs() / (e.output.abs() + 1e-6)).double()
    torch.testing.assert_close(torch.tensor(last.size_in.to_numpy()), parts * kept, rtol=1e-4, atol=1e-5)
    assert e.ledger[e.ledger.op == "conv1d"].size_in.isna().all()


# ---- relevance at layers


class Deep(nn.Module):
    """(N, 4, 24) -> (N, 3): a batch norm to fold, a ReLU before a pool, one layer that runs twice, a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.relu, self.pool = nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2)
        self.shared = nn.Conv1d(6, 6, 3, padding=1)
        self.gate, self.sigmoid = nn.Conv1d(6, 6, 1), nn.Sigmoid()
        self.flat, self.head = nn.Flatten(), nn.Linear(60, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.pool(self.relu(self.norm(self.conv(x)))))

    def tail(self, h: Tensor) -> Tensor:
        h = self.shared(h).relu()
        h = self.shared(h).relu()
        return self.head(self.flat(h * self.sigmoid(self.gate(h))))


class From(nn.Module):
    """What comes after some place in `Deep`, as a model of its own."""

    def __init__(self, model: Deep, after: str) -> None:
        super().__init__()
        self.model, self.after = model, after

    def forward(self, h: Tensor) -> Tensor:
        model = self.model
        if self.after == "norm":
            return model.tail(model.pool(model.relu(h)))
        if self.after == "relu":
            return model.tail(model.pool(h))
        if self.after == "pool":
            return model.tail(h)
        if self.after == "shared@0":
            h = model.shared(h.relu())
        h = h.relu()
        return model.head(model.flat(h * model.sigmoid(model.gate(h))))


@cache
def deep() -> Deep:
    model = seeded(Deep, seed=11)
    model.norm.running_mean.normal_(0, 0.2, generator=torch.Generator().manual_seed(1))
    return model


X24 = sequences(4, 24, seed=5)


def activations(model: Deep) -> dict[str, Tensor]:
    """What each place holds."""
    found: dict[str, list[Tensor]] = {}
    hooks = [
        module.register_forward_hook(lambda _, __, y, name=name: found.setdefault(name, []).append(y.clone()))
        for name, module in model.named_children()
    ]
    with torch.no_grad():
        model(X24)
    for hook in hooks:
        hook.remove()
    places = {name: values[0] for name, values in found.items() if len(values) == 1}
    return places | {
        f"{name}@{i}": v for name, values in found.items() for i, v in enumerate(values) if len(values) > 1
    }


LAYERS = ["norm", "relu", "pool", "shared@0", "shared@1"]


@pytest.mark.parametrize("method", [sp.LRP(), sp.LRP(rule=sp.Gamma()), sp.LRP(rule="relative")], ids=str)
def test_relevance_at_a_layer_is_the_map_of_what_comes_after_it(method: sp.Method) -> None:
    e = sp.explain(deep(), X24, 1, method, layers=LAYERS)
    held = activations(deep())
    for layer in LAYERS:
        # a layer's output is explained as the input of the rest: what reads it is no first layer of ours
        expected = sp.explain(From(deep(), layer), held[layer], 1, method).relevance
        scale = expected.abs().amax()
        assert ((e.layers[layer] - expected).abs() <= 1e-9 * scale).all(), layer
    assert list(e.layers) == LAYERS


@pytest.mark.parametrize("mode", ["lambda", "matrix"])
def test_relevance_at_a_layer_is_pruned_where_it_is_pruned(mode: str) -> None:
    method = sp.PLRP(p=0.5, mode=mode)
    explainer = sp.Explainer(deep(), X24, method)
    e = explainer(X24, 1, layers=["pool", "shared@0"])
    plain = sp.explain(deep(), X24, 1, method, batch_size=1)
    torch.testing.assert_close(e.relevance, plain.relevance, rtol=1e-10, atol=1e-14)
    pruned = e.ledger[(e.ledger.op == "prune") & (e.ledger.layer == "shared")]
    share = (e.layers["pool"] != 0).double().mean((1, 2))
    assert (share < 0.6).all()
    at_pool = pruned.groupby("sequence").nth(1)  # from the output down: what the second call reads, then the first
    torch.testing.assert_close(
        torch.tensor(at_pool.relevance_in.to_numpy()), e.layers["pool"].sum((1, 2)), rtol=1e-9, atol=1e-12
    )


def test_a_conv_before_a_folded_norm_has_the_relevance_of_the_norm() -> None:
    e = sp.explain(deep(), X24, 1, "lrp", layers=["conv", "norm"])
    assert torch.equal(e.layers["conv"], e.layers["norm"])


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (["convolution"], "is no module"),
        (["shared"], "shared@0, shared@1"),
        (["sigmoid"], "held constant"),
        (["shared@2"], "is no module"),
    ],
)
def test_a_layer_that_has_no_relevance_is_an_error(layers: list[str], text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        sp.explain(deep(), X24, 1, "lrp", layers=layers)


def test_layers_need_a_method_that_passes_them() -> None:
    with pytest.raises(sp.SeqplrpError, match="LRP or PLRP"):
        sp.explain(deep(), X24, 1, "saliency", layers=["conv"])
    with pytest.raises(sp.SeqplrpError, match="both strands"):
        sp.explain(deep(), X24, 1, sp.LRP(reverse_complement=True), layers=["conv"])


# ---- further inputs


class Controlled(nn.Module):
    """A control track is added to the signal, and a number a sequence to the score."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 6, 5), nn.Linear(6, 2, bias=False)

    def forward(self, x: Tensor, track: Tensor, number: Tensor) -> Tensor:
        h = self.conv(x).relu()
        return self.head((h + track).mean(2)) + number


def test_what_falls_on_further_inputs_is_reported_and_adds_up() -> None:
    model = seeded(Controlled, seed=12)
    generator = torch.Generator().manual_seed(3)
    track = torch.rand(4, 1, 20, dtype=torch.float64, generator=generator)
    number = torch.rand(4, 1, dtype=torch.float64, generator=generator)
    e = sp.explain(model, X24, 0, "lrp", args=(track, number), check=True, batch_size=3)
    torch.testing.assert_close(e.output, model(X24, track, number)[:, 0].detach())
    sums = e.ledger.groupby("sequence")[["fixed_inputs", "bias", "stabiliser"]].sum()
    whole = e.relevance.sum((1, 2)) + torch.tensor(sums.sum(axis=1).to_numpy())
    torch.testing.assert_close(whole, e.output, rtol=1e-12, atol=1e-13)
    on_track = track.mean((1, 2)) * model.head.weight.detach().sum(1)[0]
    torch.testing.assert_close(torch.tensor(sums.fixed_inputs.to_numpy()), on_track + number[:, 0], rtol=1e-3, atol=0)
    for n in range(4):
        alone = sp.explain(model, X24[n : n + 1], 0, "lrp", args=(track[n : n + 1], number[n : n + 1]))
        torch.testing.assert_close(alone.relevance[0], e.relevance[n], rtol=1e-10, atol=1e-14)
    assert any("held fixed" in note for note in e.notes)


def test_one_row_of_a_further_input_serves_all_sequences() -> None:
    model = seeded(Controlled, seed=12)
    track, number = torch.ones(1, 1, 20, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    one = sp.explain(model, X24, 0, "lrp", args=(track, number))
    each = sp.explain(model, X24, 0, "lrp", args=(track.repeat(4, 1, 1), number.repeat(4, 1)))
    assert torch.equal(one.relevance, each.relevance)


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (torch.ones(4, 1, 20), "no tuple of tensors"),
        ((torch.ones(3, 1, 20), torch.ones(4, 1)), r"args\[0\]: has shape \(3, 1, 20\) beside 4"),
        ((torch.full((4, 1, 20), float("nan")), torch.ones(4, 1)), r"args\[0\]: holds NaN"),
        ((), "Controlled"),
    ],
)
def test_further_inputs_that_do_not_fit_are_errors(args, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        sp.explain(seeded(Controlled, seed=12), X24, 0, "lrp", args=args)


# ---- (N, L, 4)


class Turned(nn.Module):
    """A model of (N, L, 4) around one of (N, 4, L)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x.transpose(1, 2))


@pytest.mark.parametrize(
    "method", [sp.PLRP(p=0.5), sp.LRP(rule="epsilon-gamma-box"), sp.Saliency(), sp.PLRP(reverse_complement=True)]
)
def test_a_model_of_nlc_gives_the_map_of_its_ncl_twin(method: sp.Method) -> None:
    expected = sp.explain(deep(), X24, 1, method)
    found = sp.explain(Turned(deep()), X24, 1, method, layout="NLC")
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(found.output, expected.output)


@pytest.mark.parametrize("layout", ["NHWC", "ncl", None])
def test_an_unknown_layout_is_an_error(layout) -> None:
    with pytest.raises(sp.SeqplrpError, match="layout"):
        sp.explain(deep(), X24, 1, layout=layout)


# ---- other lengths


class AnyLength(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.head = nn.Conv1d(4, 6, 5), nn.Conv1d(6, 6, 3, dilation=2), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = nn.functional.max_pool1d(self.conv1(x).relu(), 2)
        return self.head(self.conv2(h).relu().mean(2))


@pytest.mark.parametrize("method", [sp.PLRP(p=0.5), sp.LRP(), sp.GradientTimesInput()])
def test_another_length_gives_what_an_explainer_of_that_length_gives(method: sp.Method) -> None:
    model = seeded(AnyLength, seed=13)
    explainer = sp.Explainer(model, X24, method)
    for length in (24, 37, 60, 24):
        x = sequences(3, length, seed=length)
        found = explainer(x, target=2)
        expected = sp.Explainer(model, x, method)(x, target=2)
        torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-11, atol=1e-15)
        torch.testing.assert_close(found.output, model(x)[:, 2].detach())


def test_a_model_of_one_length_says_so() -> None:
    explainer = sp.Explainer(deep(), X24, "lrp")
    with pytest.raises(sp.SeqplrpError, match=r"\(3, 4, 30\).*can't be explained at another length"):
        explainer(sequences(3, 30), target=0)
    assert explainer(X24, target=0).relevance.isfinite().all()


# ---- many targets


@pytest.mark.parametrize("method", [sp.PLRP(p=0.5), sp.PLRP(mode="matrix"), sp.LRP(rule="relative"), sp.Saliency()])
def test_many_targets_give_what_each_gives_alone(method: sp.Method) -> None:
    explainer = sp.Explainer(deep(), X24, method)
    targets = [0, 2, [0, 1, 2, 0], "predicted", 0]
    many = explainer.many(X24, targets, batch_size=3)
    for target, found in zip(targets, many, strict=True):
        alone = explainer(X24, target, batch_size=3)
        assert torch.equal(found.relevance, alone.relevance)
        assert torch.equal(found.output, alone.output)
        assert torch.equal(found.target, alone.target)
        pd.testing.assert_frame_equal(found.ledger, alone.ledger)


def test_no_target_at_all_is_an_error() -> None:
    with pytest.raises(sp.SeqplrpError, match="at least one target"):
        sp.Explainer(deep(), X24, "lrp").many(X24, [])


# ---- ensembles


@cache
def folds() -> tuple[nn.Module, ...]:
    return tuple(seeded(Deep, seed=seed) for seed in (21, 22, 23))


@pytest.mark.parametrize("method", [sp.PLRP(p=0.5), sp.PLRP(reverse_complement=True, center="uniform")])
def test_an_ensemble_is_the_mean_of_its_members_with_their_spread(method: sp.Method) -> None:
    e = sp.explain(folds(), X24, 1, method, layers=[] if method.reverse_complement else ["pool"])
    each = [sp.explain(model, X24, 1, method) for model in folds()]
    maps, scores = torch.stack([one.relevance for one in each]), torch.stack([one.output for one in each])
    torch.testing.assert_close(e.relevance, maps.mean(0))
    torch.testing.assert_close(e.relevance_spread, maps.std(0))
    torch.testing.assert_close(e.per_base_spread, maps.sum(2).std(0))
    torch.testing.assert_close(e.output, scores.mean(0))
    torch.testing.assert_close(e.output_spread, scores.std(0))
    torch.testing.assert_close(e.relevance, X24 * e.hypothetical)
    for member, one in zip(e.members, each, strict=True):
        torch.testing.assert_close(member.relevance, one.relevance)
    assert e.ledger.member.unique().tolist() == [0, 1, 2]
    of_second = e.ledger[e.ledger.member == 1].drop(columns="member").reset_index(drop=True)
    pd.testing.assert_frame_equal(of_second, each[1].ledger)
    e.check()
    assert e.notes[0] == "mean over 3 models"


def test_relative_maps_of_an_ensemble_are_brought_to_one_size_and_one_sign_first() -> None:
    method = sp.LRP(rule="relative")
    e = sp.explain(folds(), X24, 1, method)
    found = [sp.explain(model, X24, 1, method) for model in folds()]
    each, signs = [one.relevance for one in found], [one.output.sign() for one in found]
    assert any((sign < 0).any() for sign in signs)
    sizes = [one.abs().sum((1, 2), keepdim=True) for one in each]
    scaled = torch.stack(
        [
            one * (sum(sizes) / 3) / size * sign[:, None, None]
            for one, size, sign in zip(each, sizes, signs, strict=True)
        ]
    )
    torch.testing.assert_close(e.relevance, scaled.mean(0))
    torch.testing.assert_close(e.relevance_spread, scaled.std(0))


def test_an_ensemble_of_one_has_no_spread() -> None:
    e = sp.explain([deep()], X24, 1)
    assert torch.equal(e.relevance, sp.explain(deep(), X24, 1).relevance)
    assert (e.relevance_spread == 0).all()


def test_members_that_explain_different_outputs_are_an_error() -> None:
    highest = [model(X24).argmax(1) for model in folds()]
    assert any(not torch.equal(highest[0], other) for other in highest[1:])
    with pytest.raises(sp.SeqplrpError, match="different outputs"):
        sp.explain(folds(), X24, "predicted")
    with pytest.raises(sp.SeqplrpError, match="empty list"):
        sp.explain([], X24, 0)


# ---- checks


def test_the_check_passes_in_either_precision_and_can_fail() -> None:
    model = deep()
    sp.explain(model, X24, 1, check=True)
    e = sp.explain(copy.deepcopy(model).float(), X24.float(), 1, check=True)
    worst = (e.ledger.unexplained.abs() / e.ledger[["size", "size_in"]].max(axis=1)).max()
    e.check(worst * 1.01)
    with pytest.raises(sp.SeqplrpError, match=r"sequence \d+: the ledger leaves .* unexplained, above"):
        e.check(worst / 2)
    with pytest.raises(sp.SeqplrpError, match="unexplained, above 1e-30"):
        sp.explain(model, X24, 1, check=1e-30)


def test_the_check_names_the_sequence_and_layer_that_are_amiss() -> None:
    e = sp.explain(deep(), X24, 1, "lrp", batch_size=3)
    row = e._accounts[1].ledger.rows[-1]
    row.numbers["unexplained"] = row.numbers["unexplained"] + 1e-3 * row.numbers["size"]
    with pytest.raises(sp.SeqplrpError, match=r"layer conv \(conv1d\), sequence 3: the ledger leaves 0.001"):
        e.check()


@pytest.mark.parametrize("place", [0, -1])
def test_an_account_that_is_no_number_fails_the_check(place: int) -> None:
    e = sp.explain(deep(), X24, 1, "lrp")
    row = e._accounts[0].ledger.rows[place]
    row.numbers["unexplained"] = row.numbers["unexplained"] * float("nan")
    with pytest.raises(sp.SeqplrpError, match="leaves nan"):
        e.check()


def test_a_method_without_a_ledger_can_not_be_checked() -> None:
    with pytest.raises(sp.SeqplrpError, match="keeps no ledger"):
        sp.explain(deep(), X24, 1, "saliency", check=True)


# ---- memory that runs out


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
    ids=["cuda", "python", "cpu"],
)
def test_a_batch_that_does_not_fit_is_halved(error: Exception, monkeypatch) -> None:
    x = sequences(9, 24, seed=1)
    targets = [0, 1, 2] * 3
    explainer = sp.Explainer(deep(), x, sp.PLRP(p=0.5))
    expected = explainer(x, targets)
    sizes: list[int] = []
    attribute = sp.PLRP.attribute

    def limited(self, prepared, batch):
        sizes.append(len(batch.x))
        if len(batch.x) > 2:
            raise error
        return attribute(self, prepared, batch)

    monkeypatch.setattr(sp.PLRP, "attribute", limited)
    told: list[int] = []
    found = explainer(x, targets, progress=lambda done, _: told.append(done))
    assert sizes[0] == 9
    assert max(sizes[-3:]) <= 2
    assert told == sorted(told)
    assert told[-1] == 9
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-10, atol=1e-15)
    assert found.target.tolist() == targets
    assert sorted(found.ledger.sequence.unique()) == list(range(9))
    with pytest.raises(sp.SeqplrpError, match="leave batch_size out"):
        explainer(x, targets, batch_size=3)


def test_an_error_that_is_none_of_memory_is_not_tried_again(monkeypatch) -> None:
    explainer = sp.Explainer(deep(), X24, "lrp")
    calls = []

    def broken(self, prepared, batch):
        calls.append(1)
        raise RuntimeError("something else")

    monkeypatch.setattr(sp.LRP, "attribute", broken)
    with pytest.raises(RuntimeError, match="something else"):
        explainer(X24, 0)
    assert calls == [1]


# ---- tokens


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.conv, self.head = nn.Embedding(5, 6, padding_idx=4), nn.Conv1d(6, 5, 3), nn.Linear(5, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.conv(self.embed(tokens).transpose(1, 2)).relu().amax(2))


def test_tokens_are_explained_as_the_one_hot_input_of_a_table() -> None:
    model = seeded(Tokens, seed=14)
    tokens = torch.randint(0, 5, (4, 20), generator=torch.Generator().manual_seed(2))

    class OneHot(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.model = nn.Parameter(model.embed.weight.detach().clone()), model

        def forward(self, x: Tensor) -> Tensor:
            h = nn.functional.conv1d(x, self.table.t().unsqueeze(2))
            return self.model.head(self.model.conv(h).relu().amax(2))

    e = sp.explain(model, tokens, 0, "lrp", check=True)
    assert e.relevance.shape == (4, 20)
    assert e.relevance.dtype == torch.float64
    one_hot = nn.functional.one_hot(tokens, 5).double().transpose(1, 2)
    expected = sp.explain(OneHot(), one_hot, 0, sp.LRP()).relevance.sum(1)
    # the table as a convolution is divided by its own outputs once more, each with its stabiliser
    torch.testing.assert_close(e.relevance, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_tokens_for_a_net_of_one_hot_input_are_a_clear_error() -> None:
    with pytest.raises(sp.SeqplrpError, match=r"X: has dtype torch.int64.*give X.float\(\)"):
        sp.explain(deep(), X24.long(), 0)


# ---- numerics


def test_numerics_that_were_asked_for_hold_in_the_call_alone() -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    seen: list[tuple[bool, ...]] = []

    def now() -> tuple[bool, ...]:
        return (
            matmul.allow_tf32,
            cudnn.allow_tf32,
            cudnn.deterministic,
            cudnn.benchmark,
            torch.are_deterministic_algorithms_enabled(),
        )

    before = now()
    for settings, expected in (
        ({}, (False, False, before[2], before[3], False)),
        ({"tf32": True}, (True, True, before[2], before[3], False)),
        ({"deterministic": True}, (False, False, True, False, True)),
    ):
        sp.explain(deep(), X24, 0, progress=lambda *_: seen.append(now()), **settings)
        assert seen.pop() == expected
        assert now() == before


# ---- where rules go


def placed(explainer: sp.Explainer) -> dict[str, str]:
    """Read the rules off the printed table."""
    lines = str(explainer).splitlines()
    head = lines[1]
    columns = [head.index(name) for name in ("step", "layer", "op", "rule", "pruned here")]
    found = {}
    for line in lines[2:]:
        layer, op, rule = (line[a:b].strip() for a, b in pairwise(columns[1:]))
        if "conv" in op or "linear" in op:
            found[layer if layer not in found else f"{layer} again"] = rule
    return found


@cache
def plain_net() -> nn.Module:
    def build() -> nn.Module:
        named = {
            "c1": nn.Conv1d(4, 6, 5),
            "r1": nn.ReLU(),
            "c2": nn.Conv1d(6, 6, 3),
            "r2": nn.ReLU(),
            "flat": nn.Flatten(),
            "f1": nn.Linear(6 * 18, 5),
            "r3": nn.ReLU(),
            "f2": nn.Linear(5, 3),
        }
        return nn.Sequential(OrderedDict(named))

    return seeded(build, seed=15)


E, G, Z, W, R = sp.Epsilon(), sp.Gamma(), sp.ZPlus(), sp.WSquare(), sp.Relative()
BOX = sp.ZBox(0.0, 1.0)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("epsilon", (E, E, E, E)),
        ("epsilon-plus", (Z, Z, E, E)),
        ("epsilon-gamma-box", (BOX, G, E, E)),
        ("gamma", (G, G, G, G)),
        ("relative", (R, R, R, R)),
        ({"@first": W, "*": E}, (W, E, E, E)),
        ({"@last": G, "*": E}, (E, E, E, G)),
        ({"@conv": Z, "@linear": R}, (Z, Z, R, R)),
        ({"@conv1d": G, "*": E}, (G, G, E, E)),
        ({"f?": Z, "c2": G, "*": E}, (E, G, Z, Z)),
        ({"c*": G, "c1": W, "@linear": E}, (G, G, E, E)),
    ],
    ids=str,
)
def test_rules_are_placed_where_they_say(rule, expected: tuple) -> None:
    method = sp.LRP(rule=rule)
    explainer = sp.Explainer(plain_net(), X24, method)
    assert list(placed(explainer).values()) == [repr(one) for one in expected]
    assert list(placed(explainer)) == ["c1", "c2", "f1", "f2"]
    rows = explainer(X24, 0).ledger.query("sequence == 0 and op != 'prune'")
    used = dict(zip(rows.layer, rows.rule, strict=True))
    for layer, one in zip(("c1", "c2", "f1", "f2"), expected, strict=True):
        assert used[layer] == ("Relative" if one == R else repr(one))


def test_the_table_says_where_is_pruned_and_how_much() -> None:
    table = str(sp.Explainer(plain_net(), X24, sp.PLRP(p={"f1": 0.25, "*": 0.5})))
    pruned = [line.split() for line in table.splitlines()[1:] if "mass" in line]
    assert [line[line.index("mass") + 1] for line in pruned] == ["0.5", "0.25", "0.5"]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"c1": E}, "no pattern of the mapping matches this layer"),
        ({"c9": E, "*": G}, "'c9': matches no layer; the layers are c1"),
        ({"@conv2d": E, "*": G}, "'@conv2d': matches no layer"),
        ("gama", "is no composite"),
        ({"*": "gamma"}, "is no rule"),
        ({"*": sp.Gamma}, "is no rule"),
    ],
)
def test_rules_that_can_not_be_placed_are_errors(rule, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        sp.explain(plain_net(), X24, 0, sp.LRP(rule=rule))


@pytest.mark.parametrize("rule", ["relative", "gamma"])
def test_sums_of_one_target_do_not_leak_into_the_next(rule: str) -> None:
    """Several ways back through one forward pass: pruned, under the rule that divides by such sums."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(4, 5, 3),
        nn.ReLU(),
        nn.Conv1d(5, 5, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(20, 6),
        nn.ReLU(),
        nn.Linear(6, 3),
    ).double()
    x = sp.one_hot(["ACGTACGT", "TTGACGCA"]).double()
    explainer = sp.Explainer(net, x, sp.PLRP(rule=rule, p=0.4))
    for target, found in zip((0, 1, 2), explainer.many(x, [0, 1, 2]), strict=True):
        assert torch.equal(found.relevance, explainer(x, target).relevance)
