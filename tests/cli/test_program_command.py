"""Saved programs, ensembles, composites and targets by function on the command line: what the library computes."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
from commandline import explain, refused
from safetensors.torch import load_file, save_file
from small_inputs import LENGTH, random_dna
from torch import nn

import seqplrp as sp
from seqplrp.genomics import read_fasta, tracks, write_fasta
from seqplrp.methods import Explanation
from seqplrp.models import load_model

NETS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(4, 6, 5)
        self.act = nn.ReLU()
        self.body = nn.Conv1d(6, 5, 3)
        self.head = nn.Linear(5, 2)

    def features(self, x):
        return torch.relu(self.body(self.act(self.conv(x))))

    def forward(self, x):
        return self.head(self.features(x).mean(2))


class Profile(Net):
    def forward(self, x):
        return self.features(x), super().forward(x)


class Last(Net):
    def forward(self, x):
        return super().forward(x.transpose(1, 2))


class Softmax(Net):
    def forward(self, x):
        return super().forward(x).softmax(1)


class Choosy(Net):
    '''Fixes its length where it is traced, and counts how often that happens.'''

    def forward(self, x):
        return super().forward(x) * float(x.shape[2])


def counts(outputs):
    return outputs[1][:, 1]


def difference(outputs):
    return outputs[:, 0] - outputs[:, 1]


def whole(outputs):
    return outputs[1]


def broken(outputs):
    return outputs["profile"]


number = 3
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory) -> Path:
    """A directory with the module `saved_nets`, its models as programs, weights of two folds, and a FASTA file."""
    place = tmp_path_factory.mktemp("nets")
    (place / "saved_nets.py").write_text(NETS)
    with inside(place):
        import saved_nets

        free = ({0: torch.export.Dim.AUTO},)
        for name, kind, shape, dims in (
            ("free", saved_nets.Net, (3, 4, LENGTH), free),
            ("fixed", saved_nets.Net, (3, 4, LENGTH), None),
            ("last", saved_nets.Last, (3, LENGTH, 4), free),
            ("profile", saved_nets.Profile, (3, 4, LENGTH), free),
            ("softmax", saved_nets.Softmax, (3, 4, LENGTH), None),
        ):
            program = torch.export.export(kind().eval(), (torch.zeros(shape),), dynamic_shapes=dims)
            torch.export.save(program, place / f"{name}.pt2")
        for fold in (1, 2):
            weights = saved_nets.Net().state_dict()
            torch.manual_seed(fold)
            weights = {name: value + 0.3 * torch.randn_like(value) for name, value in weights.items()}
            save_file(weights, place / f"fold{fold}.safetensors")
    write_fasta(place / "x.fa", [(f"s{i}", dna) for i, dna in enumerate(random_dna(5, LENGTH))])
    return place


@contextmanager
def inside(place: Path):
    """Be in a directory whose modules can be imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.syspath_prepend(str(place))
        yield


@pytest.fixture
def here(nets, tmp_path, monkeypatch):
    """The directory of `nets` as the current one, and the place to write to."""
    monkeypatch.chdir(nets)
    monkeypatch.syspath_prepend(str(nets))
    return tmp_path / "out"


def one_hot(fasta="x.fa"):
    return sp.one_hot([record.sequence for record in read_fasta(fasta)])


def manifest(out):
    return json.loads((out / "manifest.json").read_text())


def per_base(out, n=5):
    return tracks.read_npz(out / "relevance.npz").per_base.reshape(n, -1)


@cache
def module(name="Net"):
    """Return a model of `nets` that is made, and traced, once."""

    import saved_nets

    return getattr(saved_nets, name)().eval()


@cache
def program(name):
    return load_model(name)


@cache
def fold(number):
    import saved_nets

    model = saved_nets.Net().eval()
    model.load_state_dict(load_file(f"fold{number}.safetensors"))
    return model


# --- programs


