"""`seqplrp audit`: planted artifacts come out by name on the page, in JSON and as pictures; clean models pass."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from small_inputs import random_dna

from seqplrp.genomics import codes_to_strings, write_fasta
from seqplrp.genomics.motifs import load, load_all, write_meme

NETS = '''
import torch
from torch import nn
from torch.nn import functional as F

import seqplrp as sp
from seqplrp.genomics.motifs import load, load_all


def both_strands(seed, filters, kernel):
    weight = torch.randn(filters, 4, kernel, generator=torch.Generator().manual_seed(seed)) / 2
    return torch.cat([weight, weight.flip(1, 2)])


class Clean(nn.Module):
    """Circular, symmetric, a global mean; any length."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(both_strands(0, 4, 7))
        self.bias = nn.Parameter(torch.full((8,), -0.3))

    def forward(self, x):
        around = torch.cat([x[..., -3:], x, x[..., :3]], dim=2)
        return F.conv1d(around, self.weight, self.bias).relu().mean(2).sum(1, keepdim=True)


class Comb(nn.Module):
    """Of every four bases one is never read; two outputs, of which the second is read everywhere."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 12, 3, padding=1)
        self.pool = nn.MaxPool1d(1, stride=4)
        with torch.no_grad():
            self.conv.weight.copy_(both_strands(1, 6, 3))
            self.conv.bias.fill_(0.1)

    def forward(self, x):
        hits = self.conv(x).relu()
        return torch.stack([self.pool(hits).mean((1, 2)), x[:, 0].mean(1)], dim=1)


class TwoMotifs(nn.Module):
    """The first output counts GATA1's word, the second that of the library's first motif."""

    def __init__(self):
        super().__init__()
        self.words = nn.ModuleList()
        for motif in (load("GATA1"), load_all()[0]):
            word = sp.one_hot(motif.consensus)
            conv = nn.Conv1d(4, 1, word.shape[2])
            conv.weight.data.copy_(word)
            conv.bias.data.fill_(1.0 - word.shape[2])
            self.words.append(conv)

    def forward(self, x):
        return torch.cat([conv(x).relu().sum(2) for conv in self.words], dim=1)


class Turned(Comb):
    """Takes (N, L, 4)."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2))[:, :1]


class Controlled(Clean):
    """Takes a control, too."""

    def forward(self, x, control):
        return super().forward(x) + control


def mean_of_both(output):
    return output.mean(1)


def first_of_two(output):
    return output[:, 0]
