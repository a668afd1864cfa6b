"""`seqplrp score` and `seqplrp logo` on what `simulate` and `explain` wrote, with a model whose motif is known."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commandline import refused

from seqplrp.cli import main
from seqplrp.evaluate import MEASURES

DETECTOR = """
import numpy as np
import torch
from torch import nn
from seqplrp import motifs


class Detector(nn.Module):
    \"\"\"Score above a threshold of the best match of CTCF on either strand: what an ideal model would compute.\"\"\"

    def __init__(self):
        super().__init__()
        scores = motifs.load("CTCF").log_odds(pseudocount=1.0)
        both = np.stack([scores.T, scores[::-1, ::-1].T])
        self.conv = nn.Conv1d(4, 2, both.shape[2])
        self.conv.weight.data = torch.tensor(both.copy(), dtype=torch.float32)
        self.conv.bias.data.fill_(-8.0)
        self.head = nn.Linear(2, 1)
        self.head.weight.data.fill_(1.0)
        self.head.bias.data.fill_(-0.5)

    def forward(self, x):
        return self.head(nn.functional.max_pool1d(torch.relu(self.conv(x)), x.shape[2] - 14).flatten(1))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A directory with simulated data, the detector, and two explanations of it."""
    place = tmp_path_factory.mktemp("world")
    (place / "detector.py").write_text(DETECTOR)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main(["simulate", "--task", "single-motif", "-n", "60", "--seed", "3", "--out", "data"]) == 0
        for method in ("plrp", "gradient-x-input"):
            explain = ["--model", "detector:Detector", "--fasta", "data/sequences.fa", "--out", method]
            assert main(["explain", *explain, "--method", method, "--formats", "npz,tsv"]) == 0
    return place


@pytest.fixture
def there(world, tmp_path, monkeypatch) -> Path:
    """A copy of it, as the current directory."""
    copy = tmp_path / "world"
    shutil.copytree(world, copy)
    monkeypatch.chdir(copy)
    return copy


def test_a_model_that_sees_the_motif_alone_gets_the_scores_of_one(run, there) -> None:
    done = run("score", "plrp", "--truth", "data/truth.bed", "--out", "scores.tsv")
    assert done.code == 0, done.err
    table = pd.read_csv("scores.tsv", sep="\t", keep_default_na=False, na_values=[""])
    assert list(table.columns) == ["id", "class", "output", "status", "truth_bases", *MEASURES]
    assert len(table) == 60
    scored = table[table["status"] == "scored"]
    assert len(scored) >= 20
    assert set(table["status"]) == {"scored", "no motif of the explained class"}
    # The filter's width is the motif's: relevance can't leave it, but for its dull bases, which are set aside.
    assert scored["rma"].mean() > 0.99
    assert scored["auprc"].mean() > 0.8
    assert table.loc[table["status"] != "scored", list(MEASURES)].isna().all(axis=None)


def test_the_printed_means_are_those_of_the_table_and_what_was_left_out_is_said(run, there) -> None:
    done = run("score", "plrp", "--truth", "data/truth.bed", "--out", "scores.tsv")
    table = pd.read_csv("scores.tsv", sep="\t")
    scored = table[table["status"] == "scored"]
    assert f"scored {len(scored)} of 60 explained sequences\n" in done.out
    assert f"left out: {60 - len(scored)} no motif of the explained class\n" in done.out
    for name, measure in MEASURES.items():
        line = next(line for line in done.out.splitlines() if line.startswith(f"{measure.label}  "))
        numbers = re.findall(r"-?\d+\.\d+", line)
        if scored[name].notna().any():
            mean, low, high = map(float, numbers)
            assert mean == pytest.approx(scored[name].mean(), abs=6e-4)
            assert low <= mean <= high
        else:
            assert numbers == []
        assert line.split()[-1] == str(scored[name].isna().sum())


def test_labels_decide_where_they_are_given(run, there) -> None:
    labels = pd.read_csv("data/labels.tsv", sep="\t")
    labels["CTCF"] = 1 - labels["CTCF"]
    labels.to_csv("turned.tsv", sep="\t", index=False)
    done = run("score", "plrp", "--truth", "data/truth.bed", "--labels", "turned.tsv", "--out", "scores.tsv")
    refused(done, r"no sequence is left to score: \d+ not of the explained class, \d+ no motif of .*; add --all")
    assert not Path("scores.tsv").exists()


def test_all_sequences_can_be_scored(run, there) -> None:
    assert run("score", "plrp", "--truth", "data/truth.bed", "--out", "scores.tsv", "--all").code == 0
    assert set(pd.read_csv("scores.tsv", sep="\t")["status"]) == {"scored"}


def test_the_tidy_table_has_one_row_for_each_value(run, there) -> None:
    run("score", "plrp", "--truth", "data/truth.bed", "--out", "wide.tsv")
    assert run("score", "plrp", "--truth", "data/truth.bed", "--out", "long.tsv", "--tidy").code == 0
    wide, long = pd.read_csv("wide.tsv", sep="\t"), pd.read_csv("long.tsv", sep="\t")
    assert list(long.columns) == ["id", "measure", "value"]
    scored = wide[wide["status"] == "scored"]
    back = long.pivot(index="id", columns="measure", values="value").loc[scored["id"], list(MEASURES)]
    np.testing.assert_array_equal(back.to_numpy(), scored[list(MEASURES)].to_numpy())


def test_matrices_beside_the_truth_are_used_unless_others_are_given(run, there) -> None:
    def auprc(*extra: str) -> float:
        assert run("score", "plrp", "--truth", "data/truth.bed", "--out", "s.tsv", "--overwrite", *extra).code == 0
        return pd.read_csv("s.tsv", sep="\t")["truth_bases"].max()

    simulated = auprc()
    text = Path("data/motifs.meme").read_text()
    rows = [line for line in text.splitlines() if re.fullmatch(r"\s*[\d.]+(\s+[\d.]+){3}\s*", line)]
    assert len(rows) == 15
    flat = text.replace(rows[0], " 0.25 0.25 0.25 0.25").replace(rows[7], " 0.25 0.25 0.25 0.25")
    Path("flat.meme").write_text(flat)
    assert auprc("--motifs", "flat.meme") < simulated
    shutil.move("flat.meme", "data/motifs.meme")
    assert auprc() < simulated


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["nowhere", "--truth", "data/truth.bed"], "nowhere: there is no such directory"),
        (["data", "--truth", "data/truth.bed"], r"manifest\.json: there is no such file"),
        (["plrp", "--truth", "none.bed"], "none.bed"),
        (["plrp", "--truth", "data/labels.tsv"], r"labels\.tsv, line 1"),
        (["plrp", "--truth", "data/truth.bed", "--class", "GATA1"], "--class: 'GATA1' is not in the truth"),
        (["plrp", "--truth", "data/truth.bed", "--labels", "data/sequences.tsv"], r"sequences\.tsv, line 2"),
        (["plrp", "--truth", "data/truth.bed", "--motifs", "data/truth.bed"], r"truth\.bed, line 1"),
        (["plrp"], "--truth, --kmers: one of them is needed"),
        (["plrp", "--truth", "data/truth.bed", "--kmers", "6"], "--truth, --kmers: one of them is needed"),
        (["plrp", "--kmers", "40"], "--kmers: 40 is no length"),
    ],
)
def test_what_can_not_be_scored_is_one_line_and_leaves_nothing(run, there, arguments, pattern: str) -> None:
    before = sorted(str(p) for p in there.rglob("*"))
    refused(run("score", *arguments, "--out", "scores.tsv"), pattern)
    assert sorted(str(p) for p in there.rglob("*")) == before


def test_the_words_under_the_peaks_are_counted_without_a_truth(run, there) -> None:
    done = run("score", "plrp", "--kmers", "4", "--out", "words.tsv")
    assert done.code == 0
    table = pd.read_csv("words.tsv", sep="\t")
    assert list(table.columns) == ["kmer", "reverse_complement", "count", "share"]
    assert table["share"].sum() == pytest.approx(1, abs=1e-4)
    assert table.iloc[0]["kmer"] in done.out


def test_a_table_that_is_there_is_not_overwritten_unasked(run, there) -> None:
    Path("scores.tsv").write_text("mine")
    refused(run("score", "plrp", "--truth", "data/truth.bed", "--out", "scores.tsv"), "scores.tsv: exists already")
    assert Path("scores.tsv").read_text() == "mine"
    assert run("score", "plrp", "--truth", "data/truth.bed", "--out", "scores.tsv", "--overwrite").code == 0


def positive() -> str:
    labels = pd.read_csv("data/labels.tsv", sep="\t")
    return labels.loc[labels["CTCF"] == 1, "id"].iloc[0]


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_logo_is_drawn_in_the_format_of_its_name_and_the_same_every_time(run, there, suffix: str) -> None:
    options = ["--record", positive(), "--truth", "data/truth.bed", "--also", "gradient-x-input"]
    for name in ("a", "b"):
        done = run("logo", "plrp", *options, "--out", f"{name}.{suffix}")
        assert (done.code, done.out) == (0, f"wrote {name}.{suffix}\n"), done.err
    first, second = (Path(f"{name}.{suffix}").read_bytes() for name in "ab")
    assert first == second
    assert first.startswith(b"<?xml" if suffix == "svg" else b"\x89PNG")


def test_the_picture_names_the_record_the_methods_and_the_motif(run, there) -> None:
    name = positive()
    run("logo", "plrp", "--record", name, "--truth", "data/truth.bed", "--also", "gradient-x-input", "--out", "a.svg")
    comments = Path("a.svg").read_text(encoding="utf-8")
    for words in (f"<!-- {name}   target 0: ", "<!-- plrp -->", "<!-- gradient-x-input -->", "<!-- CTCF "):
        assert words in comments


def test_a_region_draws_its_letters_alone(run, there) -> None:
    truth = pd.read_csv("data/truth.bed", sep="\t", header=None)
    name, start, end = truth.loc[0, [0, 1, 2]]

    def letters(*extra: str) -> int:
        done = run("logo", "gradient-x-input", "--record", name, "--out", "a.svg", "--overwrite", *extra)
        assert done.code == 0, done.err
        groups = [e for e in ET.parse("a.svg").iter() if e.get("id", "").startswith("patch_")]
        return len(groups)

    # Relevance is at the motif alone, so a region that holds it draws no fewer letters, one before it none.
    assert letters("--region", f"{start}-{end}") == letters()
    quiet = ("--region", f"0-{start}") if start > 10 else ("--region", f"{end}-200")
    assert letters(*quiet) < letters() - 8


def test_several_records_and_the_hypothetical_view_are_drawn(run, there) -> None:
    done = run(
        "logo", "plrp", "--record", "seq0000000", "--record", "seq0000001", "--columns", 2,
        "--region", "0-30", "--hypothetical", "--shared-scale", "--out", "two.png",
    )  # fmt: skip
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["--record", "seq000000", "--out", "x.svg"], r"--record: 'seq000000' is not among the 60 .*; try seq0000000"),
        (
            ["--record", "seq0000000", "--region", "150-250", "--out", "x.svg"],
            "--region: 150-250 is not within the 200",
        ),
        (["--record", "seq0000000", "--region", "x", "--out", "x.svg"], "--region: 'x' is no region"),
        (["--record", "seq0000000", "--out", "x.jpg"], r"x\.jpg: ends in '\.jpg'.*; end the name in \.svg or \.png"),
        (["--record", "seq0000000", "--out", "x"], "x: has no suffix"),
        (["--record", "seq0000000", "--also", "data", "--out", "x.svg"], r"manifest\.json: there is no such file"),
        (["--record", "seq0000000", "--truth", "nope.bed", "--out", "x.svg"], r"nope\.bed"),
        (["--out", "x.svg"], "--record is missing"),
    ],
)
def test_what_can_not_be_drawn_is_one_line_and_leaves_nothing(run, there, arguments, pattern: str) -> None:
    before = sorted(str(p) for p in there.rglob("*"))
    refused(run("logo", "plrp", *arguments), pattern)
    assert sorted(str(p) for p in there.rglob("*")) == before
