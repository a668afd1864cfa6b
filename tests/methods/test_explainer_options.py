"""What the explainer offers beside the map: many targets, checks, memory that runs out, numerics."""

from __future__ import annotations

import copy

import pandas as pd
import pytest
import torch
from nets import deep, seeded, sequences
from torch import nn

import seqplrp as sp

X24 = sequences(4, 24, seed=5)


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
    assert explainer.largest_batch == 2
    sizes.clear()
    explainer(x, targets)
    assert max(sizes) == 2, "the next call knows what fits"


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
