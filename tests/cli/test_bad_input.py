"""Whatever a user can mend is one line, `error: WHERE: WHAT; REMEDY`, exit code 2, and no output at all."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from commandline import refused
from small_inputs import LENGTH, random_dna

DNA = random_dna(3, LENGTH)
GOOD = f">a\n{DNA[0]}\n>b\n{DNA[1]}\n"


@pytest.fixture
def place(tmp_path, model_directory, monkeypatch):
    """A directory with a good model and a good FASTA file to spoil, as the current directory."""
    shutil.copytree(model_directory, tmp_path / "model")
    (tmp_path / "x.fa").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explain(run, *extra):
    before = sorted(str(p) for p in Path().rglob("*"))
    given = [a for a in extra if str(a).startswith("--")]
    usual = {"--model": "model", "--fasta": "x.fa", "--out": "out", "--target": "0"}
    arguments = [part for name, value in usual.items() if name not in given for part in (name, value)]
    done = run("explain", *arguments, *extra)
    after = sorted(str(p) for p in Path().rglob("*") if "__pycache__" not in str(p))
    assert after == before, "something was written"
    return done


@pytest.mark.parametrize(
    ("content", "patterns"),
    [
        ("", [r"x\.fa"]),
        ("\n\n", [r"x\.fa"]),
        (f">a\n{DNA[0]}\n>a\n{DNA[1]}\n", [r"x\.fa, line 3", "'a'"]),
        (f">a\n{DNA[0]}\n>b\n{DNA[1][:20]}J{DNA[1][21:]}\n", [r"x\.fa, line 4", "'J'"]),
        (f">a\n{DNA[0][:-1]}R\n", [r"x\.fa, line 2", "'R'", "ambiguity"]),
        (">a\n>b\nACGT\n", [r"x\.fa, line 1", "no sequence"]),
        (f"{DNA[0]}\n", [r"x\.fa, line 1", "header"]),
        (f">a\n{DNA[0][:-2]}\n", ["'a'", f"{LENGTH - 2} bases", f"takes {LENGTH}"]),
        (f">a\n{DNA[0]}\n>long\n{DNA[0]}A\n", ["'long'", f"{LENGTH + 1}"]),
        (f">chr1:0-7\n{DNA[0]}\n", [r"x\.fa, line 1", "span 7"]),
        (f">#1\n{DNA[0]}\n", ["'#1'", "comment"]),
    ],
    ids=lambda value: repr(value)[:30] if isinstance(value, str) else "",
)
def test_bad_fasta(run, place, content, patterns):
    (place / "x.fa").write_text(content)
    refused(explain(run), *patterns)


def test_fasta_that_is_missing_a_directory_or_cut_short(run, place):
    refused(explain(run, "--fasta", "none.fa"), r"none\.fa")
    refused(explain(run, "--fasta", "model"), "model")
    whole = gzip.compress(GOOD.encode() * 50)
    (place / "x.fa").write_bytes(whole[: len(whole) // 2])
    refused(explain(run), r"x\.fa")
    (place / "x.fa").write_bytes(whole[:15])
    refused(explain(run), r"error: x\.fa: the gzip data end too early")
    (place / "x.fa").write_bytes(b">a\n\xff\xfe\x00\n")
    refused(explain(run), r"x\.fa, line 2")


@pytest.mark.parametrize(
    ("arguments", "patterns"),
    [
        (["--target", "2"], ["--target: 2 is out of range", "2 outputs"]),
        (["--target", "-1"], ["--target: -1 is out of range"]),
        (["--target", "SOX2"], ["--target: 'SOX2'", "CTCF"]),
        (["--target", "0.5"], ["--target: '0.5'"]),
        (["--method", "plpr"], ["--method: 'plpr'", "did you mean 'plrp'"]),
        (["--method", "lrp", "--p", "0.5"], ["--p: is no option of the method lrp"]),
        (["--rule", "gama"], ["--rule: 'gama'", "gamma"]),
        (["--rule", "gamma(x)"], ["--rule: "]),
        (["--rule", "gamma(-1)"], [r"error: --rule: 'gamma\(-1\)': gamma must be", r"use for example gamma\(0\.25\)"]),
        (["--rule", "zbox(1,0)"], [r"error: --rule: 'zbox\(1,0\)': low is above high"]),
        (["--rule", "alphabeta(2,2)"], [r"error: --rule: 'alphabeta\(2,2\)'", r"example alphabeta\(2, 1\)"]),
        (["--rule", "epsilon-pluss"], ["error: --rule: 'epsilon-pluss'", "did you mean 'epsilon-plus'"]),
        (["--rule", "epsilon-plus(1)"], ["error: --rule: ", "takes no numbers; write epsilon-plus"]),
        (["--rule", "conv=epsilon-plus"], ["error: --rule conv: 'epsilon-plus' places rules on all layers"]),
        (["--rule", "conv=gamma"], ["error: --rule: layer .*no pattern", "give one without a pattern"]),
        (["--rule", "gamma", "--rule", "epsilon"], ["error: --rule: gives 'gamma' and 'epsilon' for all layers"]),
        (["--rule", "=gamma"], ["error: --rule: '=gamma' has no pattern"]),
        (["--attention", "rollout"], ["error: --attention: 'rollout'"]),
        (["--rule", "conv9=gamma", "--rule", "epsilon"], ["--rule conv9: matches no layer", "conv"]),
        (["--rule", "a=gamma", "--rule", "a=epsilon"], ["--rule: gives 'a' twice"]),
        (["--p", "1.5"], ["--p: 1.5"]),
        (["--p", "half"], ["--p: 'half'"]),
        (["--p", "zz=0.5", "--p", "0.5"], ["error: --p 'zz': matches no layer"]),
        (["--p", "head=2", "--p", "0.5"], ["error: --p 'head': 2.0 is not a share"]),
        (["--p", "head=0.5"], ["error: --p: layer .*no pattern", "give one without a pattern"]),
        (["--method", "saliency", "--rule", "gamma"], ["error: --rule: is no option of the method saliency"]),
        (["--method", "lrp", "--p-neg", "0.1"], ["error: --p-neg: is no option of the method lrp", "lrp has --rule"]),
        (["--method", "gradient-x-input", "--tau", "0.1"], ["error: --tau: ", "has --center, --reverse-complement"]),
        (["--p", "0.5", "--budget", "0.5"], ["--p, --budget: both"]),
        (["--p-neg", "-1"], ["--p-neg: -1"]),
        (["--mode", "both"], ["--mode: 'both'"]),
        (["--threshold", "size"], ["--threshold: 'size'"]),
        (["--tau", "-0.1"], ["--tau: -0.1"]),
        (["--center", "middle"], ["error: --center: 'middle' is not known; choose none, uniform, composition\n"]),
        (["--formats", "npz,wig"], ["--formats: 'wig'"]),
        (["--formats", ","], ["--formats: "]),
        (["--batch-size", "0"], ["--batch-size: "]),
        (["--device", "abacus"], ["--device: 'abacus'"]),
        (["--iupac", "keep"], ["--iupac: 'keep'"]),
        (["--weights", "w.pt"], ["--weights: "]),
        (["--model", "nowhere"], ["nowhere: "]),
        (["--model", "nomodule:Net"], ["--model: ", "'nomodule'"]),
        (["--model", "json:loads"], ["--model: "]),
        (["--model", "x.fa"], [r"x\.fa: is no saved program", "module:callable"]),
        (["--layout", "LNC"], ["error: --layout: 'LNC' is not known; choose NCL or NLC"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_arguments(run, place, arguments, patterns):
    refused(explain(run, *arguments), *patterns)


def test_no_target_for_a_model_of_several_outputs(run, place):
    done = run("explain", "--model", "model", "--fasta", "x.fa", "--out", "out")
    refused(done, "--target: the model has 2 outputs", "0 is CTCF, 1 is GATA1")


def spoil_weights_missing(model):
    (model / "model.safetensors").unlink()


def spoil_weights_not_safetensors(model):
    (model / "model.safetensors").write_text("not a tensor")


def spoil_architecture_of_other_size(model):
    config = json.loads((model / "config.json").read_text())
    config["options"]["filters"] = 5
    (model / "config.json").write_text(json.dumps(config))


def spoil_architecture_unknown(model):
    config = json.loads((model / "config.json").read_text())
    config["architecture"] = "transformer"
    (model / "config.json").write_text(json.dumps(config))


def spoil_config_missing(model):
    (model / "config.json").unlink()


def spoil_config_of_another_program(model):
    config = json.loads((model / "config.json").read_text())
    del config["format"]
    (model / "config.json").write_text(json.dumps(config))


def spoil_config_not_json(model):
    (model / "config.json").write_text("{\n 'a'")


@pytest.mark.parametrize(
    ("spoil", "patterns"),
    [
        (spoil_weights_missing, [r"model\.safetensors", "missing"]),
        (spoil_weights_not_safetensors, [r"model\.safetensors"]),
        (spoil_architecture_of_other_size, [r"model\.safetensors", "do not fit", r"\(4, 4, 7\)", r"\(5, 4, 7\)"]),
        (spoil_architecture_unknown, [r"config\.json", "'transformer'"]),
        (spoil_config_missing, [r"config\.json"]),
        (spoil_config_not_json, [r"config\.json, line 2"]),
        (spoil_config_of_another_program, [r"config\.json: does not say format 'seqplrp-model'"]),
    ],
)
def test_bad_model_directory(run, place, spoil, patterns):
    spoil(place / "model")
    refused(explain(run), *patterns)


def test_bad_weights_of_a_callable(run, external):
    (external / "x.fa").write_text(GOOD)
    arguments = ["--model", "mynet:Net", "--weights", "w.pt"]
    refused(explain(run, *arguments), r"w\.pt: there is no such weights file")
    torch.save({"conv.weight": torch.zeros(6, 4, 9)}, "w.pt")
    refused(explain(run, *arguments), r"w\.pt: the weights do not fit", r"\(6, 4, 9\)", r"\(6, 4, 5\)")
    torch.save({"a": np.array(Path("x.fa"), dtype=object)}, "w.pt")
    refused(explain(run, *arguments), r"w\.pt: holds more than tensors")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", "it is empty"),
        ("text", "it is no file of torch's"),
        ("cut", "it is cut short"),
        ("changed", "it holds something else than tensors that torch.save wrote, or it is damaged"),
        ("pickle", "it holds something else than tensors that torch.save wrote, or it is damaged"),
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_weights_that_can_not_be_read_are_told_in_plain_words(run, external, kind, said, trusted):
    import mynet

    (external / "x.fa").write_text(GOOD)
    torch.save(mynet.Net().state_dict(), "w.pt")
    whole = Path("w.pt").read_bytes()
    start = whole.index(b"data.pkl") + 30
    content = {
        "empty": b"",
        "text": b">a\nACGT",
        "cut": whole[: len(whole) // 2],
        "changed": whole[:start] + b"\xff" * 40 + whole[start + 40 :],
        "pickle": b"\x80\x04\xff",
    }
    Path("w.pt").write_bytes(content[kind])
    trust = ["--trust-pickle"] if trusted else []
    done = explain(run, "--model", "mynet:Net", "--weights", "w.pt", *trust)
    refused(done, r"w\.pt: can't be read as weights: " + said)
    assert "weights_only" not in done.err


def test_a_length_that_a_callable_cannot_take(run, external):
    (external / "x.fa").write_text(f">a\n{DNA[0][:-7]}\n")
    refused(
        explain(run, "--model", "mynet:Fixed", "--target", "0"), r"error: x\.fa, record 'a': ", f"{LENGTH - 7} bases"
    )
    (external / "x.fa").write_text(f">a\n{DNA[0]}\n>b\n{DNA[0][:-7]}\n")
    done = explain(run, "--model", "mynet:Fixed", "--formats", "npz")
    refused(done, r"error: x\.fa, record 'b': ", f"{LENGTH - 7} bases")


def test_mixed_lengths_for_h5_name_both(run, external):
    (external / "x.fa").write_text(f">a\n{DNA[0]}\n>b\n{DNA[0][:-7]}\n")
    done = explain(run, "--model", "mynet:Net", "--formats", "h5,bigwig,modisco,npz")
    refused(done, f"'b' has {LENGTH - 7} bases and 'a' {LENGTH}", "write --formats bigwig,npz, or cut")
    done = explain(run, "--model", "mynet:Net", "--formats", "h5")
    refused(done, "write --formats npz,tsv, or cut")


def test_weights_that_are_not_finite(run, external):
    import mynet

    (external / "x.fa").write_text(GOOD)
    weights = mynet.Net().state_dict()
    weights["conv.bias"][0] = np.nan
    torch.save(weights, "w.pt")
    refused(explain(run, "--model", "mynet:Net", "--weights", "w.pt"), "finite")


def test_bad_output_places(run, place):
    (place / "full").mkdir()
    (place / "full" / "mine.txt").write_text("mine")
    refused(explain(run, "--out", "full"), "full: exists and is not empty", "--overwrite")
    refused(explain(run, "--out", "full", "--overwrite"), "full: holds files that seqplrp did not write")
    refused(explain(run, "--out", "x.fa"), r"x\.fa: is what this command reads")
    (place / "notes.txt").write_text("mine")
    refused(explain(run, "--out", "notes.txt"), r"notes\.txt: exists and is not a directory")
    refused(explain(run, "--out", "x.fa/below"), "not a directory")
    locked = place / "locked"
    locked.mkdir(mode=0o500)
    # the superuser may write anywhere but here
    unwritable = Path("/proc/seqplrp-out") if os.access(locked, os.W_OK) else locked / "out"
    refused(explain(run, "--out", unwritable), "cannot be written")


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["--fasta", "bad.fa"], r"bad\.fa, line 2"),
        (["--seed", "x"], "--seed: "),
    ],
)
def test_a_real_process_says_the_same(place, arguments, pattern):
    (place / "bad.fa").write_text(">a\nACGT!\n")
    program = [sys.executable, "-c", "import sys; from seqplrp.cli import main; sys.exit(main())"]
    usual = ["explain", "--model", "model", "--fasta", "x.fa", "--out", "out", "--target", "0"]
    done = subprocess.run([*program, *usual, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(rf"error: .*{pattern}.*; .*\n", done.stderr)
    assert not (place / "out").exists()


MEME = """MEME version 4