@pytest.mark.parametrize("name", ["free", "fixed"])
def test_a_saved_program_is_explained_as_its_module(run, here, name):
    explain(run, here, "--model", f"{name}.pt2", "--target", "1", "--batch-size", "3")
    expected = sp.explain(module(), one_hot(), target=1)
    np.testing.assert_allclose(per_base(here), expected.per_base, rtol=1e-4, atol=1e-7)
    table = pd.read_csv(here / "summary.tsv", sep="\t")
    np.testing.assert_allclose(table["output"], expected.output, rtol=1e-5)
    assert {"head", "body", "conv"} <= set(pd.read_csv(here / "ledger.tsv", sep="\t")["layer"])
    assert manifest(here)["models"][0]["name"] == f"{name}.pt2"


def test_a_programs_weights_hash_as_those_of_its_module(run, here, tmp_path):
    explain(run, here, "--model", "free.pt2", "--target", "1", formats="npz")
    explain(run, tmp_path / "module", "--model", "saved_nets:Net", "--target", "1", formats="npz")
    assert manifest(here)["models"][0]["weights_sha256"] == manifest(tmp_path / "module")["models"][0]["weights_sha256"]


def test_a_programs_closing_softmax_gives_probabilities_batch_by_batch(run, here):
    """Of five sequences at three a time, and a score with the softmax left out."""
    explain(run, here, "--model", "softmax.pt2", "--target", "predicted")
    with torch.inference_mode():
        probability = module("Softmax")(one_hot())
    table = pd.read_csv(here / "summary.tsv", sep="\t")
    np.testing.assert_allclose(table["probability"], probability.max(1).values, rtol=1e-5)
    assert table["predicted"].tolist() == probability.argmax(1).tolist()


def test_the_filters_of_a_saved_program_are_those_of_its_module(run, here, tmp_path):
    for model, out in (("fixed.pt2", here), ("saved_nets:Net", tmp_path / "module")):
        done = run("filters", model, "x.fa", "--out", out, "--target", "1", "--no-match", "--rule", "epsilon-plus")
        assert (done.code, done.err) == (0, ""), done.err
    ours, theirs = (pd.read_csv(out / "filters.tsv", sep="\t") for out in (here, tmp_path / "module"))
    assert ours["filter"].tolist() == theirs["filter"].tolist()
    np.testing.assert_allclose(ours["share"], theirs["share"], rtol=1e-4)


class Tagged(torch.Tensor):
    pass


class Subclassed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5)
        self.register_buffer("scale", torch.ones(6).as_subclass(Tagged))

    def forward(self, x):
        return (self.conv(x) * self.scale[:, None]).mean((1, 2))


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 8),
    reason="torch before 2.8 exports no model whose weights are of a class of their own",
)
def test_a_program_that_asks_for_pickle_needs_trust(run, here, tmp_path):
    path = tmp_path / "subclass.pt2"
    torch.export.save(torch.export.export(Subclassed().eval(), (torch.zeros(3, 4, LENGTH),)), path)
    for command in (["explain", "--model", path, "--fasta", "x.fa"], ["filters", path, "x.fa", "--no-match"]):
        said = refused(run(*command, "--out", here))
        assert str(path) in said
        assert "asks for pickle" in said
        assert "--trust-pickle" in said
        assert not here.exists()
    explain(run, here, "--model", path, "--trust-pickle")
    assert manifest(here)["arguments"]["trust_pickle"] is True
    expected = sp.explain(load_model(path, trust_pickle=True), one_hot())
    np.testing.assert_array_equal(per_base(here), expected.per_base)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("x.fa", r"x.fa: is no saved program: it is no zip archive"),
        ("fold1.safetensors", "fold1.safetensors: is no saved program"),
        ("none.pt2", "none.pt2: there is no such directory or file"),
        ("saved_nets.py", "'saved_nets.py' is no model directory and not module:callable; write saved_nets:Net or "),
    ],
)
def test_what_is_no_model_is_told(run, here, model, said):
    assert said in refused(run("explain", "--model", model, "--fasta", "x.fa", "--out", here))


