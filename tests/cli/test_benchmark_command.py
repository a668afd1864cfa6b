"""``seqplrp benchmark``: one line a model, a table, the files it names; it stops cleanly and goes on."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from seqplrp.benchmark import runner

TASK = """
kind: binary
length: 60
motifs:
  CTCF: {load: CTCF, instances: consensus}
classes:
  CTCF: CTCF
  background: otherwise
"""


@pytest.fixture
def described(tmp_path) -> Path:
    """A benchmark of one small model and two methods."""
    (tmp_path / "task.yaml").write_text(TASK)
    content = {
        "tasks": {"one": {"group": "development", "task": "task.yaml", "n": 400, "test": 30}},
        "architectures": {"small": {"architecture": "deepbind", "options": {"filters": 8, "kernel": 11, "hidden": 6}}},
        "seeds": [0],
        "training": {"epochs": 5},
        "sequences": 8,
        "methods": {"gxi": {"method": "gradient-x-input"}, "plrp": {"method": "plrp", "p": [0.0, 0.5]}},
        "default": "plrp p=0.5",
        "peers": ["gxi"],
        "protocols": {"localisation": None, "sparsity": None},
        "cost": {"sequences": 4, "repeats": 2},
        "pictures": {"sequences": 1},
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_run_says_each_model_prints_the_means_and_writes_what_it_names(run, described, tmp_path) -> None:
    out = tmp_path / "out"
    done = run("benchmark", "--config", described, "--out", out)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("run: 1 models, 3 methods\n[1/1] one, small, seed 0: AUROC ")
    results = pd.read_csv(out / "results.tsv.gz", sep="\t")
    for name in ("gxi", "plrp p=0", "plrp p=0.5"):
        mean = results[(results["method"] == name) & (results["measure"] == "auprc")]["value"].mean()
        (line,) = [line for line in done.out.splitlines() if line[2:].startswith(f"{name} ")]
        assert f"{mean:.3f}" in line
        assert line.startswith("> " if name == "plrp p=0.5" else "  ")
        assert re.search(r"\d\.\dx$", line)
    # the same rows as parquet, kinds and order alike
    parquet = pd.read_parquet(out / "results.parquet")
    assert list(parquet.columns) == list(results.columns)
    assert len(parquet) == len(results) > 0
    for column in parquet.columns:
        if column == "value":
            np.testing.assert_array_equal(parquet[column].to_numpy(), results[column].to_numpy())
        else:
            assert parquet[column].astype(str).tolist() == results[column].astype(str).tolist()
    named = [Path(line.strip()) for line in done.out.splitlines() if line.startswith(f"  {out}")]
    assert {path.name for path in named} >= {
        "report.html",
        "report.md",
        "summary.tsv",
        "results.tsv.gz",
        "results.parquet",
        "pictures",
    }
    assert all(path.exists() for path in named)
    report = (out / "report.md").read_text()
    for picture in re.findall(r"\]\((pictures/[^)]+)\)", report):
        assert (out / picture).stat().st_size > 1000
    assert "### Where plrp p=0.5 loses" in report
    words = set(re.split(r"[\s,;():/|│]+", run("benchmark", "--help").out))
    written = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    of_models = {f"motifs{end}" for end in (".tsv", "_summary.tsv", "_patterns.tsv", "_patterns")}
    assert written | of_models <= {word.rstrip(".") for word in words}, "the help names every file"
    before = (out / "results.tsv.gz").stat().st_mtime_ns
    again = run("benchmark", "--config", described, "--out", out, "--cells", "0")
    assert again.code == 0
    assert "[1/1]" not in again.out, "a finished run is only reported again"
    assert (out / "results.tsv.gz").stat().st_mtime_ns >= before


def test_protocols_limited_to_some_methods_leave_gaps_and_no_traceback(run, described, tmp_path) -> None:
    """The truth has no row, nor has a sweep, and localisation was not measured: all found out after hours of work."""
    content = yaml.safe_load(described.read_text())
    content["methods"]["truth"] = {"method": "truth"}
    content["methods"]["other"] = {"method": "plrp"}
    content["protocols"] = {"faithfulness": {"draws": 1, "sequences": 3, "methods": ["other", "gxi"]}}
    content["default"] = "other"
    described.write_text(yaml.safe_dump(content))
    done = run("benchmark", "--config", described, "--out", tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    table = done.out.split("means over 1 models\n")[1].split("\n\n")[0]
    assert "nan" not in table
    (row,) = [line for line in table.splitlines() if line[2:].startswith("truth")]
    assert row.split() == ["truth"]
    assert (tmp_path / "out" / "report.html").exists()
    assert not list((tmp_path / "out" / "pictures").glob("*against-p*"))


def test_no_cells_are_asked_for_and_none_is_there(run, described, tmp_path) -> None:
    done = run("benchmark", "--config", described, "--out", tmp_path / "out", "--cells", "0")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "holds no finished cell of this benchmark; run it first" in done.err
    assert not (tmp_path / "out").exists(), "nothing was made for nothing"


def test_ctrl_c_says_that_the_run_can_go_on(run, described, tmp_path, monkeypatch) -> None:
    def stopped(*_args, **_options) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_try_methods", stopped)
    done = run("benchmark", "--config", described, "--out", tmp_path / "out")
    assert done.code == 130
    assert done.err == (
        f"stopped; what is finished stays in {tmp_path / 'out'}, and the same command goes on from there\n"
    )


def test_bad_descriptions_and_nothing_to_report_are_one_line(run, described, tmp_path) -> None:
    described.write_text(described.read_text().replace("seeds:", "seed:"))
    done = run("benchmark", "--config", described, "--out", tmp_path / "out")
    assert done.code == 2
    assert re.fullmatch(r"error: .*run.yaml, line \d+, seed: is not a known key; .*did you mean 'seeds'\?\n", done.err)
    assert not (tmp_path / "out").exists()
    described.write_text(described.read_text().replace("seed:", "seeds:"))
    done = run("benchmark", "--config", described, "--out", tmp_path / "out", "--cells", "0")
    assert done.code == 2
    assert "holds no finished cell of this benchmark; run it first" in done.err