ALPHABET= ACGT

MOTIF M1 TEST
letter-probability matrix: alength= 4 w= 3 nsites= 20 E= 0
 0.7 0.1 0.1 0.1
 0.1 0.7 0.1 0.1
 0.1 0.1 0.7 0.1
"""


@pytest.mark.parametrize(
    ("old", "new", "patterns"),
    [
        (" 0.1 0.7 0.1 0.1\n", " 0.1 0.7 0.1 0.3\n", ["line 8", "sum"]),
        (" 0.1 0.7 0.1 0.1\n", " 0.1 0.7 0.2\n", ["line 8"]),
        (" 0.1 0.7 0.1 0.1\n", " 0.1 much 0.1 0.1\n", ["line 8", "'much'"]),
        ("w= 3", "w= 4", ["line"]),
        ("ALPHABET= ACGT", "ALPHABET= ACDEFGHIKLMNPQRSTVWY", ["line 3"]),
    ],
)
def test_bad_motif_file(run, place, old, new, patterns):
    """A motif file reaches the program through a task's description."""
    (place / "task.yaml").write_text("kind: binary\nlength: 60\nmotifs: {TEST: {file: m.meme}}\nclasses: {yes: TEST}\n")
    (place / "m.meme").write_text(MEME.replace(old, new))
    before = sorted(place.rglob("*"))
    refused(run("simulate", "--task", "task.yaml", "-n", "10", "--out", "out"), r"m\.meme", *patterns)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda content: content[:200], "is cut short"),
        (lambda content: b"text", "is no npz file"),
        (lambda content: b"", "is no npz file"),
        (lambda content: content.replace(b"NUMPY", b"numpy"), "its array 'ids' is damaged, or holds more than numbers"),
    ],
    ids=["cut short", "text", "empty", "headers"],
)
def test_arrays_that_can_not_be_read_are_told_in_plain_words(run, place, spoil, said):
    assert run("explain", "--model", "model", "--fasta", "x.fa", "--target", "0", "--out", "out").code == 0
    arrays = place / "out" / "relevance.npz"
    arrays.write_bytes(spoil(arrays.read_bytes()))
    done = run("logo", "out", "--record", "a", "--out", "a.svg")
    refused(done, rf"error: out/relevance\.npz: {said}", "give the relevance.npz")
    assert "pickle" not in done.err


