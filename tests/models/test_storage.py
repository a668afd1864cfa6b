"""Model directories: what was saved comes back, and a directory that does not fit says why."""

from __future__ import annotations

import dataclasses
import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from seqplrp.errors import SeqplrpError
from seqplrp.models import ARCHITECTURES, ModelConfig, build_model, load_model, save_model

OPTIONS = {
    "basset-small": {"filters": (6, 8, 8), "dense": (10,)},
    "basset": {"filters": (6, 8, 8), "dense": (10,)},
    "deepsea": {"filters": (6, 8, 8), "dense": (10,)},
    "resnet1d": {"filters": (6, 8)},
}


def make(name: str, n_outputs: int = 2, length: int = 200):
    model = build_model(name, length=length, n_outputs=n_outputs, **OPTIONS.get(name, {})).eval()
    config = ModelConfig(
        architecture=name,
        options=dataclasses.asdict(model.options),
        length=length,
        flexible_length=model.options.flexible_length,
        n_outputs=n_outputs,
        classes=[f"c{number}" for number in range(n_outputs)],
        kind="multilabel",
        metrics={"test": {"macro": {"auroc": 0.9}}},
        seed=7,
        versions={"torch": "x"},
        warnings=["few sequences: ..."],
    )
    return model, config


@pytest.fixture
def saved(tmp_path):
    model, config = make("basset-small")
    save_model(model, tmp_path / "m", config)
    return tmp_path / "m"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_saved_model_comes_back_with_its_weights_and_description(name, tmp_path):
    model, config = make(name)
    with torch.no_grad():  # statistics of batch norm must survive too
        model.train()(torch.randn(4, 4, 200))
        model.eval()
    save_model(model, tmp_path, config)
    loaded = load_model(tmp_path)
    assert not loaded.training
    assert loaded.config == ModelConfig(**{**config.__dict__, "options": loaded.config.options})
    x = torch.randn(3, 4, 200)
    assert torch.equal(loaded(x), model(x))


def test_loading_leaves_the_random_stream_alone(saved):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load_model(saved)
    assert torch.equal(torch.rand(3), expected)


def test_files_are_readable_by_others(saved):
    assert {(saved / name).stat().st_mode & 0o044 for name in ("model.safetensors", "config.json")} == {0o044}


def edit(directory, **changes):
    path = directory / "config.json"
    content = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            del content[key]
        else:
            content[key] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "alexnet"}, "'alexnet' is not known; choose one of basset-small"),
        ({"architecture": None}, "lacks architecture"),
        ({"architecture": None, "kind": None}, "lacks architecture, kind"),
        ({"options": {"filter": [3]}}, "has no option 'filter'"),
        ({"options": [1]}, "should be of type dict"),
        ({"length": "200"}, "length = '200', which should be of type int"),
        ({"length": 0}, "length = 0"),
        ({"length": 3}, "at least 32 bases and the sequences have 3"),
        ({"classes": ["a"]}, "names 1 classes for 2 outputs"),
        ({"kind": "regression"}, "kind = 'regression'"),
        ({"format_version": 99}, "format version 99"),
        ({"warnings": "none"}, "should be of type list"),
    ],
)
def test_a_description_that_cannot_be_is_refused_by_field(saved, changes, said):
    edit(saved, **changes)
    with pytest.raises(SeqplrpError) as found:
        load_model(saved)
    assert said in str(found.value)
    assert str(found.value).startswith(str(saved / "config.json"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{\n\n  oops", "config.json, line 3: is not JSON"),
        ("[1]", "holds a list"),
        ("", "is not JSON"),
        (b"\xff\xfe{", "can't be read"),
    ],
)
def test_an_unreadable_description_is_refused(saved, content, said):
    (saved / "config.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SeqplrpError, match=r"config\.json") as found:
        load_model(saved)
    assert said in str(found.value)


def test_missing_files_are_named(saved, tmp_path):
    with pytest.raises(SeqplrpError, match=r"nowhere: there is no such directory"):
        load_model(tmp_path / "nowhere")
    (saved / "model.safetensors").unlink()
    with pytest.raises(SeqplrpError, match=r"model\.safetensors: the weights file is missing"):
        load_model(saved)
    (saved / "config.json").unlink()
    with pytest.raises(SeqplrpError, match=r"config\.json: there is no such file"):
        load_model(saved)


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps({"a": 1})])
def test_a_broken_weights_file_is_refused(saved, content):
    (saved / "model.safetensors").write_bytes(content)
    with pytest.raises(SeqplrpError, match=r"model\.safetensors: can't be read as safetensors"):
        load_model(saved)


def test_weights_that_do_not_fit_are_named_with_their_shapes(saved):
    path = saved / "model.safetensors"
    weights = load_file(path)
    weights["features.0.weight"] = torch.zeros(6, 4, 21)
    weights["extra"] = torch.zeros(2)
    del weights["head.1.weight"]
    save_file(weights, path)
    with pytest.raises(SeqplrpError) as found:
        load_model(saved)
    text = str(found.value)
    assert "features.0.weight is (6, 4, 21), the model has (6, 4, 19)" in text
    assert "missing: head.1.weight (10, 48)" in text
    assert "not in the model: extra (2,)" in text


def test_many_misfits_are_counted_not_listed(saved):
    edit(saved, options={})  # the full-size model
    with pytest.raises(SeqplrpError, match=r"shapes differ: .*, and \d+ more") as found:
        load_model(saved)
    assert len(str(found.value)) < 600
