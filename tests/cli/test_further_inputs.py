"""Models of several inputs: `--arg` gives what `sp.explain(..., args=...)` is given, row by row."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from commandline import explain, refused
from small_inputs import LENGTH, random_dna
from torch import nn

import seqplrp as sp
from seqplrp.errors import SeqplrpError
from seqplrp.genomics import read_fasta, tracks, write_fasta
from seqplrp.pipeline import read_further

NETS = """
import torch
from torch import nn


class Control(nn.Module):
    '''Sequences and a control track, of any length; two outputs. The track counts, and depends on its place.'''

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(4, 6, 5, padding=2)
        self.track = nn.Conv1d(2, 6, 3, padding=1)
        self.head = nn.Linear(6, 2)

    def forward(self, x, control):
        return self.head(torch.relu(self.conv(x) + self.track(control)).mean(2))


class Softmax(Control):
    def forward(self, x, control):
        return super().forward(x, control).softmax(1)


class Cell(nn.Module):
    '''Sequences, a cell type's number, and how deep it was sequenced.'''

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv1d(4, 6, 5)
        self.cell = nn.Embedding(3, 6)
        self.head = nn.Linear(6, 1)

    def forward(self, x, cell, depth):
        return self.head(torch.relu(self.conv(x)).mean(2) + self.cell(cell)) * depth


class Optional(Control):
    def forward(self, x, control=None):
        return super().forward(x, torch.zeros_like(x[:, :2]) if control is None else control)


class ByName(Control):
    def forward(self, x, *, control):
        return super().forward(x, control)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5)

    def forward(self, x):
        return torch.relu(self.conv(x)).mean((1, 2))
