"""`seqplrp train`: what it writes, what it says, and what it refuses before any work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch_version import OLD_TORCH

from seqplrp.genomics import codes_to_strings, write_fasta
from seqplrp.models import ALIASES, ARCHITECTURES, load_model

TINY = ("--option", "filters=8,8", "--option", "kernels=9,5", "--option", "pools=4,2", "--option", "dense=8")
FILES = {
    ".seqplrp.json",
    "config.json",
    "history.tsv",
    "learning_curve.png",
    "learning_curve.svg",
    "model.safetensors",
    "test_predictions.tsv",
}


def sequences(n: int, word: str, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    texts = codes_to_strings(rng.integers(0, 4, (n, 40)))
    starts = rng.integers(0, 40 - len(word), n)
    return [text[:start] + word + text[start + len(word) :] for text, start in zip(texts, starts, strict=True)]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Peaks with a word, and a labelled directory of three classes, in the current directory."""
    write_fasta(tmp_path / "p.fa", [(f"p{row}", text) for row, text in enumerate(sequences(300, "TTGACAGC", 0))])
    write_fasta(tmp_path / "n.fa", [(f"n{row}", text) for row, text in enumerate(sequences(300, "", 1))])
    (tmp_path / "data").mkdir()
    texts = [t for seed, word in enumerate(("TTGACAGC", "CACGTG", "GGAAGT")) for t in sequences(200, word, seed)]
    write_fasta(tmp_path / "data" / "sequences.fa", [(f"s{row}", text) for row, text in enumerate(texts)])
    table = pd.DataFrame({"id": [f"s{row}" for row in range(600)], "class": np.repeat(["a", "b", "c"], 200)})
    table.to_csv(tmp_path / "data" / "labels.tsv", sep="\t", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_positives_and_their_shuffles_make_a_model_directory(run, place):
    done = run("train", "--positives", "p.fa", "--negatives", "shuffle", *TINY, "--epochs", 4, "--out", "m")
    assert done.code == 0
    assert {path.name for path in Path("m").iterdir()} == FILES
    model = load_model("m")
    assert (model.config.kind, model.config.n_outputs, model.config.length) == ("binary", 1, 40)
    assert model.config.options["filters"] == [8, 8]
    assert re.search(r"kept epoch \d of 4\n", done.out)
    measured = model.config.metrics["test"]["classes"]["positive"]
    assert f"positive   {measured['auroc']:.3f}  {measured['auprc']:.3f}" in done.out
    warnings = done.err.splitlines()  # no bar where standard error is no terminal
    assert any(line.startswith("warning: few sequences: ") for line in warnings)
    assert len(warnings) == 1 or OLD_TORCH
    # others tell how much so few sequences taught, which is not the same with every release of torch
    assert [f"warning: {text}" for text in model.config.warnings] == warnings


def test_a_labelled_directory_makes_a_model_of_its_classes(run, place):
    done = run("train", "--data", "data", *TINY, "--epochs", 3, "--out", "m")
    assert done.code == 0
    assert load_model("m").config.classes == ["a", "b", "c"]
    assert re.search(r"^mean +0\.\d{3}", done.out, re.MULTILINE)
    splits = json.loads(Path("m/config.json").read_text())["data"]["splits"]
    assert [splits[name]["n"] for name in ("train", "validation", "test")] == [486, 54, 60]


def test_the_same_command_writes_the_same_weights(run, place):
    for out in ("m1", "m2"):
        run("train", "--data", "data", *TINY, "--epochs", 2, "--device", "cpu", "--out", out)
    assert Path("m1/model.safetensors").read_bytes() == Path("m2/model.safetensors").read_bytes()
    assert Path("m1/test_predictions.tsv").read_bytes() == Path("m2/test_predictions.tsv").read_bytes()


def test_a_run_that_learned_nothing_ends_with_0_and_a_warning_with_what_to_try(run, place):
    done = run("train", "--positives", "n.fa", "--negatives", "shuffle", *TINY, "--epochs", 2, "--out", "m")
    assert done.code == 0
    assert re.search(r"^warning: (hardly trained|training collapsed): .*; try ", done.err, re.MULTILINE)
    assert any(text.startswith(("hardly trained", "training collapsed")) for text in load_model("m").config.warnings)


def test_the_help_names_every_architecture(run):
    done = run("train", "--help")
    words = set(re.findall(r"[\w-]+", done.out))
    assert {*ARCHITECTURES, *ALIASES} <= words


PEAKS = ("--positives", "p.fa", "--negatives", "shuffle")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is nothing to train on"),
        (("--positives", "p.fa"), "--positives alone is not enough"),
        (("--data", "data", *PEAKS), "--data: given together with --positives"),
        (("--data", "nowhere"), "nowhere: there is no such directory"),
        (("--data", "."), r"sequences\.fa: there is no such file"),
        (("--positives", "none.fa", "--negatives", "shuffle"), r"none\.fa"),
        (("--positives", "p.fa", "--negatives", "none.fa"), r"none\.fa"),
        ((*PEAKS, "--arch", "alexnet"), "error: --arch: 'alexnet' is not known"),
        ((*PEAKS, "--arch", "deepsea"), "at least 163 bases and the sequences have 40"),
        ((*PEAKS, "--option", "filters"), "--option: 'filters' is not name=value"),
        ((*PEAKS, "--option", "colour=3"), "error: --option: .*has no option 'colour'"),
        ((*PEAKS, "--option", "filters=,"), "has no value"),
        ((*PEAKS, "--learning-rate", "-1"), "error: --learning-rate: is -1"),
        ((*PEAKS, "--class-weights", "rare"), "error: --class-weights: is 'rare'"),
        ((*PEAKS, "--test-fraction", "2"), "error: --test-fraction: is 2"),
        ((*PEAKS, "--device", "warp"), "error: --device: 'warp' can't be used"),
        ((*PEAKS, "--kind", "multiclass"), "--kind: multiclass for positives and negatives"),
        (("--data", "data", "--kind", "ordinal"), "error: --kind: 'ordinal' is not known"),
        ((*PEAKS, "--test-negatives", "n.fa"), "--test-negatives: given without --test-positives"),
        ((*PEAKS, "--epochs", "0"), "--epochs"),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_leaves_nothing_behind(run, place, arguments, said):
    before = sorted(place.rglob("*"))
    done = run("train", *arguments, "--out", "m")
    assert done.code == 2
    assert re.fullmatch(r"error: .+: .+; .+\n", done.err), done.err
    assert re.search(said, done.err), done.err
    assert sorted(place.rglob("*")) == before


def test_an_output_that_is_there_is_refused_before_any_work_and_replaced_when_asked(run, place):
    arguments = ("train", "--data", "data", *TINY, "--epochs", 1, "--out", "m")
    assert run(*arguments).code == 0
    assert "exists and is not empty" in run(*arguments).err
    assert run(*arguments, "--overwrite").code == 0
