"""An explainer goes to another process, into a file or into a copy, and gives the same maps there."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from nets import both_strands, classifier, seeded, sequences
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import Program

X = sequences(4)


def by_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def by_torch(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def by_cloudpickle(value: Any) -> Any:
    cloudpickle = pytest.importorskip("cloudpickle")
    return cloudpickle.loads(cloudpickle.dumps(value))


WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": by_pickle,
    "torch.save": by_torch,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "cloudpickle": by_cloudpickle,
}


def assert_same(found: sp.Explanation, wanted: sp.Explanation) -> None:
    assert torch.equal(found.relevance, wanted.relevance)
    assert torch.equal(found.output, wanted.output)
    assert found.method == wanted.method
    assert found.notes == wanted.notes
    assert found.has_hypothetical is wanted.has_hypothetical
    if wanted.has_hypothetical:
        assert torch.equal(found.hypothetical, wanted.hypothetical)
    pd.testing.assert_frame_equal(found.ledger, wanted.ledger)


class Everything(nn.Module):
    """Layers of many kinds, so that what a plan holds of each of them is met."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 8, 5, padding="same"), nn.BatchNorm1d(8)
        self.up, self.rnn = nn.ConvTranspose1d(8, 8, 3, padding=1), nn.LSTM(8, 4, bidirectional=True, batch_first=True)
        self.attention, self.scale = nn.MultiheadAttention(8, 2, batch_first=True), nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = nn.functional.max_pool1d(self.norm(self.conv(x)).relu(), 2)
        h = self.up(h).sigmoid() * h
        h = self.rnn(h.transpose(1, 2))[0]
        h = h + self.attention(h, h, h)[0]
        h = torch.einsum("nlc,dc->nld", self.scale(h), self.head.weight) + self.head.bias
        return (h.softmax(1) * h).sum(1) + h.amax(1) + h[:, [0, 2]].logsumexp(1)


@cache
def everything() -> nn.Module:
    return seeded(Everything, seed=3)


METHODS = [
    sp.PLRP(p=0.5),
    sp.PLRP(p=0.5, mode="matrix", reverse_complement=True, center="composition"),
    sp.LRP(rule="epsilon-gamma-box", attention="attnlrp"),
    sp.LRP(rule={"conv": sp.ZBox(torch.zeros(4, 1).double(), 1.0), "*": sp.Relative()}),
    sp.Saliency(),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: repr(method)[:40])
def test_every_way_to_take_an_explainer_along_gives_the_same_maps_to_the_bit(method: sp.Method) -> None:
    explainer = sp.Explainer(everything(), X, method)
    wanted = explainer(X, "predicted")
    for name, way in WAYS.items():
        taken = way(explainer)
        if isinstance(getattr(method, "rule", None), dict):  # which holds a tensor, so that == says nothing
            object.__setattr__(taken, "method", method)
        assert_same(taken(X, "predicted"), wanted)
        assert repr(taken).splitlines()[1:] == repr(explainer).splitlines()[1:], name


def test_weights_that_changed_since_do_not_change_what_was_pickled() -> None:
    model = copy.deepcopy(classifier())
    explainer = sp.Explainer(model, X)
    wanted = explainer(X, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    for way in WAYS.values():
        assert_same(way(explainer)(X, 1), wanted)
    assert not torch.equal(sp.explain(model, X, 1).relevance, wanted.relevance)


def test_further_options_come_along() -> None:
    def score(y: Tensor) -> Tensor:
        return y[:, 1] - y[:, 0]

    explainer = sp.Explainer(classifier(), X, "lrp", target=score, tf32=True, deterministic=True)
    taken = by_cloudpickle(explainer)
    assert_same(taken(X), explainer(X))
    assert (taken.tf32, taken.deterministic) == (True, True)


def test_other_lengths_are_traced_anew_where_they_are_asked_for() -> None:
    """What was made for them is not taken along: it can be made again, and has copies of the weights."""
    explainer = sp.Explainer(both_strands(), X, "lrp")
    small = len(pickle.dumps(explainer))
    longer = sequences(4, 31)
    wanted = explainer(longer)
    assert len(pickle.dumps(explainer)) == pytest.approx(small, rel=0.02)
    taken = by_pickle(explainer)
    assert_same(taken(longer), wanted)
    assert_same(taken(X), explainer(X))


def test_a_saved_program_comes_along() -> None:
    free = ({0: torch.export.Dim.AUTO},)
    program = Program(torch.export.export(classifier(), (X,), dynamic_shapes=free))
    explainer = sp.Explainer(program, X)
    for way in (by_pickle, by_torch, copy.deepcopy):
        assert_same(way(explainer)(X, 0), explainer(X, 0))


def test_another_process_gives_the_same_map(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(48, 2)
    )
    explainer = sp.Explainer(net.eval(), X.float())
    wanted = explainer(X.float(), 1)
    (tmp_path / "explainer.pkl").write_bytes(pickle.dumps(explainer))
    torch.save(X.float(), tmp_path / "x.pt")
    code = (
        "import pickle, sys, torch; torch.set_num_threads(1)\n"
        "explainer = pickle.loads(open(sys.argv[1] + '/explainer.pkl', 'rb').read())\n"
        "found = explainer(torch.load(sys.argv[1] + '/x.pt'), 1)\n"
        "torch.save(found.relevance, sys.argv[1] + '/relevance.pt')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
    assert torch.equal(torch.load(tmp_path / "relevance.pt"), wanted.relevance)


# ---- what can't be pickled


class WithLambda(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net, self.change = classifier(), lambda h: 2 * h

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.net(x))


class WithLock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net, self.lock = classifier(), threading.Lock()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


@pytest.mark.parametrize("way", [by_pickle, by_torch])
def test_a_model_that_can_not_be_pickled_is_one_clear_error(way: Callable[[Any], Any]) -> None:
    for model in (WithLambda(), WithLock()):
        with pytest.raises(
            sp.SeqplrpError, match=r"^model: can't be pickled \(.*(lambda|lock).*\); define its classes"
        ):
            way(sp.Explainer(model, X, "lrp"))
    with pytest.raises(sp.SeqplrpError, match=r"^target: can't be pickled"):
        way(sp.Explainer(classifier(), X, "lrp", target=lambda y: y[:, 0]))


def test_what_takes_code_along_is_not_kept_from_it() -> None:
    for way in (copy.copy, copy.deepcopy, by_cloudpickle):
        explainer = sp.Explainer(WithLambda(), X, "lrp", target=lambda y: y[:, 0])
        assert_same(way(explainer)(X), explainer(X))