def test_a_sequence_of_another_length_than_the_programs_names_file_and_record(run, here, tmp_path):
    write_fasta(tmp_path / "y.fa", [("long", "ACGTA" * 10)])
    said = refused(run("explain", "--model", "free.pt2", "--fasta", tmp_path / "y.fa", "--out", here, "--target", "0"))
    expected = "has 50 bases, and free.pt2 was exported for (N, 4, 40); cut or extend the sequences to 40 bases"
    assert said.startswith(f"error: {tmp_path / 'y.fa'}, record 'long': {expected}")


def test_channels_last(run, here):
    explain(run, here, "--model", "last.pt2", "--layout", "NLC", "--target", "1")
    expected = sp.explain(module(), one_hot(), target=1)
    np.testing.assert_allclose(per_base(here), expected.per_base, rtol=1e-5, atol=1e-8)
    assert manifest(here)["layout"] == "NLC"
    said = refused(run("explain", "--model", "last.pt2", "--fasta", "x.fa", "--out", here, "--overwrite"))
    assert "--layout: last.pt2 takes (N, 40, 4); give --layout NLC" in said
    said = refused(run("explain", "--model", "free.pt2", "--fasta", "x.fa", "--out", "o", "--layout", "nlc"))
    assert "--layout: free.pt2 takes (N, 4, 40); give --layout NCL" in said
    said = refused(run("explain", "--model", "last.pt2", "--fasta", "x.fa", "--out", "o", "--layout", "LCN"))
    assert "--layout: 'LCN' is not known; choose NCL or NLC" in said


class Sum(nn.Module):
    def forward(self, x, y):
        return (x + y).sum((1, 2))


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (
            ((2, 4, LENGTH), (2, 4, LENGTH)),
            "other.pt2 takes 2 inputs (x, y), and beside the sequences none was given; give --arg FILE.npy for each "
            "further one, or explain it in Python: sp.explain(model, X, args=(...))",
        ),
        (((2, 5, LENGTH),), "was exported for (2, 5, 40); export it for one-hot sequences, (N, 4, L) or (N, L, 4)"),
        (((2, 4 * LENGTH),), "was exported for (2, 160); export it for one-hot sequences, (N, 4, L) or (N, L, 4)"),
    ],
)
def test_a_program_of_other_inputs_is_refused(run, here, tmp_path, shapes, said):
    model = Sum() if len(shapes) == 2 else nn.Flatten()
    examples = tuple(torch.zeros(shape) for shape in shapes)
    torch.export.save(torch.export.export(model.eval(), examples), tmp_path / "other.pt2")
    assert said in refused(run("explain", "--model", tmp_path / "other.pt2", "--fasta", "x.fa", "--out", here))


# --- ensembles


ENSEMBLES = {
    "folds": ["--model", "saved_nets:Net", "--weights", "fold1.safetensors", "--weights", "fold2.safetensors"],
    "in turn": [
        *("--model", "saved_nets:Net", "--model", "free.pt2", "--model", "saved_nets:Net"),
        *("--weights", "fold1.safetensors", "--weights", "fold2.safetensors"),
    ],
}


def members(kind):
    return [fold(1), fold(2)] if kind == "folds" else [fold(1), program("free.pt2"), fold(2)]


