"""A run stops anywhere and goes on to the same bytes; its rows are what a user would have computed by hand."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from benchmark_runs import written
from sklearn.metrics import average_precision_score

import seqplrp as sp
from seqplrp.benchmark import Subject, runner
from seqplrp.benchmark.cell import _explaining
from seqplrp.benchmark.protocols import measured
from seqplrp.evaluate import gini
from seqplrp.genomics import codes_to_one_hot, motifs
from seqplrp.genomics.simulation import load_task, simulate
from seqplrp.models import build_model, load_model
from seqplrp.recovery.benchmark import protocols, read_config, run_cells, run_state
from seqplrp.recovery.benchmark.scenes import Candidates, Scene


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models come out the same to the bit with the same number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A finished run, in ``out``, of the configuration beside it; no test may change it."""
    folder = tmp_path_factory.mktemp("benchmark")
    run_cells(read_config(written(folder)), folder / "out")
    return folder


@pytest.fixture
def unchecked(monkeypatch):
    """Leave out the trial of every method before the first cell: it has a test of its own, and costs a trace."""
    monkeypatch.setattr(runner, "_try_methods", lambda *_: None)


@pytest.fixture(scope="module")
def rows(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "out" / "results.tsv.gz", sep="\t")


def of(rows: pd.DataFrame, method: str, measure: str, seed: int = 0) -> pd.Series:
    chosen = rows[(rows["method"] == method) & (rows["measure"] == measure) & (rows["seed"] == seed)]
    return chosen.set_index("sequence")["value"]


def test_copies_with_other_weights_are_explained_as_if_each_were_traced_anew() -> None:
    """Norms' statistics are weights, too; and the scene's own model is not written to."""
    torch.manual_seed(0)
    own, other = (build_model("resnet1d", length=60, n_outputs=2, filters=(8, 8, 12)).eval() for _ in range(2))
    for name, buffer in other.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    codes = np.random.default_rng(0).integers(0, 4, (3, 60), dtype=np.uint8)
    x, targets = codes_to_one_hot(codes), torch.tensor([0, 1, 1])
    explain = _explaining(sp.PLRP(), own)
    for model in (own, other, own):
        anew = sp.explain(model, x, target=targets).per_base.double().numpy()
        np.testing.assert_array_equal(explain(model, x, targets), anew)
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())


def test_values_are_those_of_the_saved_model_explained_and_scored_by_hand(folder, rows) -> None:
    """The truth from the simulation's own table, maps from `sp.explain`, the measure from scikit-learn."""
    data = simulate(load_task(str(folder / "task.yaml")), n=540, seed=3)
    informative = motifs.load("CTCF").information_content() >= 0.1
    model = load_model(folder / "out" / "cells" / "one" / "small" / "seed0" / "model")
    found = of(rows, "plrp p=0.5", "auprc")
    assert len(found) >= 6
    for id, value in found.items():
        row = data.ids.index(id)
        assert row >= 500, "only test sequences are explained"
        x = codes_to_one_hot(data.sequences[row : row + 1])
        assert model(x).item() > 0
        method = sp.PLRP(rule=sp.Gamma(), p=0.5, center="composition")
        relevance = sp.explain(model, x, target=0, method=method).per_base[0].numpy()
        planted = data.truth[data.truth["sequence"] == row].iloc[0]
        inside = np.zeros(60, dtype=bool)
        inside[planted["start"] : planted["end"]] = True
        kept = informative if planted["strand"] == "+" else informative[::-1]
        truth = np.zeros(60, dtype=bool)
        truth[planted["start"] : planted["end"]] = kept
        counted = truth | ~inside
        assert value == pytest.approx(average_precision_score(truth[counted], relevance[counted]), rel=1e-6)


def test_every_method_sees_the_same_sequences_and_measures_are_all_there(rows) -> None:
    assert list(rows.columns) == ["task", "architecture", "seed", "sequence", "method", "measure", "value"]
    for _, model in rows.groupby("seed"):
        by_method = {name: list(of["sequence"].unique()) for name, of in model.groupby("method", sort=False)}
        assert list(by_method) == [
            "gxi",
            "plrp p=0",
            "plrp p=0.5",
            "matrix",
            "random",
            "truth",
            "gxi | cut to plrp p=0.5",
        ]
        assert len({tuple(ids) for ids in by_method.values()}) == 1
        assert not model.duplicated(["sequence", "method", "measure"]).any()
        assert len(model) == len(by_method["gxi"]) * 7 * (8 + 4 + 4)


