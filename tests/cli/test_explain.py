"""`seqplrp explain`: its files hold what the library computes, at the right places."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
from commandline import EXTERNAL_MODULE
from small_inputs import LENGTH, random_dna

import seqplrp as sp
from seqplrp.genomics import read_fasta, tracks, write_fasta
from seqplrp.methods import METHODS
from seqplrp.models import load_model, save_model

ALL_FILES = {
    "relevance.bw",
    "relevance.bedgraph",
    "relevance.npz",
    "relevance.h5",
    "regions.bed",
    "chrom.sizes",
    "summary.tsv",
    "ledger.tsv",
    "manifest.json",
}


def sequences(fasta):
    return [record.sequence for record in read_fasta(fasta)]


def visible(directory):
    return {p.name for p in directory.iterdir() if not p.name.startswith(".") and p.name != "parts"}


def explain(run, *arguments):
    done = run("explain", *arguments)
    assert (done.code, done.err) == (0, "")
    return done


def test_every_format_holds_what_the_library_computes(run, model_directory, fasta, tmp_path):
    out = tmp_path / "out"
    explain(run, "--model", model_directory, "--fasta", fasta, "--out", out, "--target", "1")
    assert visible(out) == ALL_FILES
    expected = sp.explain(load_model(model_directory), sp.one_hot(sequences(fasta)), target=1)
    per_base = expected.per_base.numpy()
    with np.load(out / "relevance.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["per_base"], per_base.ravel())
        hypothetical = arrays["hypothetical"].reshape(4, 5, LENGTH).transpose(1, 0, 2)
        np.testing.assert_array_equal(hypothetical, expected.hypothetical.numpy())
        assert arrays["ids"].tolist() == [f"s{i}" for i in range(5)]
    with h5py.File(out / "relevance.h5") as file:
        np.testing.assert_array_equal(file["projected_shap/seq"][()], expected.relevance.numpy())
    with pyBigWig.open(str(out / "relevance.bw")) as file:
        for i in range(5):
            np.testing.assert_array_equal(np.float32(file.values(f"s{i}", 0, LENGTH)), per_base[i])
    assert tracks.read_chrom_sizes(out / "chrom.sizes") == {f"s{i}": LENGTH for i in range(5)}
    ledger = pd.read_csv(out / "ledger.tsv", sep="\t")
    assert ledger["id"].tolist() == [f"s{i}" for i in expected.ledger["sequence"]]
    np.testing.assert_allclose(
        ledger["relevance_out"], expected.ledger["relevance_out"].astype(float), rtol=1e-6, atol=1e-9
    )


def test_summary_says_score_probability_and_where_the_map_peaks(run, model_directory, fasta, tmp_path):
    out = tmp_path / "out"
    explain(run, "--model", model_directory, "--fasta", fasta, "--out", out, "--target", "GATA1", "--formats", "tsv")
    expected = sp.explain(load_model(model_directory), sp.one_hot(sequences(fasta)), target=1)
    per_base = expected.per_base.numpy()
    table = pd.read_csv(out / "summary.tsv", sep="\t")
    assert set(table["class"]) == {"GATA1"}
    np.testing.assert_allclose(table["output"], expected.output, rtol=1e-6)
    np.testing.assert_allclose(table["probability"], torch.sigmoid(expected.output), rtol=1e-6)
    np.testing.assert_allclose(table["relevance_sum"], per_base.sum(1), rtol=1e-4)
    np.testing.assert_allclose(table["kept_share"], (per_base != 0).mean(1))
    assert table["top_position"].tolist() == np.abs(per_base).argmax(1).tolist()
    assert table["top_base"].tolist() == [s[i] for s, i in zip(sequences(fasta), table["top_position"], strict=True)]


def test_probability_of_a_multiclass_model_is_the_softmax(run, model_directory, fasta, tmp_path):
    model = load_model(model_directory)
    save_model(model, tmp_path / "model", replace(model.config, kind="multiclass"))
    arguments = ["--model", tmp_path / "model", "--fasta", fasta, "--target", "predicted", "--formats", "tsv"]
    explain(run, *arguments, "--out", tmp_path / "out")
    with torch.inference_mode():
        softmax = model(sp.one_hot(sequences(fasta))).softmax(1)
    table = pd.read_csv(tmp_path / "out" / "summary.tsv", sep="\t")
    assert table["target"].tolist() == softmax.argmax(1).tolist()
    np.testing.assert_allclose(table["probability"], softmax.max(1).values, rtol=1e-5)
    explain(run, *arguments[:-4], "--target", "0", "--formats", "tsv", "--out", tmp_path / "first")
    table = pd.read_csv(tmp_path / "first" / "summary.tsv", sep="\t")
    assert set(table["target"]) == {0}
    assert table["predicted"].tolist() == softmax.argmax(1).tolist()
    np.testing.assert_allclose(table["probability"], softmax[:, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "method"),
    [
        (["--method", "lrp", "--rule", "alphabeta(2,1)"], sp.LRP(rule=sp.AlphaBeta(2.0, 1.0))),
        (["--p", "0.25", "--p-neg", "0.1"], sp.PLRP(p=0.25, p_neg=0.1)),
        (["--budget", "0.75", "--mode", "matrix", "--tau", "0.3"], sp.PLRP(budget=0.75, mode="matrix", tau=0.3)),
        (["--threshold", "gain", "--gain", "0.5"], sp.PLRP(threshold="gain", gain=0.5)),
        (["--center", "composition", "--reverse-complement"], sp.PLRP(center="composition", reverse_complement=True)),
        (
            ["--rule", "conv*=gamma(0.5)", "--rule", "epsilon"],
            sp.PLRP(rule={"conv*": sp.Gamma(0.5), "*": sp.Epsilon()}),
        ),
        (["--p", "head=0.1", "--p", "*=0.6"], sp.PLRP(p={"head": 0.1, "*": 0.6})),
        (["--method", "gradient-x-input"], sp.GradientTimesInput()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_make_the_method_that_they_name(run, external, options, method):
    write_fasta("x.fa", [("a", random_dna(1, 30)[0])])
    arguments = ["--model", "mynet:Net", "--fasta", "x.fa", "--out", "out", "--target", "1", "--formats", "npz"]
    explain(run, *arguments, *options)
    import mynet

    expected = sp.explain(mynet.Net(), sp.one_hot(sequences("x.fa")), target=1, method=method)
    np.testing.assert_array_equal(tracks.read_npz("out/relevance.npz").per_base, expected.per_base[0])
    assert json.loads((external / "out" / "manifest.json").read_text())["method"] == repr(method)


@pytest.mark.parametrize(
    ("options", "method"),
    [
        (["--method", "random", "--seed", "3"], sp.Random(seed=3)),
        (["--method", "random"], sp.Random()),
        (["--method", "neuron-mct", "--option", "sparsity=0.5"], sp.NeuronMCT(sparsity=0.5)),
        (["--method", "neuron-intgrad", "--option", "max-change=0.3"], sp.NeuronIntGrad(max_change=0.3)),
        (
            ["--method", "smoothgrad", "--option", "draws=3", "--option", "over=saliency", "--seed", "2"],
            sp.SmoothGrad(draws=3, over="saliency", seed=2),
        ),
        (["--option", "prune_input=true"], sp.PLRP(prune_input=True)),
        (
            ["--method", "background", "--option", "over=plrp", "--option", "n_shuffles=3", "--seed", "2"],
            sp.Background(over="plrp", n_shuffles=3, references=sp.shuffled_references, seed=2),
        ),
        (
            ["--method", "background", "--option", "references=tangermeme", "--option", "n_shuffles=2"],
            sp.Background(n_shuffles=2),
        ),
        (
            ["--method", "deeplift-shap", "--option", "references=shuffled", "--option", "n_shuffles=2"],
            sp.DeepLIFTSHAP(n_shuffles=2, references=sp.shuffled_references),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_settings_without_an_option_of_their_own_and_the_seed_reach_the_method(run, external, options, method):
    write_fasta("x.fa", [("a", random_dna(1, 30)[0])])
    arguments = ["--model", "mynet:Net", "--fasta", "x.fa", "--out", "out", "--target", "1", "--formats", "npz"]
    explain(run, *arguments, *options)
    import mynet

    expected = sp.explain(mynet.Net(), sp.one_hot(sequences("x.fa")), target=1, method=method)
    np.testing.assert_allclose(tracks.read_npz("out/relevance.npz").per_base, expected.per_base[0], rtol=1e-5)
    assert json.loads((external / "out" / "manifest.json").read_text())["method"] == repr(method)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--option", "n_shuffles=5"],
            "--option n_shuffles: is no further setting of the method plrp; it has prune_in",
        ),
        (["--option", "p=0.5"], "--option p: is no further setting of the method plrp"),
        (["--method", "lrp", "--option", "x=1"], "--option x: is no further setting of the method lrp; it has none"),
        (["--method", "neuron-mct", "--option", "sparsity=2"], "--option sparsity: "),
        (["--method", "smoothgrad", "--option", "draws=few"], "--option draws: "),
        (["--method", "random", "--seed", "-1"], "--seed: "),
        (["--option", "sparsity"], "--option: 'sparsity' is not name=value; write it as n_shuffles=50"),
        (["--option", "prune_input=true", "--option", "prune-input=false"], "--option: gives 'prune_input' twice"),
        (
            ["--method", "background", "--option", "references=mine"],
            "--option references: 'mine' is not known; choose shuffled or tangermeme",
        ),
        (["--method", "lrp", "--option", "references=shuffled"], "--option references: is no further setting"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_setting_that_is_none_is_one_line(run, external, options, said):
    write_fasta("x.fa", [("a", random_dna(1, 30)[0])])
    done = run("explain", "--model", "mynet:Net", "--fasta", "x.fa", "--out", "out", "--target", "1", *options)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {said}"), done.err
    assert done.err.count("\n") == 1
    assert not (external / "out").exists()


def test_help_names_every_method(run):
    text = run("explain", "--help").out
    assert all(name in text for name in METHODS)


def test_weights_of_a_callable_are_loaded_and_hashed_whatever_their_format(run, external):
    import mynet
    from safetensors.torch import save_file

    weights = {name: torch.randn_like(value) for name, value in mynet.Net().state_dict().items()}
    torch.save(weights, "w.pt")
    save_file(weights, "w.safetensors")
    write_fasta("x.fa", [("a", random_dna(1, 30)[0])])
    arguments = ["--model", "mynet:Net", "--fasta", "x.fa", "--target", "0", "--formats", "npz"]
    for file, out in (("w.pt", "1"), ("w.safetensors", "2")):
        explain(run, *arguments, "--weights", file, "--out", out)
    model = mynet.Net()
    model.load_state_dict(weights)
    expected = sp.explain(model, sp.one_hot(sequences("x.fa")), target=0)
    np.testing.assert_array_equal(tracks.read_npz("1/relevance.npz").per_base, expected.per_base[0])
    hashes = [json.loads((external / out / "manifest.json").read_text())["models"][0] for out in "12"]
    assert hashes[0]["weights_sha256"] == hashes[1]["weights_sha256"]


def test_records_of_mixed_lengths_keep_their_order_and_their_own_maps(run, external):
    records = [(f"r{i}", random_dna(1, length, seed=i)[0]) for i, length in enumerate([30, 22, 30, 41, 22])]
    write_fasta("x.fa", records)
    arguments = ["--model", "mynet:Net", "--fasta", "x.fa", "--out", "out", "--target", "0"]
    explain(run, *arguments, "--formats", "npz,tsv")
    arrays = tracks.read_npz("out/relevance.npz")
    assert arrays.ids.tolist() == [id for id, _ in records]
    import mynet

    for i, (_, dna) in enumerate(records):
        expected = sp.explain(mynet.Net(), sp.one_hot([dna]), target=0).per_base[0]
        np.testing.assert_allclose(arrays.per_base[arrays.positions(i)], expected, rtol=1e-5, atol=1e-7)
    for table in ("summary", "ledger"):
        ids = pd.read_csv(f"out/{table}.tsv", sep="\t")["id"]
        assert list(dict.fromkeys(ids)) == [id for id, _ in records]
        assert ids.is_monotonic_increasing


def test_cutting_the_input_into_chunks_changes_no_byte(run, external, monkeypatch):
    write_fasta("x.fa", [(f"r{i}", dna) for i, dna in enumerate(random_dna(7, 30))])
    arguments = ["--model", "mynet:Net", "--fasta", "x.fa", "--target", "0", "--batch-size", "1"]
    explain(run, *arguments, "--out", "whole")
    explain(run, *arguments, "--out", "cut", "--chunk-size", "3")
    assert len(list((external / "cut" / "parts").glob("part-*.npz"))) == 3
    for name in ALL_FILES - {"manifest.json"}:
        assert (external / "whole" / name).read_bytes() == (external / "cut" / name).read_bytes(), name


def test_genome_headers_place_records_and_turn_the_minus_strand(run, external):
    plus, minus = random_dna(2, 30)
    write_fasta("x.fa", [("chr7:1000-1030(+)", plus), ("name::chr7:2000-2030(-)", minus)])
    explain(run, "--model", "mynet:Net", "--fasta", "x.fa", "--out", "out", "--target", "0")
    arrays = tracks.read_npz("out/relevance.npz")
    track = tracks.read_bigwig("out/relevance.bw", "chr7", 1000, 2030)
    np.testing.assert_array_equal(track[:30], arrays.per_base[:30])
    np.testing.assert_array_equal(track[-30:], arrays.per_base[30:][::-1])
    assert np.isnan(track[30:-30]).all()
    assert tracks.read_chrom_sizes("out/chrom.sizes") == {"chr7": 2030}
    regions = tracks.read_regions("out/regions.bed")
    assert list(regions["strand"]) == ["+", "-"]
    table = pd.read_csv("out/summary.tsv", sep="\t")
    top = int(np.abs(arrays.per_base[30:]).argmax())
    assert table["top_position"][1] == 2029 - top
    assert table["top_base"][1] == minus[top]


def test_an_unknown_base_has_no_relevance(run, external):
    dna = "N" * 6 + random_dna(1, 24)[0]
    write_fasta("x.fa", [("a", dna)])
    explain(run, "--model", "mynet:Net", "--fasta", "x.fa", "--out", "out", "--target", "0")
    assert not tracks.read_npz("out/relevance.npz").per_base[:6].any()
    with h5py.File("out/relevance.h5") as file:
        assert not file["raw/seq"][0, :, :6].any()


def test_gzipped_input_gives_the_same_arrays(run, model_directory, fasta, tmp_path):
    packed = tmp_path / "x.fa.gz"
    packed.write_bytes(gzip.compress(fasta.read_bytes()))
    for path, out in ((fasta, "plain"), (packed, "packed")):
        explain(run, "--model", model_directory, "--fasta", path, "--out", tmp_path / out, "--target", "0")
    files = [tmp_path / out / "relevance.npz" for out in ("plain", "packed")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_manifest_tells_how_the_files_came_to_be(run, model_directory, fasta, tmp_path):
    out = tmp_path / "out"
    explain(run, "--model", model_directory, "--fasta", fasta, "--out", out, "--target", "0", "--seed", "7")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["input"]["sha256"] == hashlib.sha256(fasta.read_bytes()).hexdigest()
    assert len(manifest["models"][0]["weights_sha256"]) == 64
    assert manifest["versions"]["seqplrp"] == sp.__version__
    assert (manifest["sequences"], manifest["bases"], manifest["seed"]) == (5, 5 * LENGTH, 7)
    assert manifest["arguments"]["target"] == ["0"]
    assert manifest["wall_seconds"] >= manifest["explain_seconds"] > 0
    outputs = pd.read_csv(out / "summary.tsv", sep="\t")["output"]
    assert manifest["negative_scores"] == (outputs < 0).sum()


def test_only_the_formats_asked_for_are_written(run, model_directory, fasta, tmp_path):
    arguments = ["--model", model_directory, "--fasta", fasta, "--target", "0", "--out", tmp_path / "out"]
    explain(run, *arguments, "--formats", "npz, bedgraph")
    always = {"regions.bed", "chrom.sizes", "manifest.json"}
    assert visible(tmp_path / "out") == always | {"relevance.npz", "relevance.bedgraph"}


def test_overwrite_replaces_an_earlier_run_and_nothing_else_does(run, model_directory, fasta, tmp_path):
    arguments = ["--model", model_directory, "--fasta", fasta, "--out", tmp_path / "out", "--target", "0"]
    explain(run, *arguments)
    assert run("explain", *arguments).code == 2
    explain(run, *arguments, "--overwrite", "--formats", "npz")
    assert "relevance.bw" not in visible(tmp_path / "out")


def test_a_rule_without_hypothetical_contributions_leaves_them_out(run, external):
    write_fasta("x.fa", [("a", random_dna(1, 30)[0])])
    arguments = ["--model", "mynet:Net", "--fasta", "x.fa", "--out", "out", "--target", "0"]
    rules = ["--method", "lrp", "--rule", "conv=wsquare", "--rule", "epsilon"]
    refused = run("explain", *arguments, *rules, "--formats", "npz,h5")
    assert refused.code == 2
    assert "h5" in refused.err
    explain(run, *arguments, *rules, "--formats", "npz")
    assert tracks.read_npz("out/relevance.npz").hypothetical is None


def test_the_example_module_of_these_tests_is_what_users_write():
    assert "seqplrp" not in EXTERNAL_MODULE


@pytest.mark.parametrize("command", ["explain", "filters"])
def test_random_weights_are_noted_and_in_the_manifest(run, external, fasta, command):
    source = "import torch\nfrom mynet import Net\n\n\nclass Drawn(Net):\n    def __init__(self):\n"
    source += "        super().__init__()\n        torch.seed()\n        self.conv.reset_parameters()\n"
    (external / "drawn.py").write_text(source)
    subject = (
        ["--model", "drawn:Drawn", "--fasta", fasta] if command == "explain" else ["drawn:Drawn", fasta, "--no-match"]
    )
    done = run(command, *subject, "--target", "0", "--out", "out")
    assert done.code == 0, done.err
    told = "2 of 4 weights (conv.weight, ...) of drawn:Drawn are random"
    assert f"note: {told}" in done.out
    assert any(note.startswith(told) for note in json.loads((external / "out/manifest.json").read_text())["notes"])
    done = run(
        command, *(str(one).replace("drawn:Drawn", "mynet:Net") for one in subject), "--target", "0", "--out", "b"
    )
    assert "random" not in done.out


def test_a_default_format_that_lengths_do_not_allow_is_left_out_and_noted(run, external):
    write_fasta("x.fa", [("a", random_dna(1, 30)[0]), ("b", random_dna(1, 22)[0])])
    asked = ["--model", "mynet:Net", "--fasta", "x.fa", "--out", "out", "--target", "0"]
    done = explain(run, *asked)
    told = "h5 was left out: it needs records of one length, 'b' has 22 bases and 'a' 30"
    assert f"note: {told}\n" in done.out
    assert visible(external / "out") == ALL_FILES - {"relevance.h5"}
    assert told in json.loads((external / "out/manifest.json").read_text())["notes"]
    (external / "out/manifest.json").unlink()
    before = (external / "out/parts/part-00000000.npz").read_bytes()
    again = explain(run, *asked, "--resume")
    assert f"note: {told}\n" in again.out
    assert visible(external / "out") == ALL_FILES - {"relevance.h5"}
    assert (external / "out/parts/part-00000000.npz").read_bytes() == before


def test_a_default_format_that_a_method_does_not_allow_is_left_out_and_noted(run, external):
    write_fasta("x.fa", [("a", random_dna(1, 30)[0])])
    asked = ["--model", "mynet:Net", "--fasta", "x.fa", "--out", "out", "--target", "0"]
    asked += ["--method", "lrp", "--rule", "conv=wsquare", "--rule", "epsilon"]
    told = "h5 was left out: it holds hypothetical contributions, which this method does not have"
    assert f"note: {told}\n" in explain(run, *asked).out
    assert visible(external / "out") == ALL_FILES - {"relevance.h5"}
    refused = run("explain", *asked, "--overwrite", "--formats", "bedgraph,h5")
    assert refused.code == 2
    assert "write --formats bedgraph, or" in refused.err