@pytest.mark.parametrize("kind", ENSEMBLES)
def test_several_models_give_their_mean_and_its_spread(run, here, kind):
    explain(run, here, *ENSEMBLES[kind], "--target", "1", "--batch-size", "5", formats="npz,tsv,bigwig")
    expected = sp.explain(members(kind), one_hot(), target=1)
    arrays = tracks.read_npz(here / "relevance.npz")
    np.testing.assert_allclose(arrays.per_base.reshape(5, -1), expected.per_base, rtol=1e-5, atol=1e-8)
    spread = torch.stack([member.per_base for member in expected.members]).std(0)
    assert arrays.relevance_spread.dtype == np.float32
    np.testing.assert_allclose(arrays.relevance_spread.reshape(5, -1), spread, rtol=1e-4, atol=1e-8)
    with pyBigWig.open(str(here / "relevance_spread.bw")) as file:
        for i in range(5):
            np.testing.assert_array_equal(
                np.float32(file.values(f"s{i}", 0, LENGTH)), arrays.relevance_spread.reshape(5, -1)[i]
            )
    table = pd.read_csv(here / "summary.tsv", sep="\t")
    outputs = torch.stack([member.output for member in expected.members])
    np.testing.assert_allclose(table["output"], outputs.mean(0), rtol=1e-5)
    np.testing.assert_allclose(table["output_spread"], outputs.std(0), rtol=1e-4)
    assert set(pd.read_csv(here / "ledger.tsv", sep="\t")["member"]) == set(range(len(expected.members)))
    told = manifest(here)
    assert len(told["models"]) == len({model["weights_sha256"] for model in told["models"]}) == len(expected.members)
    assert f"mean over {len(expected.members)} models" in told["notes"]


def test_one_model_has_no_spread(run, here):
    explain(run, here, "--model", "free.pt2", "--target", "1", formats="npz,tsv,bigwig")
    assert tracks.read_npz(here / "relevance.npz").relevance_spread is None
    assert not (here / "relevance_spread.bw").exists()
    assert "output_spread" not in pd.read_csv(here / "summary.tsv", sep="\t")


def test_the_spread_of_overlapping_records_on_the_minus_strand_stands_where_the_bases_are(run, here, tmp_path):
    plus, minus = random_dna(2, LENGTH)
    write_fasta(tmp_path / "y.fa", [(f"chr1:100-{100 + LENGTH}", plus), (f"n::chr1:120-{120 + LENGTH}(-)", minus)])
    explain(run, here, *ENSEMBLES["folds"], "--target", "0", fasta=tmp_path / "y.fa", formats="npz,bigwig")
    spread = tracks.read_npz(here / "relevance.npz").relevance_spread.reshape(2, -1)
    expected = np.full((2, 20 + LENGTH), np.nan, np.float32)
    expected[0, :LENGTH] = spread[0]
    expected[1, 20:] = spread[1][::-1]
    track = tracks.read_bigwig(here / "relevance_spread.bw", "chr1", 100, 120 + LENGTH)
    np.testing.assert_allclose(track, np.nanmean(expected, 0), rtol=1e-6)


def test_members_of_another_size_are_brought_to_one_under_the_relative_rule(run, here):
    explain(run, here, *ENSEMBLES["folds"], "--method", "r-lrp", "--target", "1")
    expected = sp.explain(members("folds"), one_hot(), target=1, method="r-lrp")
    np.testing.assert_allclose(per_base(here), expected.per_base, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            [*ENSEMBLES["folds"], "--target", "predicted"],
            "--target: predicted is not the same output for every model; give a number",
        ),
        (
            [
                "--model",
                "saved_nets:Net",
                "--model",
                "saved_nets:Net",
                "--weights",
                "fold1.safetensors",
                "--target",
                "0",
            ],
            "--weights: 1 given for 2 models of the form module:callable; give one for each",
        ),
        (
            ["--model", "free.pt2", "--weights", "fold1.safetensors", "--target", "0"],
            "--weights: is for module:callable",
        ),
        (["--model", "free.pt2", "--model", "none.pt2", "--target", "0"], "none.pt2: there is no such"),
        (["--model", "free.pt2", "--model", "profile.pt2", "--target", "0"], "--target: the model gives 2 tensors"),
    ],
)
def test_an_ensemble_that_can_not_be_is_refused(run, here, arguments, said):
    assert said in refused(run("explain", "--fasta", "x.fa", "--out", here, *arguments))
    assert not here.exists()