def test_floor_and_ceiling_and_controls_are_what_they_should_be(rows) -> None:
    assert (of(rows, "truth", "auprc") == 1).all()
    assert of(rows, "random", "auroc").mean() == pytest.approx(0.5, abs=0.15)
    cut, goal = of(rows, "gxi | cut to plrp p=0.5", "gini"), of(rows, "plrp p=0.5", "gini")
    dense = of(rows, "gxi", "gini")
    sparser = np.maximum(dense, goal)  # what is sparser already stays as it is
    assert cut.to_numpy() == pytest.approx(sparser.to_numpy(), abs=0.02)
    assert of(rows, "gxi | cut to plrp p=0.5", "abpc").isna().all(), "cut maps are measured by what needs the map alone"


def test_a_protocol_is_measured_on_the_first_sequences_it_was_told_and_no_others(rows) -> None:
    assert of(rows, "gxi", "abpc").notna().tolist() == [True] * 5 + [False] * (len(of(rows, "gxi", "abpc")) - 5)


def test_the_cell_says_what_was_scored_and_what_each_method_cost(folder) -> None:
    manifest = json.loads((folder / "out" / "cells" / "one" / "small" / "seed1" / "cell.json").read_text())
    assert manifest["candidates"] == 12
    assert manifest["scored"] == len(manifest["sequences"]) == 12 - sum(manifest["left_out"].values())
    assert set(manifest["costs"]) == {"gxi", "plrp p=0", "plrp p=0.5", "matrix", "random"}
    for cost in manifest["costs"].values():
        assert cost["milliseconds"] > 0
        assert cost["ratio"] > 0
        assert (cost["batches"], cost["sequences"]) == (2, 4)


def test_causal_truth_is_the_planted_instances_that_matter_and_worked_out_once(folder, monkeypatch) -> None:
    config = read_config(folder / "tiny.yaml")
    data = config.tasks[0].load()
    model = load_model(folder / "out" / "cells" / "one" / "small" / "seed0" / "model")
    scene = Scene.of(model, data.data.kind, Candidates.of(data, 12, 3), 3)
    truth = Subject(scene, scene.candidates.truth.astype(float), None)
    nothing = Subject(scene, -truth.relevance, None)
    options = protocols.CausalOptions(sequences=5, draws=10, null_windows=30)
    calls = []
    real = protocols.causal_truth
    monkeypatch.setattr(protocols, "causal_truth", lambda *a, **k: calls.append(1) or real(*a, **k))
    right, wrong = (measured(one, protocols.PROTOCOLS, {"causal": options}, ())[0] for one in (truth, nothing))
    assert len(calls) == 1
    assert set(right) == {"causal_auprc", "causal_rra", "causal_rma"}
    defined = ~np.isnan(right["causal_auprc"])
    assert defined[:5].sum() >= 3, "the one planted motif is what such a net goes by"
    assert not defined[5:].any()
    assert (right["causal_auprc"][defined] == 1).all()
    assert (wrong["causal_auprc"][defined] < 0.5).all()


def test_a_run_that_is_killed_and_stopped_ends_in_the_same_bytes(folder, tmp_path) -> None:
    """SIGKILL in the second cell, then Ctrl-C between two of its methods, then to the end."""
    config, out = written(tmp_path), tmp_path / "out"
    second = out / "cells" / "one" / "small" / "seed1"
    run = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "benchmark", "--config", str(config), "--out", str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait(lambda: (out / ".lock").is_file(), run)
        with pytest.raises(sp.SeqplrpError, match=f"another run is at work there \\(process {run.pid}\\)"):
            run_cells(read_config(config), out)
        _wait(lambda: (second / "model").is_dir(), run)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    first = out / "cells" / "one" / "small" / "seed0" / "rows.tsv.gz"
    finished_at, trained_at = first.stat().st_mtime_ns, (second / "model" / "model.safetensors").stat().st_mtime_ns

    def stop_at_random(event) -> None:
        if event.doing == "random":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cells(read_config(config), out, listener=stop_at_random)
    (explained,) = (path for path in second.glob("methods/gxi-*.npz") if "cut" not in path.name)
    explained_at = explained.stat().st_mtime_ns
    doing = []
    state = run_cells(read_config(config), out, listener=lambda event: doing.append(event.doing))
    assert doing == ["random", "truth", ""], "what was finished is not done again"
    assert not state.missing
    assert first.stat().st_mtime_ns == finished_at
    assert (second / "model" / "model.safetensors").stat().st_mtime_ns == trained_at
    assert explained.stat().st_mtime_ns == explained_at
    assert (out / "results.tsv.gz").read_bytes() == (folder / "out" / "results.tsv.gz").read_bytes()
    assert not list(out.rglob("*.partial"))


