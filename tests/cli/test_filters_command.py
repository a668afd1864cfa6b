"""`seqplrp filters`: on nets whose filters are known, what is written must be known beforehand."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from commandline import refused
from small_inputs import LENGTH, random_dna

import seqplrp as sp
from seqplrp.genomics import codes_to_strings, motifs, read_fasta, write_fasta
from seqplrp.genomics.motifs import read_motifs, write_meme
from seqplrp.recovery import best_matches

NETS = '''
import torch
from torch import nn
from torch.nn import functional as F

from seqplrp import motifs


def motif_layer(read):
    """One filter for each motif, log-odds that fire above 60 % of the best score, and one that is dead."""
    width = max(m.width for m in read) | 1
    conv = nn.Conv1d(4, len(read) + 1, width, padding=width // 2)
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.fill_(-1.0)
        for i, motif in enumerate(read):
            at = (width - motif.width) // 2
            scores = torch.from_numpy(motif.log_odds(pseudocount=1.0).T)
            conv.weight[i, :, at : at + motif.width] = scores
            conv.bias[i] = -0.6 * scores.max(0).values.sum()
    return conv


class Known(nn.Module):
    """CTCF read on the other strand counts most, then GATA1; SRF speaks against the score."""

    def __init__(self):
        super().__init__()
        read = [motifs.load("GATA1"), motifs.load("CTCF").reverse_complement(), motifs.load("SRF")]
        self.conv = motif_layer(read)
        self.head = nn.Linear(4, 1, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[1.0, 9.0, -0.5, 1.0]]))

    def forward(self, x):
        return self.head(self.conv(x).relu().amax(2))


class Both(nn.Module):
    """One layer reads both strands."""

    def __init__(self):
        super().__init__()
        self.conv = motif_layer([motifs.load("CTCF")])

    def forward(self, x):
        return (self.conv(F.pad(x, (3, 0))).relu().amax(2) + self.conv(x.flip(1, 2)).relu().amax(2)).sum(1)


class Against(nn.Module):
    """Whatever it sees speaks against its score."""

    def __init__(self):
        super().__init__()
        self.conv = motif_layer([motifs.load("CTCF")])

    def forward(self, x):
        return -self.conv(x).relu().sum((1, 2))


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4 * 60, 1)

    def forward(self, x):
        return self.head(x.flatten(1))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 4, 5))

    def forward(self, x):
        return F.conv1d(x, self.weight).relu().sum((1, 2))


class Rolled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 2, 5)

    def forward(self, x):
        return self.conv(x.flip(2)).relu().sum((1, 2))
'''

READ = ("GATA1", "CTCF", "SRF")


def sequences(n: int = 90, length: int = 60) -> list[tuple[str, str]]:
    """Random DNA with a site of one of the three motifs in each; CTCF's on either strand, by turns."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (n, length)).astype(np.uint8)
    for i in range(n):
        motif = motifs.load(READ[i % 3])
        if i % 6 == 1:
            motif = motif.reverse_complement()
        at = rng.integers(0, length - motif.width)
        codes[i, at : at + motif.width] = [rng.choice(4, p=p) for p in motif.probabilities]
    return [(f"s{i}", text) for i, text in enumerate(codes_to_strings(codes))]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with the nets as a module and the sequences, which is the current directory."""
    (tmp_path / "motifnets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    write_fasta("x.fa", sequences())
    return tmp_path


def filters(run, *arguments):
    done = run("filters", *arguments)
    assert (done.code, done.err) == (0, "")
    return done


def read(path):
    return pd.read_csv(path, sep="\t", keep_default_na=False)


def test_known_filters_lead_with_their_motifs_and_the_dead_one_carries_nothing(run, place):
    done = filters(run, "motifnets:Known", "x.fa", "--out", "out", "--rule", "epsilon", "--method", "lrp")
    table = read("out/filters.tsv")
    assert table["filter"].tolist() == [1, 0, 2, 3]
    assert table["motif"].tolist() == ["CTCF", "GATA1", "", ""]
    assert table["strand"].tolist() == ["-", "+", "", ""]
    assert table["status"].tolist() == ["match", "match", "no positive relevance", "no relevance"]
    assert (table["q"][:2].astype(float) < 1e-4).all()
    assert table["share"][3] == table["active"][3] == 0
    assert table["share"].sum() == pytest.approx(1)
    assert table["absolute_share"].sum() == pytest.approx(1)
    # columns of the known motif under the windows' ones
    known = motifs.load("CTCF").reverse_complement()
    matrices = {m.name: m for m in read_motifs("out/filters.meme")}
    assert set(matrices) == {"conv:0", "conv:1"}
    row = table.iloc[0]
    start, offset, overlap = (int(row[c]) for c in ("core_start", "offset", "overlap"))
    beside = matrices["conv:1"].probabilities[start : start + overlap]
    assert np.abs(beside - known.probabilities[offset : offset + overlap]).mean() < 0.1
    assert (place / "out" / "filters.png").read_bytes().startswith(b"\x89PNG")
    assert re.search(r"conv:1 +\d+\.\d % .* CTCF - ", done.out)
    assert "explained 90 sequences by lrp, rule Epsilon" in done.out
    assert "and 2 more filters: see filters.tsv" in done.out


def test_sums_and_windows_are_those_of_the_library_whatever_the_batches(run, place):
    done = filters(run, "motifnets:Known", "x.fa", "--out", "out", "--no-match", "--top", "7")
    # under plrp's own rule the first layer would share anew what arrives at its filters
    assert "explained 90 sequences by plrp, rule Gamma" in done.out
    filters(run, "motifnets:Known", "x.fa", "--out", "cut", "--no-match", "--top", "7", "--batch-size", "11")
    for name in ("filters.tsv", "windows.tsv", "filters.meme", "filters.png"):
        if (place / "out" / name).exists():
            assert (place / "out" / name).read_bytes() == (place / "cut" / name).read_bytes(), name
    import motifnets

    model, records = motifnets.Known(), list(read_fasta("x.fa"))
    x = sp.one_hot([record.sequence for record in records])
    relevance = sp.Explainer(model, x[:1])(x, layers=["conv"]).layers["conv"].double().numpy()
    table = read("out/filters.tsv").set_index("filter").sort_index()
    np.testing.assert_allclose(table["positive"], np.maximum(relevance, 0).sum((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(table["negative"], np.minimum(relevance, 0).sum((0, 2)), rtol=1e-5)
    np.testing.assert_array_equal(table["active"], (relevance != 0).any(2).sum(0))
    windows = read("out/windows.tsv")
    sequence = {record.id: record.sequence for record in records}
    half = model.conv.padding[0]
    assert windows.groupby("filter").size().to_dict() == {0: 7, 1: 7}
    for row in windows.itertuples():
        assert row.bases == sequence[row.id][row.start : row.end]
        n = int(row.id[1:])
        assert row.relevance == pytest.approx(relevance[n, row.filter, row.start + half], rel=1e-5)
    assert not windows.duplicated(["filter", "id"]).any()


def test_a_layer_that_reads_both_strands_is_listed_for_each_call_with_its_windows_where_they_are(run, place):
    write_fasta("x.fa", sequences(180))
    filters(run, "motifnets:Both", "x.fa", "--out", "out", "--top", "12")
    table, windows = read("out/filters.tsv"), read("out/windows.tsv")
    assert set(table["layer"]) == {"conv@0", "conv@1"}
    assert table["motif"][:2].tolist() == ["CTCF", "CTCF"]
    assert table["strand"][:2].tolist() == ["+", "+"]
    assert dict(zip(windows["layer"], windows["strand"])) == {"conv@0": "+", "conv@1": "-"}
    sequence = {record.id: record.sequence for record in read_fasta("x.fa")}
    turn = str.maketrans("ACGT", "TGCA")
    for row in windows.itertuples():
        there = sequence[row.id][row.start : row.end]
        assert row.bases == (there if row.strand == "+" else there.translate(turn)[::-1])
    # a site's place says on which strand it was planted
    assert all(int(id[1:]) % 6 == (4 if strand == "+" else 1) for id, strand in zip(windows["id"], windows["strand"]))


def test_records_of_several_lengths_and_unknown_bases_are_taken(run, place):
    mixed = [(id, text[: 60 - 7 * (i % 2)]) for i, (id, text) in enumerate(sequences())]
    mixed[2] = ("s2", "N" * 60)
    write_fasta("mixed.fa", mixed)
    filters(run, "motifnets:Known", "mixed.fa", "--out", "out", "--no-match")
    windows = read("out/windows.tsv")
    assert not windows["bases"].str.contains("N").any()
    assert {len(dict(mixed)[id]) for id in windows["id"]} == {53, 60}
    assert json.loads((place / "out" / "manifest.json").read_text())["sequences"] == 90


def test_manifest_and_meme_file_say_how_they_came_to_be_and_can_be_read(run, place):
    write_meme("known.meme", [motifs.load("CTCF"), motifs.load("SRF")])
    done = filters(run, "motifnets:Known", "x.fa", "--out", "out", "--motifs", "known.meme", "--max-filters", "1")
    manifest = json.loads((place / "out" / "manifest.json").read_text())
    assert manifest["command"] == "filters"
    assert manifest["motifs"]["number"] == 2
    assert manifest["motifs"]["sha256"] == hashlib.sha256((place / "known.meme").read_bytes()).hexdigest()
    assert manifest["input"]["sha256"] == hashlib.sha256((place / "x.fa").read_bytes()).hexdigest()
    assert sum(manifest["filters"].values()) == 4
    assert manifest["versions"]["memelite"]
    assert "2 known motifs are few" in done.out
    assert manifest["notes"] == [line[6:] for line in done.out.splitlines() if line.startswith("note: ")]
    assert "and 3 more filters" in done.out
    text = (place / "out" / "filters.meme").read_text()
    assert re.search(r"MOTIF conv:1\nletter-probability matrix: .*\n( .*\n)+URL filters.tsv\n\n", text)
    (written,) = [m for m in read_motifs("out/filters.meme") if m.name == "conv:1"]
    (match,) = best_matches([written], motifs.load_all())
    assert match is not None
    assert match.target.name == "CTCF"


def test_a_model_of_seqplrp_is_looked_at_for_a_class_by_name(run, model_directory, place):
    write_fasta("own.fa", [(f"r{i}", dna) for i, dna in enumerate(random_dna(30, LENGTH))])
    filters(run, model_directory, "own.fa", "--out", "out", "--target", "GATA1", "--no-match")
    manifest = json.loads((place / "out" / "manifest.json").read_text())
    assert (manifest["target"], manifest["motifs"], manifest["layers"]) == (1, None, ["conv"])
    table = read("out/filters.tsv")
    assert len(table) == 4
    assert not set(table["status"]) & {"match", "no match"}


def test_too_few_windows_are_no_motif_and_that_is_said(run, place):
    write_fasta("few.fa", sequences(4))
    done = filters(run, "motifnets:Known", "few.fa", "--out", "out")
    assert "too few windows" in read("out/filters.tsv")["status"].tolist()
    assert not (place / "out" / "filters.meme").exists()
    assert "note: no filter has enough whole windows" in done.out


def test_relevance_against_the_score_alone_is_told_and_nothing_is_drawn(run, place):
    done = filters(run, "motifnets:Against", "x.fa", "--out", "out", "--no-match")
    table = read("out/filters.tsv")
    assert table["status"].tolist() == ["no positive relevance", "no relevance"]
    assert table["absolute_share"].tolist() == [1, 0]
    assert not (place / "out" / "filters.png").exists()
    assert "note: no filter carries positive relevance" in done.out
    assert re.search(r"note: \d+ of the 90 explained scores are negative", done.out)


def test_how_numbers_are_made_reaches_the_explainer_and_is_recorded(run, place, monkeypatch):
    asked = []

    def explainer(*arguments, **options):
        asked.append((options["tf32"], options["deterministic"]))
        return sp.Explainer(*arguments, **options)

    monkeypatch.setattr("seqplrp.pipeline.member.Explainer", explainer)
    arguments = ["motifnets:Known", "x.fa", "--no-match", "--top", "7"]
    filters(run, *arguments, "--out", "plain")
    filters(run, *arguments, "--out", "asked", "--tf32", "--deterministic", "--check")
    assert set(asked[: len(asked) // 2]) == {(False, False)}
    assert set(asked[len(asked) // 2 :]) == {(True, True)}
    told = [json.loads((place / out / "manifest.json").read_text()) for out in ("plain", "asked")]
    assert [tuple(one[key] for key in ("tf32", "deterministic", "checked")) for one in told] == [
        (False, False, False),
        (True, True, True),
    ]
    for name in ("filters.tsv", "windows.tsv"):
        assert (place / "plain" / name).read_bytes() == (place / "asked" / name).read_bytes()


def test_a_ledger_that_does_not_add_up_stops_the_run_and_names_the_record(run, place, monkeypatch):
    """Not only on the record that is tried first: on the one of all whose account is the worst."""
    monkeypatch.syspath_prepend(place)
    import motifnets

    x = sp.one_hot([record.sequence for record in read_fasta("x.fa")])
    ledger = sp.explain(motifnets.Known(), x, method=sp.PLRP(rule="gamma")).ledger
    share = (ledger["unexplained"].abs() / ledger[["size", "size_in"]].max(axis=1)).to_numpy()
    worst = int(ledger["sequence"].to_numpy()[np.nanargmax(share)])
    assert worst != 0
    plain = sp.Explanation.check
    tolerance = np.nanmax(share) * 0.999
    monkeypatch.setattr(sp.Explanation, "check", lambda self, _=None: plain(self, tolerance))
    arguments = ["motifnets:Known", "x.fa", "--no-match", "--out", "out"]
    refused(run("filters", *arguments, "--check"), rf"error: layer .*, record 's{worst}': .*unexplained")
    assert not (place / "out").exists()
    filters(run, *arguments)


def test_a_handler_that_loses_relevance_is_found_out(run, place, monkeypatch):
    """A user's own operation whose account is wrong: nothing of the ledger's arithmetic is replaced here."""
    from seqplrp.lrp import Contribution, Handler
    from seqplrp.lrp.ledger import per_sample_size, per_sample_sum
    from seqplrp.lrp.registry import HANDLERS

    class Loses(Handler):
        def backward(self, step, relevance, run, ledger):
            kept = relevance * 0.9
            numbers = {"relevance_out": per_sample_sum(relevance), "relevance_in": per_sample_sum(kept)}
            ledger.add(step.path, step.op, "", **numbers, size=per_sample_size(relevance))
            return [Contribution(relevance=kept)]

    (place / "losing.py").write_text(
        "import torch, motifnets\n"
        "class Net(motifnets.Known):\n"
        "    def forward(self, x):\n"
        "        return self.head(torch.erf(self.conv(x).relu()).amax(2))\n"
    )
    operation = torch.ops.aten.erf.default
    monkeypatch.setitem(HANDLERS, operation, Loses())
    arguments = ["losing:Net", "x.fa", "--no-match", "--method", "lrp", "--rule", "epsilon"]
    refused(run("filters", *arguments, "--out", "out", "--check"), r"erf.*, record 's\d+': .*unexplained")
    filters(run, *arguments, "--out", "out")


@pytest.mark.parametrize(
    ("arguments", "patterns"),
    [
        (["motifnets:Dense", "x.fa"], ["no 1d convolution reads the sequence", "head"]),
        (["motifnets:Functional", "x.fa"], ["conv1d", "torch.nn.Conv1d"]),
        (["motifnets:Rolled", "x.fa"], ["error: conv: ", "reverse complement"]),
        (["motifnets:Known", "x.fa", "--method", "saliency"], ["--method", "no relevance at layers"]),
        (["motifnets:Known", "x.fa", "--method", "lrp", "--p", "0.5"], ["--p: is no option of the method lrp"]),
        (["motifnets:Known", "x.fa", "--top", "0"], ["--top"]),
        (["motifnets:Known", "x.fa", "--target", "1"], ["--target"]),
        (["motifnets:Known", "x.fa", "--motifs", "x.fa"], [r"x\.fa"]),
        (["motifnets:Known", "x.fa", "--motifs", "none.meme"], [r"none\.meme"]),
        (["motifnets:Known", "x.fa", "--motifs", "x.fa", "--no-match"], ["--motifs, --no-match: both"]),
        (["motifnets:Known", "none.fa"], [r"none\.fa"]),
        (["motifnets:Nothing", "x.fa"], ["^error: MODEL: "]),
        (["motifnets:Known"], ["FASTA is missing"]),
        (["x.fa", "x.fa"], [r"x\.fa: "]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_arguments_are_one_line_and_leave_nothing(run, place, arguments, patterns):
    before = sorted(p.name for p in place.iterdir() if p.name != "__pycache__")
    refused(run("filters", *arguments, "--out", "out"), *patterns)
    assert sorted(p.name for p in place.iterdir() if p.name != "__pycache__") == before


def test_a_missing_memelite_is_told_before_any_work(run, place, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "memelite" else found(name, *a))
    refused(
        run("filters", "motifnets:Known", "x.fa", "--out", "out"),
        r"memelite: .*pip install 'seqplrp\[modisco\]', or give --no-match",
    )
    filters(run, "motifnets:Known", "x.fa", "--out", "out", "--no-match")


def test_only_what_the_command_wrote_is_replaced_and_only_on_request(run, place):
    write_fasta("few.fa", sequences(3))
    arguments = ["motifnets:Known", "few.fa", "--out", "out", "--no-match"]
    filters(run, *arguments)
    refused(run("filters", *arguments), "out: exists and is not empty")
    filters(run, *arguments, "--overwrite")
    (place / "out" / "mine.txt").write_text("")
    refused(run("filters", *arguments, "--overwrite"), "mine.txt")
    refused(run("filters", "motifnets:Known", "few.fa", "--out", ".", "--no-match", "--overwrite"), "reads")