'''

QUICK = ("--sequences", "80", "--backgrounds", "8")


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "auditnets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def audited(run, *arguments, code=0):
    done = run("audit", "--out", "out", *QUICK, *arguments)
    assert (done.code, done.err) == (code, "")
    return done


def read(place):
    return json.loads((place / "out" / "findings.json").read_text())


def test_a_planted_comb_is_on_the_page_in_json_and_in_a_picture(run, place):
    done = audited(run, "--model", "auditnets:Comb", "--length", "96", "--target", "0", "--method", "lrp")
    found = read(place)
    by_check = {one["check"]: one for one in found["checks"]}
    (comb,) = [one for one in by_check["position"]["findings"] if one["name"] == "comb"]
    assert (comb["details"]["period"], comb["details"]["layer"], comb["cause"]) == (4, "pool", "model")
    page = (place / "out" / "audit.md").read_text()
    assert "**position: comb.**" in page
    assert "period of 4 positions (the stride that pool reaches)" in page
    assert "period of 4 positions" in done.out
    assert by_check["permutation"]["status"] == "not run"
    assert "did not run: it needs the training data (--data)" in done.out
    for one in found["checks"]:
        picture = place / "out" / f"{one['check']}.png"
        assert picture.exists() == (one["status"] != "not run")
        assert not picture.exists() or picture.read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((place / "out" / "manifest.json").read_text())
    assert (manifest["command"], manifest["length"], manifest["target"]) == ("audit", 96, 0)
    assert manifest["findings"] == found["findings"] > 0
    assert manifest["input"] is None
    assert len(manifest["models"][0]["weights_sha256"]) == 64


def test_a_clean_model_exits_with_0_and_findings_with_1_only_if_asked(run, place):
    clean = ("--model", "auditnets:Clean", "--length", "96", "--checks", "position,strand", "--fail-on-findings")
    done = audited(run, *clean)
    assert "no findings" in done.out
    assert read(place)["findings"] == 0
    comb = ("--model", "auditnets:Comb", "--length", "96", "--target", "0", "--checks", "position", "--overwrite")
    audited(run, *comb)
    done = audited(run, *comb, "--fail-on-findings", code=1)
    assert "wrote out" in done.out  # all was written
    assert read(place)["findings"] >= 1


def test_real_sequences_set_the_length_and_are_shuffled(run, place):
    records = [(f"s{i}", dna) for i, dna in enumerate(random_dna(30, 80))]
    records += [("short", "ACGT" * 5), ("long", "ACGT" * 30), ("unknown", "N" * 80)]
    write_fasta("x.fa", records)
    done = audited(run, "--model", "auditnets:Clean", "--fasta", "x.fa", "--checks", "position,strand,scaling")
    assert "note: 2 sequences were left out" in done.out
    assert "note: 1 sequences were cut to 80 bases" in done.out
    found = read(place)
    assert found["length"] == 80
    summaries = {one["check"]: one["summary"] for one in found["checks"]}
    assert "dinucleotide shuffles of 31 real sequences" in summaries["position"]
    assert "(real ones)" in summaries["strand"]


def test_motifs_are_named_or_read_from_files(run, place):
    write_meme("mine.meme", [load("SRF")])
    arguments = ("--model", "auditnets:Clean", "--length", "96", "--checks", "offset,distractor")
    audited(run, *arguments, "--motif", "mine.meme", "--motif", "CTCF", "--distractor", "REST")
    found = read(place)
    assert found["motif"] in ("SRF", "CTCF", None)
    (distractors,) = [one for one in found["checks"] if one["check"] == "distractor"]
    assert [one["name"] for one in distractors["statistics"]["distractors"]] == ["REST"]


def test_motifs_of_the_models_other_outputs_are_not_taken_for_distractors(run, place):
    theirs = load_all()[0].name
    assert theirs != "GATA1"
    arguments = ("--model", "auditnets:TwoMotifs", "--length", "96", "--checks", "distractor", "--method", "lrp")
    for further, there in (("--target", "0"), False), (("--target", "auditnets:first_of_two"), True):
        audited(run, *arguments, *further, "--overwrite")
        (check,) = read(place)["checks"]
        names = [one["name"] for one in check["statistics"]["distractors"]]
        assert len(names) == 6
        assert (theirs in names) == there  # a function may read every output: none is known to be another
        assert ("1 other output was asked about what is blamed" in check["summary"]) != there


def test_layouts_further_inputs_ensembles_and_functions_as_targets_are_taken(run, place):
    quick = ("--length", "64", "--checks", "scaling", "--overwrite")
    audited(run, "--model", "auditnets:Turned", "--layout", "NLC", *quick)
    np.save("control.npy", np.ones((1, 1), dtype=np.float32))
    audited(run, "--model", "auditnets:Controlled", "--arg", "control.npy", *quick)
    audited(run, "--model", "auditnets:Clean", "--model", "auditnets:Clean", *quick)
    together = read(place)
    audited(run, "--model", "auditnets:Clean", *quick)
    assert together["checks"][0]["statistics"] == read(place)["checks"][0]["statistics"]
    audited(run, "--model", "auditnets:Comb", "--target", "auditnets:mean_of_both", *quick)


def write_task(n=260, length=40):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (n, length), dtype=np.uint8)
    word = np.array([3, 3, 2, 0, 1, 0, 2, 1], dtype=np.uint8)
    for row in range(0, n, 2):
        at = rng.integers(0, length - len(word))
        codes[row, at : at + len(word)] = word
    classes = ["positive", "negative"] * (n // 2)
    rows = "".join(f"s{i}\t{name}\n" for i, name in enumerate(classes))
    Path("data/labels.tsv").write_text(f"id\tclass\n{rows}")
    write_fasta("data/sequences.fa", [(f"s{i}", text) for i, text in enumerate(codes_to_strings(codes))])


def test_a_trained_directory_tells_length_and_training_and_data_lets_it_be_retrained(run, place):
    (place / "data").mkdir()
    write_task()
    small = ("--option", "filters=8", "--option", "kernel=9", "--option", "hidden=8", "--epochs", "4")
    assert run("train", "--data", "data", "--arch", "deepbind", *small, "--out", "model").code == 0
    audited(run, "--model", "model", "--data", "data", "--checks", "permutation,scaling", "--epochs", "2")
    found = read(place)
    assert found["length"] == 40
    permuted = found["checks"][0]
    assert permuted["status"] != "not run"
    assert permuted["summary"].startswith("deepbind trained twice on ")
    assert (place / "out" / "permutation.png").exists()
    assert json.loads((place / "out" / "manifest.json").read_text())["retrained_on"] == "data"


def test_the_same_command_writes_the_same_findings(run, place):
    command = ("--model", "auditnets:Comb", "--length", "64", "--target", "0", "--checks", "position", "--seed", "3")
    audited(run, *command)
    first = (place / "out" / "findings.json").read_bytes()
    picture = (place / "out" / "position.png").read_bytes()
    torch.manual_seed(99)
    audited(run, *command, "--overwrite")
    assert (place / "out" / "findings.json").read_bytes() == first
    assert (place / "out" / "position.png").read_bytes() == picture


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (("auditnets:Clean",), "--length: neither the model nor anything else tells it; give --length, or --fasta"),
        (("auditnets:Clean", "--length", "12"), "--length: is 12; audit sequences of 20 bases or more"),
        (("auditnets:Comb", "--length", "64"), "--target: the model has 2 outputs"),
        (("auditnets:Comb", "--length", "64", "--target", "predicted"), "--target: predicted is not one output"),
        (("auditnets:Clean", "--length", "64", "--checks", "edges"), "--checks: 'edges' is no check"),
        (("auditnets:Clean", "--length", "64", "--checks", ","), "--checks: names no check"),
        (("auditnets:Clean", "--length", "64", "--motif", "CTFC"), "--motif: 'CTFC' is not in the library"),
        (("auditnets:Clean", "--length", "64", "--arch", "basset"), "--arch: is for retraining"),
        (("auditnets:Clean", "--length", "64", "--positives", "p.fa"), "--positives, --negatives: one was given"),
        (("auditnets:Clean", "--length", "64", "--data", "nowhere"), "nowhere: there is no such directory"),
        (("auditnets:Clean", "--fasta", "few.fa"), "few.fa: holds 3 sequences of 30 bases or more, of 3 in all"),
        (("auditnets:Clean", "--length", "64", "--p", "0.5", "--method", "lrp"), "--p: is no option of the method lrp"),
        (("auditnets:Clean", "--length", "64", "--option", "steps=3"), "--option steps: is no further setting"),
        (("auditnets:Clean", "--length", "64", "--sequences", "3"), "--sequences: "),
        (("auditnets:Nothing", "--length", "64"), "--model: auditnets has no 'Nothing'"),
    ],
)
def test_bad_requests_are_one_line(run, place, arguments, pattern):
    write_fasta("few.fa", [(f"s{i}", "ACGTA" * 6) for i in range(3)])
    done = run("audit", "--out", "out", "--model", *arguments)
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(r"error: .+: .+; .+\n", done.err), done.err
    assert re.search(pattern, done.err), done.err
    assert not (place / "out").exists()


def test_the_help_names_what_it_writes(run):
    done = run("audit", "--help")
    assert done.code == 0
    assert "audit.md" in done.out
    assert "--fail-on-findings" in done.out
