"""Results of another state of the source are taken, and said to be of one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from benchmark_runs import written

from seqplrp.benchmark import Source, runner
from seqplrp.benchmark.provenance import UNRECORDED, settled_lines, source_lines, source_warning
from seqplrp.methods import settling
from seqplrp.recovery import source
from seqplrp.recovery.benchmark import DNA, read_config, report_run, run_cells, run_state

SMALL = {
    "seeds": [0, 1],
    "methods": {"plrp": {"method": "plrp"}, "gxi": {"method": "gradient-x-input"}},
    "default": "plrp",
    "peers": ["gxi"],
    "protocols": {"localisation": None},
    "matched_sparsity": None,
    "cost": False,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def unchecked(monkeypatch):
    monkeypatch.setattr(runner, "_try_methods", lambda *_: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("provenance")
    run_cells(read_config(written(folder, **SMALL)), folder / "out")
    return folder


@pytest.fixture
def copied(folder, tmp_path) -> Path:
    shutil.copytree(folder / "out", tmp_path / "out")
    written(tmp_path, **SMALL)
    return tmp_path


def manifest_of(folder: Path, seed: int) -> dict:
    return json.loads((folder / "out" / "cells" / "one" / "small" / f"seed{seed}" / "cell.json").read_text())


def page_of(folder: Path) -> str:
    report_run(read_config(folder / "tiny.yaml"), folder / "out")
    return (folder / "out" / "report.md").read_text()


def test_a_cell_says_which_source_made_it_and_what_its_methods_were(folder) -> None:
    manifest = manifest_of(folder, 0)
    now = source.source_digest()
    assert manifest["source"] == {"digest": now, "rooms": source.source_rooms()}
    assert manifest["sources"] == {"model": now, "methods": {"plrp": now, "gxi": now}}
    assert "'@first': ConservingRelative(eps=1e-06), '*': Gamma(gamma=0.25, eps=1e-06)" in manifest["settled"]["plrp"]
    assert "budget=0.5" in manifest["settled"]["plrp"]
    assert "source" not in manifest["recipe"], "what decides acceptance is the description and versions, as before"
    assert manifest["methods"]["plrp"].count("budget=None") == 1


def test_a_run_of_one_source_has_no_warning_and_tells_the_budget(copied) -> None:
    page = page_of(copied)
    assert "NOT ALL OF ONE SOURCE" not in page
    assert f"2 by {source.source_digest()}, the present one" in page
    assert "budget=0.5" in page
    assert "ConservingRelative" in page


def test_cells_of_another_source_are_taken_and_counted(copied, monkeypatch) -> None:
    """As if the gradients' room had changed since."""
    before = source.source_digest()
    rooms = {**source.source_rooms(), "methods": "0123456789ab"}
    monkeypatch.setattr(Source, "state", lambda self: rooms)
    assert source.source_digest() != before
    assert not run_state(read_config(copied / "tiny.yaml"), copied / "out").missing
    page = page_of(copied)
    assert "NOT ALL OF ONE SOURCE: 2 of 2 finished cells" in page
    assert f"2 by {before} (it differs from the present one in methods)" in page


@pytest.mark.usefixtures("unchecked")
def test_a_method_that_is_added_by_another_source_shows_beside_the_others(copied, monkeypatch) -> None:
    before = source.source_digest()
    monkeypatch.setattr(Source, "digest", lambda self: "later0state0")
    more = {**SMALL["methods"], "random": {"method": "random", "center": "none"}}
    config = read_config(written(copied, **{**SMALL, "methods": more}))
    run_cells(config, copied / "out")
    manifest = manifest_of(copied, 1)
    assert manifest["sources"] == {
        "model": before,
        "methods": {"plrp": before, "gxi": before, "random": "later0state0"},
    }
    page = page_of(copied)
    assert "NOT ALL OF ONE SOURCE: 2 of 2" in page
    assert "later0state0, the present one" in page
    assert f"2 by {before}" in page


def test_another_default_than_the_cells_were_made_by_is_told(copied, monkeypatch) -> None:
    monkeypatch.setattr(settling, "DEFAULT_BUDGET", 0.95)
    page = page_of(copied)
    (line,) = (line for line in page.splitlines() if line.startswith("- plrp resolves to"))
    now, then = line.split("; in 2 of 2 cells it was ")
    assert "budget=0.95" in now
    assert "budget=0.5," in then


def test_what_was_not_recorded_is_said_to_be_unknown() -> None:
    manifests = [{"cell": "of before"}, {"cell": "of before"}]
    assert source_warning(manifests, DNA.source)[0].startswith("NOT ALL OF ONE SOURCE: 2 of 2")
    assert any(f"2 by {UNRECORDED}" in line for line in source_lines(manifests, DNA.source))


def test_methods_of_cells_of_before_are_said_to_be_unknown(folder) -> None:
    variants = read_config(folder / "tiny.yaml").variants
    (line,) = settled_lines(variants, [{}, manifest_of(folder, 0)])
    assert line.startswith("plrp resolves to")
    assert line.endswith("what it was in 1 of 2 cells was not recorded")


def test_a_model_that_did_not_learn_counts_by_its_training(folder) -> None:
    manifest = manifest_of(folder, 0)
    manifest["sources"]["methods"] = {}
    assert not source_warning([manifest], DNA.source)
    assert len(source_lines([manifest], DNA.source)) == 2
