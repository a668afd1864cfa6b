"""Models from the user's own code."""

from __future__ import annotations

import os
import random
import re
import sys
import textwrap

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from seqplrp.errors import SeqplrpError
from seqplrp.models import load_callable_model

SOURCE = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, width=3):
            super().__init__()
            self.conv = nn.Conv1d(4, width, 5)
        def forward(self, x):
            return self.conv(x).amax(-1)

    def make():
        return nn.DataParallel(Net())

    class Zoo:
        @staticmethod
        def wide():
            return Net(width=7)

    ready = Net(width=2)
    number = 3

    def not_a_model():
        return "text"

    def broken():
        raise RuntimeError("no such\\ncheckpoint")
"""


@pytest.fixture
def user_code(tmp_path, monkeypatch):
    """A directory with the module user_net, as the current one."""
    (tmp_path / "user_net.py").write_text(textwrap.dedent(SOURCE))
    (tmp_path / "user_bad.py").write_text("import module_that_is_not_there\n")
    (tmp_path / "user_syntax.py").write_text("def (:\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("user_net", "user_bad", "user_syntax"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("spec", "width"), [("user_net:Net", 3), ("user_net:Zoo.wide", 7), ("user_net:ready", 2)])
def test_a_class_a_function_or_a_model_is_loaded_from_the_current_directory(user_code, spec, width):
    model = load_callable_model(spec)
    assert not model.training
    assert model(torch.zeros(2, 4, 9)).shape == (2, width)


def test_the_search_path_is_as_before_afterwards(user_code):
    before = list(sys.path)
    load_callable_model("user_net:Net")
    with pytest.raises(SeqplrpError):
        load_callable_model("user_net:broken")
    assert sys.path == before


@pytest.fixture
def weights(user_code):
    torch.manual_seed(5)
    return {"conv.weight": torch.randn(3, 4, 5), "conv.bias": torch.randn(3)}


@pytest.mark.parametrize("form", ["safetensors", "state_dict", "nested", "lightning", "parallel"])
def test_weights_are_read_in_every_usual_form(user_code, weights, form):
    path = user_code / ("w.safetensors" if form == "safetensors" else "w.pt")
    content = {
        "safetensors": weights,
        "state_dict": weights,
        "nested": {"epoch": 3, "model_state_dict": weights},
        "lightning": {"state_dict": weights, "epoch": 3},
        "parallel": {f"module.{name}": value for name, value in weights.items()},
    }[form]
    if form == "safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    model = load_callable_model("user_net:Net", path)
    assert torch.equal(model.conv.weight, weights["conv.weight"])
    assert torch.equal(model.conv.bias, weights["conv.bias"])


def test_files_of_torch_versions_that_counted_no_batches_fit(user_code):
    source = "from torch import nn\n\n\ndef make():\n    return nn.Sequential(nn.Conv1d(4, 3, 5), nn.BatchNorm1d(3))\n"
    (user_code / "user_net.py").write_text(source)
    kept = {
        name: torch.randn_like(value)
        for name, value in load_callable_model("user_net:make").state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(kept, user_code / "w.pt")
    model = load_callable_model("user_net:make", user_code / "w.pt")
    assert all(torch.equal(model.state_dict()[name], value) for name, value in kept.items())
    del kept["1.running_var"]
    torch.save(kept, user_code / "w.pt")
    with pytest.raises(SeqplrpError, match=r"missing: 1\.running_var"):
        load_callable_model("user_net:make", user_code / "w.pt")


@pytest.mark.parametrize("prefix", ["model.", "model.net."])
def test_a_prefix_of_all_names_is_taken_off_and_told_where_the_rest_fits(user_code, weights, prefix):
    torch.save({"state_dict": {f"{prefix}{name}": value for name, value in weights.items()}}, user_code / "w.ckpt")
    notes = []
    model = load_callable_model("user_net:Net", user_code / "w.ckpt", note=notes.append)
    assert torch.equal(model.conv.weight, weights["conv.weight"])
    assert notes == [f"all names of the weights begin with {prefix!r}, which was taken off"]
    torch.save({f"{prefix}{name}s": value for name, value in weights.items()}, user_code / "w.ckpt")
    with pytest.raises(SeqplrpError, match=rf"not in the model: {prefix}conv\.weights"):
        load_callable_model("user_net:Net", user_code / "w.ckpt")


def test_a_models_own_module_prefix_is_kept(user_code, weights):
    torch.save({f"module.{name}": value for name, value in weights.items()}, user_code / "w.pt")
    model = load_callable_model("user_net:make", user_code / "w.pt")
    assert torch.equal(model.module.conv.bias, weights["conv.bias"])


def test_a_whole_pickled_model_is_refused_unless_trusted(user_code, weights):
    model = load_callable_model("user_net:Net")
    model.load_state_dict(weights)
    torch.save(model, user_code / "whole.pt")
    with pytest.raises(SeqplrpError, match=r"whole\.pt: holds more than tensors.*--trust-pickle"):
        load_callable_model("user_net:Net", user_code / "whole.pt")
    trusted = load_callable_model("user_net:Net", user_code / "whole.pt", trust_pickle=True)
    assert torch.equal(trusted.conv.bias, weights["conv.bias"])


class MakesADirectory:
    """Unpickling this runs code that leaves a trace."""

    def __reduce__(self):
        return os.mkdir, ("trace",)


def test_code_in_a_weights_file_runs_only_where_it_is_trusted(user_code):
    torch.save({"conv.weight": MakesADirectory()}, user_code / "w.pt")
    with pytest.raises(SeqplrpError, match="holds more than tensors"):
        load_callable_model("user_net:Net", user_code / "w.pt")
    assert not (user_code / "trace").exists()
    with pytest.raises(SeqplrpError, match="not tensors by name"):
        load_callable_model("user_net:Net", user_code / "w.pt", trust_pickle=True)
    assert (user_code / "trace").exists()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("user_net", "'user_net' is no model directory and not module:callable; write user_net:Net$"),
        ("user_net.py", "write user_net:Net$"),
        ("lab/user_net.py", "go to lab and write user_net:NAME"),
        ("user_bad", "write user_bad:NAME, the class or function"),
        ("user_syntax.py", "write user_syntax:NAME"),
        ("user_net:", "not module:callable"),
        (":Net", "not module:callable"),
        ("user_net.py:Net", "'user_net.py' is a file.*write user_net:Net"),
        ("models/user_net:Net", "is a file"),
        ("nowhere_net:Net", "there is no module 'nowhere_net'"),
        ("user_net.sub:Net", "user_net.sub"),
        ("user_net:Missing", "user_net has no 'Missing'"),
        ("user_net:Zoo.narrow", "user_net has no 'Zoo.narrow'"),
        ("user_net:number", "is a int, which can't be called"),
        ("user_net:not_a_model", "gives a str, not a torch.nn.Module"),
        ("user_net:broken", r"calling user_net:broken\(\) failed with RuntimeError: no such checkpoint"),
        ("user_bad:Net", "importing user_bad failed with ModuleNotFoundError: .*module_that_is_not_there"),
        ("user_syntax:Net", "importing user_syntax failed with SyntaxError"),
    ],
)
def test_a_model_that_cannot_be_made_is_refused_with_the_reason(user_code, spec, said):
    with pytest.raises(SeqplrpError, match=said):
        load_callable_model(spec)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "holds list, not tensors by name"),
        ({"epoch": 3, "note": "x"}, "holds a mapping with 'epoch', 'note'"),
        ({"conv.weight": torch.zeros(3, 4, 5)}, r"missing: conv\.bias \(3,\)"),
        ({"conv.weight": torch.zeros(3, 4, 7), "conv.bias": torch.zeros(3)}, r"conv\.weight is \(3, 4, 7\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(user_code, content, said):
    torch.save(content, user_code / "w.pt")
    with pytest.raises(SeqplrpError, match=said):
        load_callable_model("user_net:Net", user_code / "w.pt")


def test_a_file_that_is_missing_or_no_weights_is_refused(user_code):
    with pytest.raises(SeqplrpError, match=r"none\.pt: there is no such weights file"):
        load_callable_model("user_net:Net", user_code / "none.pt")
    for name in ("empty.pt", "text.pt", "text.safetensors"):
        (user_code / name).write_bytes(b"" if name == "empty.pt" else b"these are not weights at all")
        for trust in (False, True):
            with pytest.raises(SeqplrpError, match=name):
                load_callable_model("user_net:Net", user_code / name, trust_pickle=trust)


CALLS = """
import random