def test_models_of_different_tasks_are_refused(run, here, model_directory, tmp_path):
    from dataclasses import replace

    from seqplrp.models import save_model

    model = load_model(model_directory)
    save_model(model, tmp_path / "other", replace(model.config, classes=["SOX2", "GATA1"]))
    arguments = ["--model", model_directory, "--model", tmp_path / "other", "--target", "0"]
    said = refused(run("explain", "--fasta", "x.fa", "--out", here, *arguments))
    assert "CTCF, GATA1 (multilabel) apart and" in said


def test_an_ensemble_of_one_task_has_its_classes_and_the_mean_probability(run, here, model_directory, tmp_path):
    from seqplrp.models import save_model

    model = load_model(model_directory)
    for value in model.parameters():
        value.data += 0.1
    save_model(model, tmp_path / "other", model.config)
    arguments = ["--model", model_directory, "--model", tmp_path / "other", "--target", "GATA1"]
    explain(run, here, *arguments)
    with torch.inference_mode():
        probabilities = [load_model(p)(one_hot())[:, 1].sigmoid() for p in (model_directory, tmp_path / "other")]
    table = pd.read_csv(here / "summary.tsv", sep="\t")
    assert set(table["class"]) == {"GATA1"}
    np.testing.assert_allclose(table["probability"], sum(probabilities) / 2, rtol=1e-5)


# --- rules, attention, numerics, the check


