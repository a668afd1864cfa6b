"""What is no saved program, is damaged or can't be explained is told in one line."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.utils._sympy.functions
from saved_programs import LENGTH, PROGRAM, Net, dna, entries, fresh, in_json, pickled, rewritten, seeded

from seqplrp.errors import SeqplrpError
from seqplrp.models import load_model, load_program


def other_files(place: Path) -> dict[str, bytes]:
    arrays, plain = io.BytesIO(), io.BytesIO()
    np.savez(arrays, a=np.zeros(3))
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("a.txt", "text")
    return {
        "empty": b"",
        "text": b">a\nACGT\n",
        "npz": arrays.getvalue(),
        "zip": plain.getvalue(),
        "state_dict": pickled(seeded(Net).state_dict()),
        "start_of_a_zip": b"PK\x03\x04",
    }


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", "is no saved program: it is no zip archive"),
        ("text", "is no saved program: it is no zip archive"),
        ("npz", "is no saved program: it holds no program of torch"),
        ("zip", "is no saved program: it holds no program of torch"),
        ("state_dict", "is no saved program but what torch.save writes"),
        ("start_of_a_zip", "is cut short or damaged"),
    ],
)
def test_a_file_that_is_no_program_is_told_what_it_is(tmp_path, kind, said):
    path = tmp_path / "x.pt2"
    path.write_bytes(other_files(tmp_path)[kind])
    with pytest.raises(SeqplrpError, match=said) as refused:
        load_model(path)
    assert refused.value.where == str(path)


def test_a_path_with_nothing_there_is_told(tmp_path):
    with pytest.raises(SeqplrpError, match="there is no such directory or file"):
        load_model(tmp_path / "none.pt2")
    with pytest.raises(SeqplrpError, match="there is no such file"):
        load_program(tmp_path / "none.pt2")
    with pytest.raises(SeqplrpError, match="is a directory"):
        load_program(tmp_path)


def test_a_file_cut_short_anywhere_is_a_mendable_error(free, tmp_path):
    whole, path = free.read_bytes(), tmp_path / "cut.pt2"
    for kept in np.linspace(1, len(whole) - 1, 25).astype(int):
        path.write_bytes(whole[:kept])
        with pytest.raises(SeqplrpError, match=r"cut\.pt2: "):
            load_program(path)


def refusal(path: Path) -> str | None:
    """Load a program; return where a mendable error says it is wrong."""
    try:
        load_program(path)
    except SeqplrpError as error:
        return error.where
    return None


def test_changed_bytes_load_or_are_a_mendable_error(free, tmp_path):
    whole, path = bytearray(free.read_bytes()), tmp_path / "changed.pt2"
    rng = np.random.default_rng(0)
    refused = 0
    for at, value in zip(rng.integers(0, len(whole), 60), rng.integers(0, 256, 60), strict=True):
        changed = whole.copy()
        changed[at : at + 3] = bytes([value] * len(changed[at : at + 3]))
        path.write_bytes(changed)
        where = refusal(path)
        refused += where is not None
        assert where in (None, str(path))
    assert refused > 10


def test_parts_left_out_are_a_mendable_error(free, tmp_path):
    for number, name in enumerate(entries(free)):
        path = rewritten(free, tmp_path / f"{number}.pt2", {name: lambda _: None})
        if name.startswith(".data") or name == "byteorder":
            continue  # the writer makes them
        assert refusal(path) == str(path), name


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda p: p["schema_version"].update(major=99), r"was saved by torch 2\S* in format 99.*reads format \d+"),
        (lambda p: p.update(torch_version="9.1.0", schema_version=None), r"torch 9\.1\.0 in format None"),
        (lambda p: p.pop("graph_module"), "can't be loaded as a program"),
        (
            lambda p: p["graph_module"]["graph"]["nodes"][0].update(target="torch.ops.aten.noise.x"),
            "torch.ops.aten.noise",
        ),
        (lambda p: p["graph_module"]["graph"]["nodes"].pop(), "can't be loaded as a program: "),
    ],
)
def test_a_program_of_another_torch_or_a_broken_one_says_why(free, tmp_path, edit, said):
    path = rewritten(free, tmp_path / "other.pt2", {PROGRAM: in_json(edit)})
    with pytest.raises(SeqplrpError, match=said) as refused:
        load_program(path)
    assert "export" in refused.value.remedy


def test_an_archive_of_a_newer_kind_says_why(free, tmp_path):
    path = rewritten(free, tmp_path / "new.pt2", {"archive_version": lambda _: b"12"})
    with pytest.raises(SeqplrpError, match="archive version 12"):
        load_program(path)


def test_loading_prints_and_logs_nothing(free, tmp_path, capfd, caplog):
    load_program(free)
    path = rewritten(free, tmp_path / "broken.pt2", {PROGRAM: in_json(lambda p: p.pop("graph_module"))})
    with pytest.raises(SeqplrpError):
        load_program(path)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_a_program_under_another_name_is_said(free, tmp_path):
    path = rewritten(free, tmp_path / "named.pt2", {PROGRAM: lambda _: None}, {"models/other.json": b"{}"})
    with pytest.raises(SeqplrpError, match="none named 'model'"):
        load_program(path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_program_of_a_gpu_is_refused_without_one(free, tmp_path):
    path = rewritten(free, tmp_path / "gpu.pt2", {PROGRAM: lambda text: text.replace(b'"cpu"', b'"cuda"')})
    with pytest.raises(SeqplrpError, match=r"exported on a GPU.*model\.cpu"):
        load_program(path)


class ByName(Net):
    def forward(self, x, *, scale):
        return super().forward(x) * scale


class Packed(Net):
    def forward(self, inputs):
        return super().forward(inputs["x"])


class Number(Net):
    def forward(self, x, times):
        return super().forward(x) * times


def test_programs_that_can_not_be_explained_say_what_to_export(tmp_path):
    x, path = torch.zeros(3, 4, LENGTH), tmp_path / "x.pt2"
    exports = {
        "by name": lambda: torch.export.export(seeded(ByName), (x,), {"scale": torch.ones(())}),
        "a dictionary": lambda: torch.export.export(seeded(Packed), ({"x": x},)),
        "takes 2, which is no tensor": lambda: torch.export.export(seeded(Number), (x, 2)),
        "training mode": lambda: torch.export.export(fresh(Net).train(), (x,)),
        "weights in torch.bfloat16": lambda: torch.export.export(fresh(Net).bfloat16(), (x.bfloat16(),)),
    }
    for said, export in exports.items():
        torch.export.save(export(), path)
        with pytest.raises(SeqplrpError, match=said) as refused:
            load_program(path)
        assert refused.value.where == str(path)


def test_a_name_of_any_ending_is_taken(free, tmp_path):
    path = tmp_path / "program.bin"
    path.write_bytes(free.read_bytes())
    assert load_model(os.fspath(path))(dna(3)).shape == (3, 2)