import numpy as np
import torch
from torch import nn

made = []

def drawn():
    made.append(nn.Conv1d(4, 2, 3))
    random.random(), np.random.rand()
    return nn.Sequential(made[-1], nn.Flatten())

def seeded():
    torch.manual_seed(3)
    return drawn()

def still():
    made.append(None)
    return nn.Flatten()

def loads():
    model = drawn()
    nn.init.ones_(model[0].weight), nn.init.zeros_(model[0].bias)
    return model

def half():
    model = drawn()
    nn.init.ones_(model[0].weight)
    return model

def once():
    if made:
        raise RuntimeError("no second time")
    return drawn()
"""


@pytest.fixture
def calls(user_code):
    """The module user_net, with callables of which each counts how often it is called."""
    (user_code / "user_net.py").write_text(CALLS)
    import importlib

    importlib.invalidate_caches()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(user_code)
        sys.modules.pop("user_net", None)
        yield importlib.import_module("user_net")


@pytest.mark.parametrize(
    ("name", "times", "told"),
    [
        ("drawn", 2, "the weights of user_net:drawn are random.*--weights FILE"),
        ("half", 2, r"1 of 2 weights \(0\.bias\) of user_net:half are random"),
        ("seeded", 2, None),
        ("loads", 2, None),
        ("still", 1, None),
        ("once", 1, "making user_net:once drew random numbers, and it could not be made again"),
    ],
)
def test_random_weights_are_told_and_only_what_draws_is_made_twice(calls, name, times, told):
    notes = []
    load_callable_model(f"user_net:{name}", note=notes.append)
    assert len(calls.made) == times
    assert len(notes) == (told is not None)
    if told is not None:
        assert re.search(told, notes[0])


def test_looking_for_random_weights_leaves_randomness_as_one_call_leaves_it(calls):
    def draws():
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    found = []
    for note in (None, lambda text: None):
        torch.manual_seed(7), np.random.seed(7), random.seed(7)  # noqa: NPY002
        load_callable_model("user_net:drawn", note=note)
        found.append(draws())
    assert found[0] == found[1]
    assert len(calls.made) == 3


def test_with_weights_nothing_is_made_twice(calls, user_code):
    torch.save({"0.weight": torch.zeros(2, 4, 3), "0.bias": torch.zeros(2)}, user_code / "w.pt")
    notes = []
    load_callable_model("user_net:drawn", user_code / "w.pt", note=notes.append)
    assert (len(calls.made), notes) == (1, [])