def test_arrays_of_objects_are_not_unpickled(run, place):
    assert run("explain", "--model", "model", "--fasta", "x.fa", "--target", "0", "--out", "out").code == 0
    np.savez(place / "out" / "relevance.npz", ids=np.array([{"a": 1}], dtype=object))
    done = run("logo", "out", "--record", "a", "--out", "a.svg")
    refused(done, "its array 'ids' is damaged, or holds more than numbers and text")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("b\t1\t0", "labels.tsv, line 3: has 3 fields, the header has 2; separate fields with one tab each"),
        ("b", "labels.tsv, line 3: has 1 fields, the header has 2"),
    ],
)
def test_rows_of_labels_that_are_longer_or_shorter_than_the_header(run, place, row, said):
    (place / "data").mkdir()
    (place / "data" / "sequences.fa").write_text(GOOD)
    (place / "data" / "labels.tsv").write_text(f"id\tbound\na\t0\n{row}\n")
    refused(run("train", "--data", "data", "--out", "m"), said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--learning-rate", "0"], "error: --learning-rate: is 0.0; give more than 0"),
        (["--weight-decay", "-1"], "error: --weight-decay: is -1"),
        (["--validation-fraction", "1"], "error: --validation-fraction: is 1"),
        (["--arch", "none"], "error: --arch: 'none' is not known"),
        (["--option", "filters=x"], "error: --option: filters is"),
        (["--iupac", "keep"], "error: --iupac: is 'keep'"),
    ],
)
def test_options_of_train_are_named_as_options(run, place, arguments, said):
    refused(run("train", "--positives", "x.fa", "--negatives", "shuffle", "--out", "m", *arguments), said)


def test_a_layout_that_the_model_does_not_take_is_named(run, external):
    (external / "x.fa").write_text(GOOD)
    source = "from mynet import Net\n\n\nclass Last(Net):\n    def forward(self, x):\n"
    (external / "last.py").write_text(source + "        return super().forward(x.transpose(1, 2))\n")
    done = explain(run, "--model", "last:Last", "--target", "0")
    refused(done, r"--layout: is NCL, and last:Last takes \(N, L, 4\); give --layout NLC")
    done = explain(run, "--model", "mynet:Net", "--target", "0", "--layout", "NLC")
    refused(done, r"--layout: is NLC, and mynet:Net takes \(N, 4, L\); give --layout NCL")


@pytest.mark.parametrize("name", ["mynet", "mynet.py"])
@pytest.mark.parametrize("weights", [[], ["--weights", "w.pt"]])
def test_a_module_without_its_callable_is_told_what_to_write(run, external, name, weights):
    (external / "x.fa").write_text(GOOD)
    refused(explain(run, "--model", name, *weights), "--model: .*; write mynet:Net or mynet:Fixed")