"""

N = 7


@pytest.fixture(scope="module")
def nets(tmp_path_factory) -> Path:
    """A directory with the module `fed_nets`, sequences, a control track for each, and a program of two inputs."""
    place = tmp_path_factory.mktemp("fed")
    (place / "fed_nets.py").write_text(NETS)
    write_fasta(place / "x.fa", [(f"s{i}", dna) for i, dna in enumerate(random_dna(N, LENGTH))])
    rng = np.random.default_rng(0)
    np.save(place / "control.npy", rng.random((N, 2, LENGTH)))  # float64, as numpy makes it
    np.savez_compressed(place / "control.npz", np.load(place / "control.npy"))
    np.save(place / "one.npy", np.load(place / "control.npy")[:1])
    np.save(place / "cells.npy", np.array([2, 0, 1, 1, 0, 2, 0], dtype=np.int32))
    np.save(place / "depth.npy", rng.uniform(1, 2, (N, 1)).astype(np.float16))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.syspath_prepend(str(place))
        import fed_nets

        for name, dims in (("free", ({0: torch.export.Dim.AUTO},) * 2), ("fixed", None)):
            examples = (torch.zeros(3, 4, LENGTH), torch.zeros(3, 2, LENGTH))
            program = torch.export.export(fed_nets.Control().eval(), examples, dynamic_shapes=dims)
            torch.export.save(program, place / f"{name}.pt2")
    return place


@pytest.fixture
def here(nets, tmp_path, monkeypatch):
    """The directory of `nets` as the current one, and the place to write to."""
    monkeypatch.chdir(nets)
    monkeypatch.syspath_prepend(str(nets))
    return tmp_path / "out"


@cache
def module(name="Control") -> nn.Module:
    import fed_nets

    return getattr(fed_nets, name)().eval()


def one_hot():
    return sp.one_hot([record.sequence for record in read_fasta("x.fa")])


def control(dtype=torch.float32):
    return torch.from_numpy(np.load("control.npy")).to(dtype)


def per_base(out):
    return tracks.read_npz(out / "relevance.npz").per_base.reshape(N, -1)


@pytest.mark.parametrize("model", ["fed_nets:Control", "free.pt2", "fixed.pt2"])
@pytest.mark.parametrize("file", ["control.npy", "control.npz"])
def test_each_sequence_is_explained_beside_its_own_row(run, here, model, file):
    """In chunks that do not begin with the first row."""
    explain(run, here, "--model", model, "--arg", file, "--target", "1", "--chunk-size", "3")
    expected = sp.explain(module(), one_hot(), target=1, args=(control(),))
    np.testing.assert_allclose(per_base(here), expected.per_base, rtol=1e-4, atol=1e-7)
    table = pd.read_csv(here / "summary.tsv", sep="\t")
    np.testing.assert_allclose(table["output"], expected.output, rtol=1e-5)
    ledger = pd.read_csv(here / "ledger.tsv", sep="\t")
    assert ledger["fixed_inputs"].abs().sum() > 0
    told = json.loads((here / "manifest.json").read_text())
    assert told["further_inputs"] == [
        {"path": file, "sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest(), "shape": [N, 2, LENGTH]}
    ]
    assert any("held fixed" in note for note in told["notes"])
    turned = sp.explain(module(), one_hot(), target=1, args=(control().flip(0),))
    assert not np.allclose(per_base(here), turned.per_base, rtol=1e-2), "the rows make no difference: the test is blind"


def test_one_row_serves_all(run, here):
    explain(run, here, "--model", "fed_nets:Control", "--arg", "one.npy", "--target", "0")
    expected = sp.explain(module(), one_hot(), target=0, args=(control()[:1],))
    np.testing.assert_allclose(per_base(here), expected.per_base, rtol=1e-5, atol=1e-8)


def test_inputs_are_taken_in_their_order_and_whole_numbers_stay_such(run, here):
    explain(run, here, "--model", "fed_nets:Cell", "--arg", "cells.npy", "--arg", "depth.npy")
    cells = torch.from_numpy(np.load("cells.npy")).long()
    depth = torch.from_numpy(np.load("depth.npy")).float()
    expected = sp.explain(module("Cell"), one_hot(), args=(cells, depth))
    np.testing.assert_allclose(per_base(here), expected.per_base, rtol=1e-5, atol=1e-8)


def test_rows_follow_their_records_where_lengths_differ(run, here, tmp_path):
    lengths = [LENGTH, 30, LENGTH, 30, 22]
    records = [(f"r{i}", random_dna(1, length, seed=i)[0]) for i, length in enumerate(lengths)]
    write_fasta(tmp_path / "y.fa", records)
    given = np.random.default_rng(1).random((5, 6)).astype(np.float32)
    np.save(tmp_path / "scale.npy", given)
    (tmp_path / "lengths_net.py").write_text(
        "import fed_nets, torch\n"
        "class Net(fed_nets.Plain):\n"
        "    def forward(self, x, scale):\n"
        "        return (torch.relu(self.conv(x)).mean(2) * scale).sum(1)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        import lengths_net

        torch.manual_seed(3)
        model = lengths_net.Net().eval()
        torch.save(model.state_dict(), tmp_path / "w.pt")
        arguments = ["--model", "lengths_net:Net", "--weights", tmp_path / "w.pt", "--arg", tmp_path / "scale.npy"]
        explain(run, here, *arguments, fasta=tmp_path / "y.fa", formats="npz")
    arrays = tracks.read_npz(here / "relevance.npz")
    for i, (_, dna) in enumerate(records):
        expected = sp.explain(model, sp.one_hot([dna]), args=(torch.from_numpy(given[i : i + 1]),)).per_base[0]
        np.testing.assert_allclose(arrays.per_base[arrays.positions(i)], expected, rtol=1e-4, atol=1e-7)


def test_probabilities_are_those_beside_the_further_inputs(run, here):
    explain(run, here, "--model", "fed_nets:Softmax", "--arg", "control.npy", "--target", "predicted")
    with torch.inference_mode():
        probability = module("Softmax")(one_hot(), control())
    table = pd.read_csv(here / "summary.tsv", sep="\t")
    np.testing.assert_allclose(table["probability"], probability.max(1).values, rtol=1e-5)
    assert table["predicted"].tolist() == probability.argmax(1).tolist()


def test_an_ensemble_takes_the_same_inputs(run, here):
    explain(run, here, "--model", "fed_nets:Control", "--model", "free.pt2", "--arg", "control.npy", "--target", "0")
    expected = sp.explain(module(), one_hot(), target=0, args=(control(),))
    np.testing.assert_allclose(per_base(here), expected.per_base, rtol=1e-4, atol=1e-7)


def test_both_strands_are_explained_beside_the_same_inputs_and_that_is_said(run, here):
    arguments = ["--model", "fed_nets:Control", "--arg", "control.npy", "--target", "0", "--reverse-complement"]
    done = explain(run, here, *arguments)
    expected = sp.explain(module(), one_hot(), target=0, args=(control(),), method=sp.PLRP(reverse_complement=True))
    np.testing.assert_allclose(per_base(here), expected.per_base, rtol=1e-5, atol=1e-8)
    assert "note: further inputs are the same for both strands: they were not turned" in done.out


def test_filters_are_looked_at_beside_each_sequences_own_row(run, here, monkeypatch):
    monkeypatch.setattr("seqplrp.pipeline.session.CHUNK_RECORDS", 3)
    arguments = ["--out", here, "--arg", "control.npy", "--target", "1", "--no-match", "--batch-size", "2"]
    done = run("filters", "fed_nets:Control", "x.fa", *arguments)
    assert (done.code, done.err) == (0, ""), done.err
    explainer = sp.Explainer(module(), one_hot()[:1], args=(control()[:1],))
    relevance = explainer(one_hot(), target=1, args=(control(),), layers=["conv"]).layers["conv"].double().numpy()
    table = pd.read_csv(here / "filters.tsv", sep="\t").set_index("filter").sort_index()
    np.testing.assert_allclose(table["positive"], np.maximum(relevance, 0).sum((0, 2)), rtol=1e-4)


def test_an_input_that_may_be_left_out_may_be_left_out(run, here):
    explain(run, here, "--model", "fed_nets:Optional", "--target", "0")
    expected = sp.explain(module("Optional"), one_hot(), target=0)
    np.testing.assert_allclose(per_base(here), expected.per_base, rtol=1e-5, atol=1e-8)


PYTHON = r"give --arg FILE.npy for each further one, or explain it in Python: sp.explain(model, X, args=(...))"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fed_nets:Control"], f"takes 2 inputs (x, control), and beside the sequences none was given; {PYTHON}"),
        (["free.pt2"], f"free.pt2 takes 2 inputs (x, control), and beside the sequences none was given; {PYTHON}"),
        (["fed_nets:Cell", "cells.npy"], f"(x, cell, depth), and beside the sequences 1 was given; {PYTHON}"),
        (["fed_nets:Control", "one.npy", "one.npy"], "--arg: 2 given, and fed_nets:Control takes at most 1 beside the"),
        (["fed_nets:Plain", "one.npy"], "--arg: 1 given, and fed_nets:Plain takes the sequences alone; leave out"),
        (["free.pt2", "one.npy", "one.npy"], "--arg: 2 given, and free.pt2 takes at most 1 beside the sequences"),
        (["fed_nets:ByName", "one.npy"], "fed_nets:ByName takes 'control' by name only; wrap it in a module"),
        (["fed_nets:Control", "depth.npy"], "x.fa, record 's0': the model fails on its 40 bases and depth.npy (N, 1)"),
        (["free.pt2", "depth.npy"], "--arg depth.npy: is (N, 1), and free.pt2 was exported for (N, 2, 40); give"),
        (["fed_nets:Control", "none.npy"], "--arg none.npy: there is no such file; check the path"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("command", ["explain", "filters"])
def test_inputs_that_do_not_fit_the_model_are_one_line(run, here, command, arguments, said):
    model, *files = arguments
    given = [part for file in files for part in ("--arg", file)]
    place = ["--model", model, "--fasta", "x.fa"] if command == "explain" else [model, "x.fa", "--no-match"]
    assert said in refused(run(command, *place, *given, "--target", "0", "--out", here))
    assert not here.exists()


def saved(path, values):
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        np.savez(path, *(values if isinstance(values, list) else [values]))
    return path


def with_nan():
    values = np.zeros((N, 3), np.float32)
    values[4, 1] = np.nan
    return values


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("a.npy", np.zeros((3, 2)), r"has 3 rows \(3 x 2\) for 7 sequences; give one row a sequence, in the order of"),
        ("a.npy", np.zeros(()), "is a single number for 7 sequences"),
        ("a.npy", np.zeros((0, 2)), "rows|damaged"),
        ("a.npy", with_nan(), "holds NaN or infinite values in row 4, counted from 0"),
        ("a.npy", np.array(["A"] * N), "holds values of type <U1"),
        ("a.npy", np.zeros((N, 2), np.complex64), "holds values of type complex64"),
        ("a.npy", np.array([{}] * N), "is no array of numbers, or is damaged"),
        ("a.npz", np.array([{}] * N), "is no array of numbers, or is damaged"),
        ("a.npz", [np.zeros((N, 2)), np.zeros((N, 3))], r"holds 2 arrays \(arr_0, arr_1\); give a file of one array"),
        ("a.npz", [], r"holds 0 arrays \(none\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_holds_no_row_for_each_sequence_says_what_it_holds(tmp_path, name, values, said):
    path = saved(tmp_path / name, values)
    with pytest.raises(SeqplrpError, match=said) as caught:
        read_further([path], N)
    assert caught.value.where == f"--arg {path}"


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_file_cut_short_anywhere_is_a_mendable_error(tmp_path, name):
    path = saved(tmp_path / name, np.random.default_rng(0).random((N, 5)))
    whole = path.read_bytes()
    for kept in np.linspace(0, len(whole) - 1, 12).astype(int):
        path.write_bytes(whole[:kept])
        with pytest.raises(SeqplrpError, match="damaged"):
            read_further([path], N)


def test_a_directory_is_no_array(tmp_path):
    with pytest.raises(SeqplrpError, match=r"can't be read \(is a directory\)"):
        read_further([tmp_path], N)


def test_rows_beyond_the_file_say_that_the_input_changed(tmp_path):
    (one,) = read_further([saved(tmp_path / "a.npy", np.zeros((N, 2)))], N)
    with pytest.raises(SeqplrpError, match="was changed meanwhile"):
        one.rows([N - 1, N])


def test_what_the_command_reads_is_never_replaced(run, here, nets):
    done = run("explain", "--model", "fed_nets:Control", "--fasta", "x.fa", "--arg", "one.npy", "--out", "one.npy")
    assert "is what this command reads" in refused(done)