_COMMAND = "import sys; from seqplrp.cli import main; sys.exit(main())"


def _wait(until, run: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not until():
        assert run.poll() is None, "the run ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("unchecked")
def test_cells_go_on_one_by_one_and_a_finished_run_does_nothing(folder, tmp_path) -> None:
    config, out = read_config(written(tmp_path, seeds=[0, 5], methods=_FEW, **_RANDOM)), started(folder, tmp_path)
    state = run_cells(config, out, most=1)
    assert [cell.seed for cell in state.finished] == [0]
    assert [cell.seed for cell in state.missing] == [5]
    assert set(pd.read_csv(out / "results.tsv.gz", sep="\t")["seed"]) == {0}
    run_cells(config, out)
    assert set(pd.read_csv(out / "results.tsv.gz", sep="\t")["seed"]) == {0, 5}
    before, events = _times(out / "cells"), []
    run_cells(config, out, listener=events.append)
    assert not events
    assert _times(out / "cells") == before


_FEW = {"random": {"method": "random", "center": "none"}, "truth": {"method": "truth"}}
_RANDOM = {
    "default": "random",
    "peers": ["truth"],
    "matched_sparsity": None,
    "protocols": {"localisation": None},
    "cost": False,
}


def started(folder: Path, tmp_path: Path) -> Path:
    """Return a directory that holds a trained model of the first cell, and nothing else."""
    model = Path("cells", "one", "small", "seed0", "model")
    shutil.copytree(folder / "out" / model, tmp_path / "out" / model)
    (tmp_path / "out" / "benchmark.json").write_bytes((folder / "out" / "benchmark.json").read_bytes())
    return tmp_path / "out"


def _times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("unchecked")
def test_methods_can_be_added_and_taken_away_and_only_what_is_new_is_done(folder, tmp_path) -> None:
    out = started(folder, tmp_path)
    run_cells(read_config(written(tmp_path, seeds=[0], methods=_FEW, **_RANDOM)), out)
    more = {**_FEW, "gxi": {"method": "gradient-x-input"}}
    doing = []
    config = read_config(written(tmp_path, seeds=[0], methods=more, **_RANDOM))
    run_cells(config, out, listener=lambda event: doing.append(event.doing))
    assert doing == ["gxi", ""]
    assert set(pd.read_csv(out / "results.tsv.gz", sep="\t")["method"]) == {"random", "truth", "gxi"}
    run_cells(read_config(written(tmp_path, seeds=[0], methods=_FEW, **_RANDOM)), out, listener=doing.append)
    assert set(pd.read_csv(out / "results.tsv.gz", sep="\t")["method"]) == {"random", "truth"}


@pytest.mark.usefixtures("unchecked")
def test_a_method_less_its_background_runs_and_its_maps_are_those_of_the_library(folder, tmp_path, monkeypatch) -> None:
    """By its own shuffles: it must not need what the peers need."""
    monkeypatch.setitem(sys.modules, "tangermeme", None)
    out = started(folder, tmp_path)
    less = {"method": "background", "over": {"method": "plrp", "p": 0.5}, "n_shuffles": 3}
    alone = {"methods": {"less": less}, "default": "less", "peers": [], "matched_sparsity": None, "cost": False}
    run_cells(read_config(written(tmp_path, seeds=[0], protocols={"sparsity": None}, **alone)), out)
    found = of(pd.read_csv(out / "results.tsv.gz", sep="\t"), "less", "gini")
    data = simulate(load_task(str(folder / "task.yaml")), n=540, seed=3)
    x = codes_to_one_hot(data.sequences[[data.ids.index(id) for id in found.index]])
    model = load_model(out / "cells" / "one" / "small" / "seed0" / "model")
    method = sp.Background(over=sp.PLRP(p=0.5), n_shuffles=3, references=sp.shuffled_references, center="composition")
    by_hand = gini(sp.explain(model, x, target=0, method=method).per_base.numpy())
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


@pytest.mark.usefixtures("unchecked")
def test_another_description_is_refused_with_what_differs_and_made_again_on_request(folder, tmp_path) -> None:
    out = started(folder, tmp_path)
    run_cells(read_config(written(tmp_path, seeds=[0], methods=_FEW, **_RANDOM)), out)
    model = out / "cells" / "one" / "small" / "seed0" / "model" / "model.safetensors"
    trained_at = model.stat().st_mtime_ns
    changed = read_config(written(tmp_path, seeds=[0], methods=_FEW, sequences=6, **_RANDOM))
    with pytest.raises(sp.SeqplrpError, match="sequences was 12 and is 6") as error:
        run_cells(changed, out)
    assert "--again" in error.value.remedy
    reseeded = {**_FEW, "random": {"method": "random", "center": "none", "seed": 4}}
    with pytest.raises(sp.SeqplrpError, match=r"random was .*seed=0.* and is .*seed=4"):
        run_state(read_config(written(tmp_path, seeds=[0], methods=reseeded, **_RANDOM)), out)
    run_cells(changed, out, again=True)
    assert pd.read_csv(out / "results.tsv.gz", sep="\t")["sequence"].nunique() <= 6
    assert model.stat().st_mtime_ns == trained_at, "a model that would be trained alike is kept"
    retrained = read_config(written(tmp_path, seeds=[0], methods=_FEW, training={"epochs": 1}, **_RANDOM))
    with pytest.raises(sp.SeqplrpError, match=r"training.epochs was 5 and is 1"):
        run_cells(retrained, out)
    run_cells(retrained, out, again=True)
    assert model.stat().st_mtime_ns != trained_at


@pytest.mark.usefixtures("unchecked")
def test_a_model_that_did_not_learn_is_left_out_and_counted(tmp_path) -> None:
    training = {"epochs": 1, "learning_rate": 1e-9}
    config = read_config(written(tmp_path, seeds=[0], methods=_FEW, training=training, **_RANDOM))
    events = []
    run_cells(config, tmp_path / "out", listener=events.append)
    assert events[-1].manifest["status"] == "did not learn"
    assert events[-1].manifest["model"]["auroc"] < 0.8
    with gzip.open(tmp_path / "out" / "results.tsv.gz", "rt") as table:
        assert table.read().count("\n") == 1, "its rows are a header alone"


@pytest.mark.usefixtures("unchecked")
def test_a_damaged_part_is_made_again(folder, tmp_path) -> None:
    config, out = read_config(written(tmp_path, seeds=[0], methods=_FEW, **_RANDOM)), started(folder, tmp_path)
    run_cells(config, out)
    cell = out / "cells" / "one" / "small" / "seed0"
    whole = (cell / "rows.tsv.gz").read_bytes()
    (cell / "cell.json").unlink()
    (part,) = cell.glob("methods/random-*.npz")
    part.write_bytes(part.read_bytes()[:100])
    run_cells(config, out)
    assert (cell / "rows.tsv.gz").read_bytes() == whole


def test_a_method_that_can_not_explain_an_architecture_is_told_before_anything_is_trained(tmp_path) -> None:
    methods = {**_FEW, "flat": {"method": "lrp", "rule": "flat", "center": "composition"}}
    config = read_config(written(tmp_path, methods=methods, **_RANDOM))
    with pytest.raises(sp.SeqplrpError, match="methods, 'flat' on small, center: "):
        run_cells(config, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.safetensors"))


def test_a_directory_of_somebody_else_is_left_alone(tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(sp.SeqplrpError, match="holds files that are no benchmark's"):
        run_cells(read_config(written(tmp_path)), tmp_path / "out")