@pytest.mark.parametrize(
    ("options", "method"),
    [
        (["--rule", "epsilon-plus"], sp.PLRP(rule="epsilon-plus")),
        (["--method", "lrp", "--rule", "default"], sp.LRP(rule="default")),
        (
            ["--method", "lrp", "--rule", "@first=zbox(0,1)", "--rule", "b*=gamma(0.5)", "--rule", "epsilon"],
            sp.LRP(rule={"@first": sp.ZBox(0.0, 1.0), "b*": sp.Gamma(0.5), "*": sp.Epsilon()}),
        ),
        (
            ["--method", "lrp", "--rule", "epsilon", "--rule", "@conv=zplus"],
            sp.LRP(rule={"@conv": sp.ZPlus(), "*": sp.Epsilon()}),
        ),
        (
            ["--method", "lrp", "--rule", "head=gamma(1)", "--rule", "epsilon-plus"],
            sp.LRP(rule={"head": sp.Gamma(1.0), "@conv": sp.ZPlus(), "*": sp.Epsilon()}),
        ),
        (["--method", "lrp", "--attention", "attnlrp"], sp.LRP(attention="attnlrp")),
        (["--p", "0.2", "--p", "head=0.6"], sp.PLRP(p={"head": 0.6, "*": 0.2})),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_rules_shares_and_attention_are_placed_as_named(run, here, options, method):
    explain(run, here, "--model", "free.pt2", "--target", "1", *options, formats="npz")
    expected = sp.explain(program("free.pt2"), one_hot(), target=1, method=method)
    np.testing.assert_array_equal(per_base(here), expected.per_base)
    assert manifest(here)["method"] == repr(method)


def test_how_numbers_are_made_is_recorded(run, here, tmp_path):
    explain(run, here, "--model", "free.pt2", "--target", "1", "--tf32", "--deterministic", "--check")
    told = manifest(here)
    assert (told["tf32"], told["deterministic"], told["checked"]) == (True, True, True)
    assert told["arguments"]["deterministic"] is True
    explain(run, tmp_path / "plain", "--model", "free.pt2", "--target", "1")
    told = manifest(tmp_path / "plain")
    assert (told["tf32"], told["deterministic"], told["checked"]) == (False, False, False)
    np.testing.assert_array_equal(per_base(here), per_base(tmp_path / "plain"))


def test_a_ledger_that_does_not_add_up_stops_the_run_and_names_the_record(run, here, monkeypatch):
    plain = Explanation.check
    monkeypatch.setattr(Explanation, "check", lambda self, tolerance=None: plain(self, 1e-12))
    said = refused(run("explain", "--model", "free.pt2", "--fasta", "x.fa", "--out", here, "--target", "1", "--check"))
    assert said.startswith("error: layer ")
    assert "record 's" in said
    assert "unexplained" in said
    assert not here.exists()
    explain(run, here, "--model", "free.pt2", "--target", "1")


def test_a_check_of_a_method_without_a_ledger_names_the_option(run, here):
    arguments = ["--model", "free.pt2", "--fasta", "x.fa", "--out", here, "--target", "1", "--check"]
    assert "error: --check: " in refused(run("explain", *arguments, "--method", "saliency"))


# --- targets by function


def test_a_function_picks_the_score_of_two_outputs(run, here):
    explain(run, here, "--model", "profile.pt2", "--target", "saved_nets:counts", "--batch-size", "5")
    expected = sp.explain(module(), one_hot(), target=1)
    np.testing.assert_allclose(per_base(here), expected.per_base, rtol=1e-5, atol=1e-8)
    table = pd.read_csv(here / "summary.tsv", sep="\t")
    assert set(table["target"]) == {"saved_nets:counts"}
    assert table["class"].isna().all()
    np.testing.assert_allclose(table["output"], expected.output, rtol=1e-5)
    assert manifest(here)["target"] == "saved_nets:counts"


def test_a_function_of_a_classifiers_outputs_is_no_probability(run, here, model_directory):
    explain(run, here, "--model", model_directory, "--target", "saved_nets:difference")
    import saved_nets

    expected = sp.explain(load_model(model_directory), one_hot(), target=saved_nets.difference)
    np.testing.assert_allclose(per_base(here), expected.per_base, rtol=1e-5, atol=1e-8)
    assert pd.read_csv(here / "summary.tsv", sep="\t")["probability"].isna().all()


def test_filters_take_a_function_too(run, here):
    done = run("filters", "profile.pt2", "x.fa", "--out", here, "--target", "saved_nets:counts", "--no-match")
    assert (done.code, done.err) == (0, ""), done.err
    assert manifest(here)["target"] == "saved_nets:counts"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (None, r"--target: the model gives 2 tensors, (N, 5, 34) and (N, 2), and no number says"),
        ("0", "def score(output): return output[1][:, 0], and give --target module:score"),
        ("saved_nets:whole", "--target: saved_nets:whole gives (1, 2); return one score a sequence"),
        ("saved_nets:broken", "--target: saved_nets:broken fails on what the model gives, 2 tensors"),
        ("saved_nets:number", "--target: saved_nets:number is a int, no function"),
        ("saved_nets:nothing", "--target: saved_nets has no 'nothing'"),
        ("nowhere:score", "--target: there is no module 'nowhere'"),
        ("saved_nets.py:score", "--target: 'saved_nets.py' is a file, not a module's name"),
    ],
)
def test_a_model_of_several_tensors_says_how_to_pick_a_score(run, here, target, said):
    given = [] if target is None else ["--target", target]
    assert said in refused(run("explain", "--model", "profile.pt2", "--fasta", "x.fa", "--out", here, *given))
    assert not here.exists()


# --- lengths


@pytest.mark.parametrize(("name", "most"), [("Net", 2), ("Choosy", 4)])
def test_one_trace_serves_all_lengths_where_the_model_allows_it(run, here, tmp_path, monkeypatch, name, most):
    records = [(f"r{i}", random_dna(1, length, seed=i)[0]) for i, length in enumerate([30, 22, 30, 41])]
    write_fasta(tmp_path / "y.fa", records)
    traced = []
    export = torch.export.export
    monkeypatch.setattr(torch.export, "export", lambda *a, **k: traced.append(a) or export(*a, **k))
    explain(run, here, "--model", f"saved_nets:{name}", "--target", "0", fasta=tmp_path / "y.fa")
    assert len(traced) <= most
    arrays = tracks.read_npz(here / "relevance.npz")
    for i, (_, dna) in enumerate(records):
        expected = sp.explain(module(name), sp.one_hot([dna]), target=0).per_base[0]
        np.testing.assert_allclose(arrays.per_base[arrays.positions(i)], expected, rtol=1e-4, atol=1e-7)
