"""Where `seqplrp explain` takes its sequences from: regions of a genome, and tiles of long records."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from small_inputs import LENGTH, random_dna

import seqplrp as sp
from seqplrp.genomics import reverse_complement, tracks, write_fasta
from seqplrp.models import load_model

SIZE = 300


@pytest.fixture
def genome(tmp_path):
    """Two contigs, and a name that only the file knows."""
    dna = dict(zip(("chr1", "chr2"), random_dna(2, SIZE), strict=True))
    write_fasta(tmp_path / "genome.fa", list(dna.items()))
    return dna


def explain(run, *arguments):
    done = run("explain", *arguments)
    assert (done.code, done.err) == (0, ""), done.err
    return done


def per_base(out):
    return tracks.read_npz(out / "relevance.npz").per_base.reshape(-1, LENGTH)


def turned(text):
    return sp.genomics.codes_to_strings(sp.genomics.encode([text]))[0][::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_peaks_are_explained_about_their_summits_in_windows_that_the_model_takes(
    run, model_directory, genome, tmp_path
):
    peaks = [("chr1", 100, 180, "p1", ".", 30), ("chr2", 200, 260, "p2", "-", 10), ("chr1", 50, 90, "p3", "+", -1)]
    lines = [f"{c}\t{s}\t{e}\t{n}\t0\t{strand}\t1\t1\t1\t{summit}\n" for c, s, e, n, strand, summit in peaks]
    (tmp_path / "x.narrowPeak").write_text("".join(lines))
    out = tmp_path / "out"
    asked = ["--model", model_directory, "--bed", tmp_path / "x.narrowPeak", "--genome", tmp_path / "genome.fa"]
    explain(run, *asked, "--out", out, "--target", "1")
    half = LENGTH // 2
    windows = [genome["chr1"][130 - half :][:LENGTH], None, genome["chr1"][50:90]]
    table = pd.read_csv(out / "summary.tsv", sep="\t")
    assert table["strand"].tolist() == ["+", "-", "+"]
    start = int(table["start"][1])
    assert abs(start + half - 210) <= 1, "the summit of a peak on the minus strand is the same base"
    windows[1] = turned(genome["chr2"][start : start + LENGTH])
    assert table[["contig", "start"]].to_numpy().tolist() == [["chr1", 130 - half], ["chr2", start], ["chr1", 50]]
    expected = sp.explain(load_model(model_directory), sp.one_hot(windows), target=1).per_base.numpy()
    np.testing.assert_allclose(per_base(out), expected, rtol=1e-5, atol=1e-8)
    found = tracks.read_bigwig(out / "relevance.bw", "chr2", start, start + LENGTH)
    np.testing.assert_allclose(found, expected[1][::-1], rtol=1e-5, atol=1e-8)
    assert tracks.read_chrom_sizes(out / "chrom.sizes") == {"chr1": SIZE, "chr2": SIZE}
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["input"]["width"] == LENGTH
    assert manifest["input"]["further_files"][0]["path"].endswith("genome.fa")


def test_windows_off_a_contig_are_padded_or_left_out_and_listed(run, model_directory, genome, tmp_path):
    (tmp_path / "x.bed").write_text("chr1\t0\t10\tedge\nchr1\t100\t140\tinside\nchr2\t290\t300\tend\n")
    asked = ["--model", model_directory, "--bed", tmp_path / "x.bed", "--genome", tmp_path / "genome.fa"]
    asked += ["--target", "1"]
    done = explain(run, *asked, "--out", tmp_path / "padded")
    assert "note: not all of the input is used as it stands: 2 padded; see remarks.tsv" in done.out
    remarks = pd.read_csv(tmp_path / "padded" / "remarks.tsv", sep="\t")
    assert remarks["name"].tolist() == ["edge", "end"]
    assert remarks["kind"].tolist() == ["padded", "padded"]
    with_n = "N" * 15 + genome["chr1"][:25]
    expected = sp.explain(load_model(model_directory), sp.one_hot([with_n]), target=1).per_base.numpy()[0]
    np.testing.assert_allclose(per_base(tmp_path / "padded")[0], expected, rtol=1e-5, atol=1e-8)
    found = tracks.read_bigwig(tmp_path / "padded" / "relevance.bw", "chr1", 0, 25)
    np.testing.assert_allclose(found, expected[15:], rtol=1e-5, atol=1e-8)
    regions = tracks.read_regions(tmp_path / "padded" / "regions.bed")
    assert regions[["start", "end"]].to_numpy().tolist() == [[0, 25], [100, 140], [275, 300]]
    done = explain(run, *asked, "--out", tmp_path / "skipped", "--edge", "skip")
    assert len(per_base(tmp_path / "skipped")) == 1
    assert "2 off contig" in done.out
    done = run("explain", *asked, "--out", tmp_path / "refused", "--edge", "error")
    assert done.code == 2
    assert "x.bed, line 1" in done.err
    assert not (tmp_path / "refused").exists()


def test_a_long_record_is_tiled_and_its_overlaps_are_averaged(run, model_directory, tmp_path):
    dna = random_dna(1, 100)[0]
    write_fasta(tmp_path / "long.fa", [("chr5:1000-1100", dna)])
    out = tmp_path / "out"
    asked = ["--model", model_directory, "--fasta", tmp_path / "long.fa", "--target", "1", "--out", out]
    explain(run, *asked, "--window", LENGTH, "--stride", "25")
    starts = [0, 25, 50, 60]
    tiles = [dna[s : s + LENGTH] for s in starts]
    values = sp.explain(load_model(model_directory), sp.one_hot(tiles), target=1).per_base.double().numpy()
    total, count = np.zeros(100), np.zeros(100)
    for start, row in zip(starts, values, strict=True):
        total[start : start + LENGTH] += row
        count[start : start + LENGTH] += 1
    found = tracks.read_bigwig(out / "relevance.bw", "chr5", 1000, 1100)
    np.testing.assert_allclose(found, total / count, rtol=1e-4, atol=1e-7)
    assert pd.read_csv(out / "summary.tsv", sep="\t")["id"].tolist() == [f"chr5:{1000 + s}-{1040 + s}" for s in starts]


def test_a_run_over_regions_goes_on_after_a_stop(run, model_directory, genome, tmp_path, monkeypatch):
    from seqplrp.pipeline.session import Session

    lines = [f"chr{1 + i % 2}\t{10 * i}\t{10 * i + 8}\tr{i}\n" for i in range(20)]
    (tmp_path / "x.bed").write_text("".join(lines))
    asked = ["explain", "--model", model_directory, "--bed", tmp_path / "x.bed", "--genome", tmp_path / "genome.fa"]
    asked += ["--target", "0", "--chunk-size", "3", "--formats", "npz,bigwig,tsv"]
    assert run(*asked, "--out", tmp_path / "whole").code == 0
    explain_chunk, calls = Session.explain, []

    def stops(self, records, first):
        calls.append(first)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return explain_chunk(self, records, first)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "explain", stops)
        assert run(*asked, "--out", tmp_path / "out").code == 130
    assert run(*asked, "--out", tmp_path / "out", "--resume").code == 0
    for name in ("relevance.npz", "relevance.bw", "summary.tsv", "regions.bed", "remarks.tsv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    text = (tmp_path / "x.bed").read_text()
    (tmp_path / "x.bed").write_text(text.replace("r19", "other"))
    assert "input_sha256" in run(*asked, "--out", tmp_path / "out", "--resume").err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--fasta, --bed: is needed"),
        (["--fasta", "a.fa", "--bed", "b.bed"], "--fasta, --bed: are both given"),
        (["--bed", "b.bed"], "--bed: names regions, and there is no genome"),
        (["--fasta", "a.fa", "--genome", "g.fa"], "--genome: goes with --bed only"),
        (["--fasta", "a.fa", "--stride", "5"], "--stride: goes with --window only"),
        (["--bed", "b.bed", "--genome", "g.fa", "--window", "5"], "--window: goes with --fasta only"),
        (["--bed", "b.bed", "--genome", "g.fa", "--edge", "cut"], "--edge: 'cut' is not known; choose pad"),
        (["--fasta", "a.fa", "--window", "40", "--short", "x"], "--short: 'x' is not known"),
        (["--fasta", "a.fa", "--iupac", "x"], "--iupac: 'x' is not known"),
    ],
)
def test_inputs_that_do_not_go_together_are_one_line(run, model_directory, tmp_path, arguments, told):
    done = run("explain", "--model", model_directory, "--out", tmp_path / "out", *arguments)
    assert done.code == 2
    assert told in done.err
    assert len(done.err.splitlines()) == 1


def test_regions_on_contigs_that_the_genome_lacks_are_an_error_or_listed(run, model_directory, genome, tmp_path):
    (tmp_path / "x.bed").write_text("1\t100\t140\ta\nchr1\t100\t140\tb\n")
    asked = ["explain", "--model", model_directory, "--bed", tmp_path / "x.bed", "--genome", tmp_path / "genome.fa"]
    done = run(*asked, "--target", "0", "--out", tmp_path / "out")
    assert done.code == 2
    assert "chr1" in done.err
    done = run(*asked, "--target", "0", "--out", tmp_path / "out", "--unknown-contig", "skip")
    assert done.code == 0
    assert "1 no contig" in done.out
    (tmp_path / "x.bed").write_text("1\t100\t140\ta\n")
    done = run(*asked, "--target", "0", "--out", tmp_path / "none", "--unknown-contig", "skip")
    assert "leaves no sequence to explain (1 no contig)" in done.err


def test_the_reverse_complement_helper_of_these_tests_is_the_librarys():
    text = random_dna(1, 30)[0]
    torch.testing.assert_close(sp.one_hot([turned(text)]), reverse_complement(sp.one_hot([text])))


def test_padded_windows_can_be_scored_and_drawn(run, model_directory, genome, tmp_path):
    (tmp_path / "x.bed").write_text("chr1\t0\t10\tedge\nchr1\t100\t140\tinside\nchr1\t290\t300\tend\n")
    asked = ["--model", model_directory, "--bed", tmp_path / "x.bed", "--genome", tmp_path / "genome.fa"]
    explain(run, *asked, "--target", "1", "--out", tmp_path / "out")
    # the truth is where the relevance of the padded window is highest
    values = per_base(tmp_path / "out")[0]
    top = int(np.argmax(values)) - 15
    rows = [("chr1", top, top + 1), ("chr1", 110, 120), ("chr1", 290, 300)]
    lines = [f"{c}\t{s}\t{e}\tm\t0\t+\t.\tGATA1\n" for c, s, e in rows]
    (tmp_path / "truth.bed").write_text("".join(lines))
    scores = tmp_path / "scores.tsv"
    done = run("score", tmp_path / "out", "--truth", tmp_path / "truth.bed", "--all", "--out", scores)
    assert (done.code, done.err) == (0, ""), done.err
    table = pd.read_csv(scores, sep="\t").set_index("id")
    edge = next(name for name in table.index if "edge" in name)
    assert table.loc[edge, "pointing"] == 1, "the highest base is found where it lies on the contig"
    done = run("logo", tmp_path / "out", "--record", edge, "--out", tmp_path / "edge.svg")
    assert (done.code, done.err) == (0, ""), done.err
