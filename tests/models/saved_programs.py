"""Small models saved as programs, and ways to spoil a saved program."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_version import OLD_TORCH

import seqplrp as sp

LENGTH = 30
FREE_BATCH = ({0: torch.export.Dim.AUTO},)
FREE = ({0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO},)

# entries of the archive that a saved program is
PROGRAM = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
INPUTS = "data/sample_inputs/model.pt"
OLD_LAYOUT = "serialized_exported_program.json"
"""What torch before 2.8 had in place of all of these."""


def dna(n: int, length: int = LENGTH) -> torch.Tensor:
    letters = np.random.default_rng(5).choice(list("ACGTN"), size=(n, length))
    return sp.one_hot(["".join(row) for row in letters])


class Net(nn.Module):
    """Batch norm, a pool, modules within modules: (N, 4, 30) -> (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5)
        self.norm = nn.BatchNorm1d(6)
        self.pool = nn.MaxPool1d(2)
        self.body = nn.Sequential(nn.ReLU(), nn.Conv1d(6, 5, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(65, 2)
        self.norm.running_mean.normal_()  # type: ignore[union-attr, operator]
        self.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]

    def forward(self, x: Tensor) -> Any:
        return self.head(self.body(self.pool(self.norm(self.conv(x)))).flatten(1))


class TwoOutputs(Net):
    def forward(self, x: Tensor) -> Any:
        profile = self.body(self.pool(self.norm(self.conv(x))))
        return {"profile": profile, "counts": self.head(profile.flatten(1))}


class ChannelsLast(Net):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x.transpose(1, 2))


class AnyLength(Net):
    """Takes any length, and half of it again beside it."""

    def forward(self, x: Tensor) -> Any:
        hidden = torch.relu(self.norm(self.conv(x)))[:, :, 1 : x.shape[2] // 2]
        return self.head(torch.cat([hidden, -hidden], 2).mean(2).repeat(1, 11)[:, :65])


class WithControl(Net):
    def forward(self, x: Tensor, control: Tensor) -> Any:
        return super().forward(x) + control.mean(2)


class Tagged(Tensor):
    """A tensor subclass, which torch.export.save pickles."""


class Subclassed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5)
        self.register_buffer("scale", torch.full((6,), 2.0).as_subclass(Tagged))

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv(x) * self.scale[:, None]).mean(2)


def fresh(kind: Callable[[], nn.Module]) -> nn.Module:
    """Make a model, the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind().eval()


@cache
def seeded(kind: Callable[[], nn.Module]) -> nn.Module:
    """Return a model that is made, and traced, once."""
    return fresh(kind)


def save(
    model: nn.Module, path: Path, *shapes: tuple[int, ...], free: Any = FREE_BATCH, dtype: torch.dtype = torch.float32
) -> Path:
    """Export a model, with inputs of these shapes, and save it."""
    examples = tuple(torch.zeros(shape, dtype=dtype) for shape in shapes or ((3, 4, LENGTH),))
    torch.export.save(torch.export.export(model, examples, dynamic_shapes=free), path)
    return path


def entries(path: Path) -> dict[str, bytes]:
    """Return the entries of a saved program by their names; skip the test where this torch writes none of these."""
    with zipfile.ZipFile(path) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    if OLD_LAYOUT in found:
        assert OLD_TORCH
        pytest.skip("torch before 2.8 writes programs in another layout, which test_program_trust.py has tests of")
    return {name.split("/", 1)[1]: content for name, content in found.items()}


def rewritten(
    path: Path, to: Path, change: Mapping[str, Callable[[bytes], bytes | None]], add: Mapping[str, bytes] | None = None
) -> Path:
    """Copy a saved program with some entries changed, left out (None) or added, as torch itself writes archives."""
    out = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(out)
    for name, content in entries(path).items():
        if name.startswith(".data") or name == "byteorder":  # the writer makes these
            continue
        changed = change[name](content) if name in change else content
        if changed is not None:
            writer.write_record(name, changed, len(changed))
    for name, content in (add or {}).items():
        writer.write_record(name, content, len(content))
    writer.write_end_of_file()
    to.write_bytes(out.getvalue())
    return to


def in_json(edit: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """Return a change of an entry that holds JSON."""

    def change(content: bytes) -> bytes:
        found = json.loads(content)
        edit(found)
        return json.dumps(found).encode()

    return change


class Marks:
    """Unpickling this runs code that leaves a directory behind."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.place),)


def pickled(value: Any) -> bytes:
    out = io.BytesIO()
    torch.save(value, out)
    return out.getvalue()
