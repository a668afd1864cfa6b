"""Models, their weights and exported programs; the labels that they are trained on."""

from __future__ import annotations

import io
import tempfile
from functools import cache, partial
from pathlib import Path

import numpy as np

from fuzzed_readers.framing import framed, headed, unheaded, zipped
from fuzzed_readers.reader import Reader, Seeds, texts

_LABELS = b"id\tsplit\tclass\ns0\ttrain\tpos\ns1\ttest\tneg\n"
_COLUMNS = b"id\ton\toff\ns0\t1\t0\ns1\t0\t1\n"


@cache
def _model() -> Seeds:
    from dataclasses import asdict

    import torch

    from seqplrp.models import ModelConfig, build_model, save_model

    options = {"filters": (2, 2, 2), "kernels": (3, 3, 3), "dense": 3}
    with torch.random.fork_rng(devices=[]):
        model = build_model("basset-small", length=80, n_outputs=2, **options)
    config = ModelConfig("basset-small", asdict(model.options), 80, False, 2, ["on", "off"], "multilabel")
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder), config)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def _of_model(file: str) -> Seeds:
    return {"ours": _model()[file]}


def _model_beside(file: str) -> Seeds:
    return {file: _model()[file]}


def _model_directory(path: Path) -> None:
    from seqplrp.models import load_model

    load_model(path.parent)


@cache
def _torch_file() -> Seeds:
    import torch

    weights = {"conv.weight": torch.zeros(2, 4, 3), "conv.bias": torch.ones(2)}
    found = {}
    for name, content, new in (
        ("plain", weights, True),
        ("nested", {"state_dict": weights}, True),
        ("old", weights, False),
    ):
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=new)
        found[name] = buffer.getvalue()
    return found


def _weights(path: Path) -> None:
    from seqplrp.models.external import read_weights

    read_weights(path)


@cache
def _program_file() -> Seeds:
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        net = nn.Sequential(nn.Conv1d(4, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)).eval()
    program = torch.export.export(net, (torch.zeros(2, 4, 10),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return {"free": buffer.getvalue()}


def _program(path: Path) -> None:
    from seqplrp.models import load_program

    load_program(path)


def _labels(path: Path) -> None:
    from seqplrp.recovery import read_labels

    read_labels(path)


def _labelled(path: Path) -> None:
    from seqplrp.models import ReadOptions, read_labelled_directory

    read_labelled_directory(path.parent, options=ReadOptions(validation_fraction=0.2, test_fraction=0.2))


def _many_labels() -> Seeds:
    names = [f"s{i}" for i in range(20)]
    rows = "".join(f"{name}\t{i % 2}\n" for i, name in enumerate(names))
    return {"binary": f"id\tclass\n{rows}".encode(), "columns": f"id\ton\n{rows}".encode()}


def _many_sequences() -> Seeds:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), 12)) for _ in range(20)]
    return {"sequences.fa": "".join(f">s{i}\n{text}\n" for i, text in enumerate(texts)).encode()}


READERS = (
    Reader(
        "model-config",
        "config.json",
        partial(_of_model, "config.json"),
        _model_directory,
        partial(_model_beside, "model.safetensors"),
        cost=3,
    ),
    Reader(
        "model-weights",
        "model.safetensors",
        partial(_of_model, "model.safetensors"),
        _model_directory,
        partial(_model_beside, "config.json"),
        cost=3,
    ),
    Reader(
        "model-weights-header",
        "model.safetensors",
        lambda: {"ours": unheaded(_model()["model.safetensors"])},
        _model_directory,
        partial(_model_beside, "config.json"),
        headed,
        cost=3,
    ),
    Reader("state-dict", "weights.pt", _torch_file, _weights),
    Reader(
        "state-dict-members",
        "weights.pt",
        lambda: {name: framed(content) for name, content in _torch_file().items() if name != "old"},
        _weights,
        encode=zipped,
    ),
    Reader("program", "model.pt2", _program_file, _program, cost=60),
    Reader(
        "program-members",
        "model.pt2",
        lambda: {name: framed(content) for name, content in _program_file().items()},
        _program,
        encode=zipped,
        cost=60,
    ),
    Reader("labels", "labels.tsv", texts(names=_LABELS, columns=_COLUMNS), _labels),
    Reader("labelled-directory", "labels.tsv", _many_labels, _labelled, _many_sequences, names=False, cost=5),
)
