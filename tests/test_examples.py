"""The scripts in examples/, run as a user runs them, at a small size."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

import seqplrp as sp

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_roar_study_writes_its_tables_and_pictures_and_goes_on_where_it_was(tmp_path, capsys) -> None:
    script = runpy.run_path(str(EXAMPLES / "roar.py"))
    assert {"plrp", "lrp-gamma", "gradient-x-input", "neuron-mct", "deeplift-shap"} < set(script["METHODS"])
    script["METHODS"].clear()
    script["METHODS"]["plrp"] = sp.PLRP()
    asked = [str(tmp_path), "--sequences", "240", "--epochs", "1", "--seeds", "1", "--percents", "10"]
    script["main"](asked)
    table = pd.read_csv(tmp_path / "roar.tsv", sep="\t")
    assert set(zip(table["method"], table["input"], strict=True)) == {
        ("unchanged", "sequence"),
        ("random", "sequence"),
        *((method, kind) for method in ("truth", "plrp") for kind in ("sequence", "mask")),
    }
    assert table.loc[table["method"] == "plrp", "replaced"].tolist() == [20.0, 20.0]
    summary = pd.read_csv(tmp_path / "roar_summary.tsv", sep="\t")
    assert len(summary) == 5
    for picture in ("roar.svg", "roar.png"):
        assert (tmp_path / picture).stat().st_size > 5000
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "study" / "parts").iterdir()}
    script["main"](asked)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "study" / "parts").iterdir()} == parts
    assert "6 of 6 trainings" in capsys.readouterr().out


@pytest.mark.parametrize("sequences", [240, 5000])
def test_the_roar_study_knows_where_the_motifs_stand_that_make_the_class(sequences: int) -> None:
    from seqplrp.genomics.simulation import load_task, simulate

    script = runpy.run_path(str(EXAMPLES / "roar.py"))
    simulated = simulate(load_task(str(EXAMPLES / "benchmark" / "tasks" / "short-motifs.yaml")), n=sequences, seed=2)
    mask = script["planted"](simulated)
    own = simulated.truth[simulated.truth["class"] != "."]
    assert mask.sum(1).tolist() == (own["end"] - own["start"]).tolist(), "one instance a sequence, decoys left out"
