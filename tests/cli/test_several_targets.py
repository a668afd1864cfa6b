"""`seqplrp explain` for several outputs in one run: as if each had been asked for alone."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from seqplrp.genomics import tracks


def explain(run, *arguments):
    done = run("explain", *arguments)
    assert (done.code, done.err) == (0, ""), done.err
    return done


@pytest.fixture
def both(run, model_directory, fasta, tmp_path):
    asked = ["--model", model_directory, "--fasta", fasta, "--chunk-size", "2"]
    explain(run, *asked, "--target", "1", "--task", "CTCF", "--out", tmp_path / "both")
    for target in ("0", "1"):
        explain(run, *asked, "--target", target, "--out", tmp_path / target)
    return tmp_path


def test_files_of_each_output_are_those_of_a_run_for_it_alone(both):
    for name, alone in (("CTCF", "0"), ("GATA1", "1")):
        for file in ("relevance.bw", "relevance.bedgraph", "relevance.npz", "relevance.h5"):
            stem, ending = file.split(".")
            found = (both / "both" / f"{stem}.{name}.{ending}").read_bytes()
            if ending == "h5":
                for one, other in zip(
                    tracks.read_h5(both / "both" / f"{stem}.{name}.h5"),
                    tracks.read_h5(both / alone / file),
                    strict=True,
                ):
                    np.testing.assert_array_equal(one, other)
            else:
                assert found == (both / alone / file).read_bytes(), (name, file)
    assert not (both / "both" / "relevance.bw").exists()


def test_tables_have_a_row_for_each_sequence_and_output(both):
    table = pd.read_csv(both / "both" / "summary.tsv", sep="\t")
    assert table["target"].tolist() == [1, 0] * 5
    assert table["class"].tolist() == ["GATA1", "CTCF"] * 5
    assert table["id"].tolist() == [f"s{i}" for i in range(5) for _ in range(2)]
    for target in (0, 1):
        alone = pd.read_csv(both / str(target) / "summary.tsv", sep="\t")
        of_both = table[table["target"] == target].reset_index(drop=True)
        pd.testing.assert_frame_equal(of_both, alone)
        ledger = pd.read_csv(both / "both" / "ledger.tsv", sep="\t")
        of_both = ledger[ledger["target"] == target].drop(columns="target").reset_index(drop=True)
        pd.testing.assert_frame_equal(of_both, pd.read_csv(both / str(target) / "ledger.tsv", sep="\t"))
    manifest = json.loads((both / "both" / "manifest.json").read_text())
    assert (manifest["target"], manifest["outputs"]) == ([1, 0], ["GATA1", "CTCF"])


def test_export_knows_the_outputs(run, both):
    done = run("export", both / "both", "--to", "bpnet-h5")
    assert (done.code, done.err) == (0, "")
    assert {p.name for p in (both / "both").glob("relevance_bpnet*")} == {
        "relevance_bpnet.CTCF.h5",
        "relevance_bpnet.GATA1.h5",
    }


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        (["0", "CTCF"], "--target: names output 0 twice"),
        (["0", "5"], "--target: 5 is out of range"),
        (["0", "picked:score"], "--target: is a function among others"),
    ],
)
def test_targets_that_can_not_be_asked_together_are_refused(run, model_directory, fasta, external, targets, told):
    (external / "picked.py").write_text("def score(output):\n    return output[:, 0]\n")
    asked = [part for target in targets for part in ("--target", target)]
    done = run("explain", "--model", model_directory, "--fasta", fasta, *asked, "--out", external / "out")
    assert done.code == 2
    assert told in done.err
    assert not (external / "out").exists()


def test_commands_that_look_at_one_output_take_one(run, model_directory, fasta, tmp_path):
    done = run("filters", model_directory, fasta, "--target", "0", "--target", "1", "--out", tmp_path / "out")
    assert done.code == 2
    assert "--target: is given more than once" in done.err
