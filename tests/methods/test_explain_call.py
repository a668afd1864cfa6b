"""The one call: targets, batches, dtypes, notes, the ledger, and every mistake that a user can mend."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pandas as pd
import pytest
import torch
from nets import binary, both_strands, classifier, seeded, sequences
from torch import nn

import seqplrp as sp
from seqplrp.lrp import NUMBERS
from seqplrp.methods import METHODS

X = sequences()
LRP = sp.LRP()


# ---- targets


@pytest.mark.parametrize(
    "target",
    [
        [0, 1, 2, 0, 1],
        (0, 1, 2, 0, 1),
        torch.tensor([0, 1, 2, 0, 1]),
        torch.tensor([0, 1, 2, 0, 1], dtype=torch.int32),
        np.array([0, 1, 2, 0, 1]),
    ],
    ids=["list", "tuple", "tensor", "int32", "numpy"],
)
def test_one_target_a_sequence(target) -> None:
    e = sp.explain(classifier(), X, target=target, method=LRP)
    assert e.target.tolist() == [0, 1, 2, 0, 1]
    for n, t in enumerate([0, 1, 2, 0, 1]):
        alone = sp.explain(classifier(), X[n : n + 1], target=t, method=LRP)
        torch.testing.assert_close(e.relevance[n], alone.relevance[0], rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(e.output[n], alone.output[0])


@pytest.mark.parametrize("target", [2, np.int64(2), torch.tensor(2)], ids=["int", "numpy", "tensor"])
def test_one_target_for_all(target) -> None:
    e = sp.explain(classifier(), X, target=target, method=LRP)
    assert e.target.tolist() == [2] * 5
    torch.testing.assert_close(e.output, classifier()(X)[:, 2].detach())


def test_predicted_is_the_highest_output_of_each() -> None:
    highest = classifier()(X).argmax(1)
    assert len(set(highest.tolist())) > 1
    e = sp.explain(classifier(), X, target="predicted", method=LRP, batch_size=2)
    assert torch.equal(e.target, highest)
    assert torch.equal(e.relevance, sp.explain(classifier(), X, target=highest, method=LRP, batch_size=2).relevance)


@pytest.mark.parametrize("target", [None, 0, "predicted", [0] * 5])
def test_a_model_of_one_output_needs_no_target(target) -> None:
    e = sp.explain(binary(), X, target=target, method=LRP)
    torch.testing.assert_close(e.output, binary()(X)[:, 0].detach())
    scalar = sp.explain(both_strands(), X, target=target, method=LRP)
    torch.testing.assert_close(scalar.output, both_strands()(X).detach())


def test_a_callable_target_is_the_score() -> None:
    e = sp.explain(classifier(), X, target=lambda y: y[:, 1] - y[:, 0], method=sp.LRP(rule=sp.Epsilon(1e-12)))
    y = classifier()(X).detach()
    torch.testing.assert_close(e.output, y[:, 1] - y[:, 0])
    assert e.target is None
    # epsilon is linear in what starts it, up to the denominators of the difference itself
    parts = [sp.explain(classifier(), X, target=t, method=sp.LRP(rule=sp.Epsilon(1e-12))).relevance for t in (1, 0)]
    torch.testing.assert_close(e.relevance, parts[0] - parts[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (3, "3 is out of range for a model with 3 outputs"),
        (-1, "-1 is out of range"),
        ([0, 1, 2, 0, 7], "7 is out of range"),
        (None, "3 outputs and none was chosen"),
        (True, "True is no index"),
        ([True, False, True, False, True], "dtype torch.bool"),
        (1.0, "1.0 is no index"),
        (np.float64(1), "is no index"),
        ([0.0] * 5, "dtype"),
        ([0, 1], r"shape \(2,\) for 5 sequences"),
        ([[0]] * 5, r"shape \(5, 1\)"),
        ("1", "'1' is not known"),
        ("highest", "'highest' is not known"),
        ({"a": 1}, "is no index"),
        (lambda y: y, r"the callable gives shape \(N, 3\)"),
        (lambda y: y.sum(), "over the batch"),
        (lambda y: y[:, 5], "can't trace"),
        (lambda y: (y, y), "returns 2 values"),
    ],
)
def test_a_target_that_names_no_score_is_an_error(target, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        sp.explain(classifier(), X, target=target, method=LRP)


def test_an_index_picks_no_score_of_a_profile() -> None:
    model = seeded(lambda: nn.Conv1d(4, 2, 5))
    with pytest.raises(sp.SeqplrpError, match="callable"):
        sp.explain(model, X, target=0, method=LRP)
    e = sp.explain(model, X, target=lambda y: y.mean((1, 2)), method=LRP)
    torch.testing.assert_close(e.output, model(X).mean((1, 2)).detach())


def test_an_explainer_takes_a_callable_when_made_and_an_index_when_called() -> None:
    with pytest.raises(sp.SeqplrpError, match="give it in the call"):
        sp.Explainer(classifier(), X, target=1)
    explainer = sp.Explainer(classifier(), X[:1], method=LRP, target=lambda y: y[:, 1])
    assert torch.equal(
        explainer(X).relevance, sp.explain(classifier(), X, target=lambda y: y[:, 1], method=LRP).relevance
    )
    with pytest.raises(sp.SeqplrpError, match="leave it out"):
        explainer(X, target=0)


# ---- inputs


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (X.numpy(), "ndarray"),
        ([[1.0]], "list"),
        (X.long(), "dtype torch.int64"),
        (X.half(), "dtype torch.float16"),
        (X[:0], "at least one sequence"),
        (torch.ones(5, dtype=torch.float64), "at least one sequence"),
        (X * float("nan"), "NaN"),
        (X / 0, "NaN or infinite"),
        (X[:, :3], "can't trace"),
    ],
)
def test_inputs_that_are_no_sequences_are_errors(x, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=text):
        sp.explain(classifier(), x, target=0, method=LRP)


def test_an_explainer_keeps_to_its_length() -> None:
    explainer = sp.Explainer(classifier(), X[:1], method=LRP)
    with pytest.raises(sp.SeqplrpError, match="can't be explained at another length"):
        explainer(X[..., :10], target=0)


@pytest.mark.parametrize("bad", [0, -1, 1.5, "8"])
def test_a_batch_size_is_a_whole_number(bad) -> None:
    with pytest.raises(sp.SeqplrpError) as caught:
        sp.explain(classifier(), X, target=0, batch_size=bad)
    assert caught.value.where == "batch_size"


def test_a_device_that_is_not_there_is_told() -> None:
    with pytest.raises(sp.SeqplrpError) as caught:
        sp.explain(classifier(), X, target=0, device="cuda:99")
    assert caught.value.where == "device"
    assert sp.explain(classifier(), X, target=0, device="cpu").relevance.device.type == "cpu"


def test_a_model_that_is_no_module_is_told() -> None:
    with pytest.raises(sp.SeqplrpError, match=r"no torch\.nn\.Module"):
        sp.explain(lambda x: x, X, target=0)
    with pytest.raises(sp.SeqplrpError, match="float16"):
        sp.explain(nn.Conv1d(4, 1, 20).half(), X, target=0)


# ---- what comes back


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_by_name_gives_the_promised_explanation(method: str) -> None:
    x = X.float()
    e = sp.explain(_float_classifier(), x, target=0, method=method)
    assert e.relevance.shape == e.hypothetical.shape == x.shape
    assert e.per_base.shape == (5, 20)
    assert e.output.shape == (5,)
    assert {t.dtype for t in (e.relevance, e.hypothetical, e.per_base, e.output)} == {torch.float32}
    assert torch.equal(e.relevance, x * e.hypothetical)
    torch.testing.assert_close(e.per_base, e.relevance.sum(1))
    assert not e.relevance[x == 0].any(), "bases that are not there, and N, get exactly 0"
    assert e.per_base[1, 3:6].tolist() == [0, 0, 0]
    assert len(e) == 5
    assert type(e.method).__name__ in repr(e)
    assert not any(t.requires_grad or t.is_inference() for t in (e.relevance, e.hypothetical, e.output))
    assert list(e.ledger.columns)[:4] == ["sequence", "layer", "op", "rule"]


def _float_classifier() -> nn.Module:
    model = nn.Sequential(nn.Conv1d(4, 5, 5), nn.ReLU(), nn.Flatten(), nn.Linear(80, 3))
    torch.manual_seed(0)
    for p in model.parameters():
        nn.init.normal_(p, 0, 0.2)
    return model


def test_results_come_in_the_dtype_of_the_input() -> None:
    double = sp.explain(classifier(), X, target=0)
    single = sp.explain(classifier(), X.float(), target=0)
    assert (double.relevance.dtype, single.relevance.dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(single.relevance, double.relevance.float())
    from_single = sp.explain(_float_classifier(), X, target=0)
    assert from_single.relevance.dtype == from_single.output.dtype == torch.float64
    without_weights = sp.explain(nn.Flatten(), X, target=0, method=LRP)
    assert without_weights.relevance.dtype == torch.float64


@pytest.mark.parametrize(
    "method", [sp.PLRP(), sp.LRP(rule=sp.Relative()), sp.GradientTimesInput()], ids=lambda m: type(m).__name__
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_the_batch_size_does_not_change_results(size: int, method) -> None:
    targets = [0, 1, 2, 1, 0]
    whole = sp.explain(classifier(), X, target=targets, method=method)
    parts = sp.explain(classifier(), X, target=targets, method=method, batch_size=size)
    for name in ("relevance", "hypothetical", "output", "target"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=1e-11, atol=1e-13)
    pd.testing.assert_frame_equal(parts.ledger, whole.ledger, rtol=1e-9, atol=1e-12)


def test_a_view_of_other_memory_is_explained_like_its_copy() -> None:
    strided = X.permute(0, 2, 1).contiguous().permute(0, 2, 1)
    assert not strided.is_contiguous()
    assert torch.equal(
        sp.explain(classifier(), strided, target=0).relevance, sp.explain(classifier(), X, target=0).relevance
    )


def test_progress_is_told_after_each_batch() -> None:
    told: list[tuple[int, int]] = []
    sp.explain(classifier(), X, target=0, batch_size=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_a_bar_says_nothing_where_there_is_no_terminal(capsys) -> None:
    sp.explain(classifier(), X, target=0, progress=True)
    assert not capsys.readouterr().out.strip()


def test_the_ledger_has_a_row_for_each_layer_and_sequence() -> None:
    e = sp.explain(classifier(), X, target=0, method=sp.PLRP(p=0.5), batch_size=2)
    assert list(e.ledger.columns) == ["sequence", "layer", "op", "rule", *NUMBERS]
    assert e.ledger.sequence.unique().tolist() == [0, 1, 2, 3, 4]
    one = e.ledger[e.ledger.sequence == 3]
    assert list(one.layer) == ["6", "6", "4", "4", "0"]
    assert list(one.op) == ["linear", "prune", "linear", "prune", "conv1d"]
    assert (e.ledger[list(NUMBERS)].dtypes == "float64").all()
    assert float(one.relevance_out.iloc[0]) == pytest.approx(float(e.output[3]))
    assert one[one.op == "prune"]["lambda"].between(1, 2.0000001).all()


def test_gradients_keep_no_ledger() -> None:
    ledger = sp.explain(classifier(), X, target=0, method="saliency").ledger
    assert ledger.empty
    assert list(ledger.columns) == ["sequence", "layer", "op", "rule", *NUMBERS]


@pytest.mark.parametrize(
    ("model", "method", "expected"),
    [
        (lambda: nn.Sequential(classifier(), nn.Softmax(1)), LRP, "the closing softmax was left out"),
        (lambda: nn.Sequential(binary(), nn.Sigmoid()), LRP, "the closing sigmoid was left out"),
        (binary, sp.LRP(center="uniform"), "centred by uniform"),
        (binary, sp.LRP(rule=sp.Relative()), "size is not the score's"),
        (binary, sp.LRP(rule={"0": sp.Relative(), "*": sp.Epsilon()}), "size is not the score's"),
    ],
)
def test_notes_say_what_a_reader_must_know(model, method, expected: str) -> None:
    e = sp.explain(model(), X, target=0, method=method)
    assert any(expected in note for note in e.notes)
    assert expected in repr(e)


def test_negative_scores_are_counted_in_the_notes() -> None:
    model = classifier()
    scores = model(X)[:, 1]
    negative = int((scores < 0).sum())
    notes = sp.explain(model, X, target=1, method=LRP, batch_size=2).notes
    told = [note for note in notes if "negative" in note]
    assert told == [] if negative == 0 else told[0].startswith(f"{negative} of 5 scores are negative")
    flipped = sp.explain(model, X, target=lambda y: y[:, 1] - 100, method=LRP)
    assert flipped.notes[0].startswith("5 of 5 scores are negative")


def test_hypothetical_contributions_that_are_not_there_are_an_error() -> None:
    e = sp.explain(binary(), X, method=sp.LRP(rule={"0": sp.Flat(), "*": sp.Epsilon()}))
    assert not e.has_hypothetical
    with pytest.raises(sp.SeqplrpError, match="first layer"):
        _ = e.hypothetical


@pytest.mark.parametrize("module", ["explainer", "explanation", "base", "names", "relevance", "gradients"])
def test_the_examples_of_the_docstrings_run(module: str) -> None:
    torch.manual_seed(0)
    result = doctest.testmod(importlib.import_module(f"seqplrp.methods.{module}"))
    assert result.failed == 0
    assert result.attempted > 0 or module != "explainer"
