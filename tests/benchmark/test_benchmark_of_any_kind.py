"""The benchmark knows no kind of input: one of small images, with its own words, runs from description to report."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from toy_domain import GREY, SIZE, TOY, Bars, described

import seqplrp as sp
from seqplrp.benchmark import cells_of, read_config, run_benchmark, run_cells, run_state
from seqplrp.benchmark import summary as summary_module
from seqplrp.benchmark.cell import read_part


@pytest.fixture(scope="module", autouse=True)
def quick():
    before, draws = torch.get_num_threads(), summary_module.DRAWS
    torch.set_num_threads(1)
    summary_module.DRAWS = 20  # the bootstrap itself is tested where it is
    yield
    torch.set_num_threads(before)
    summary_module.DRAWS = draws


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A finished run with its report, in ``out``; no test may change it."""
    folder = tmp_path_factory.mktemp("any")
    outcome = run_benchmark(read_config(described(folder), TOY), folder / "out")
    (folder / "told.txt").write_text("\n".join(str(path.relative_to(folder / "out")) for path in outcome.files))
    return folder


@pytest.fixture(scope="module")
def rows(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "out" / "results.tsv.gz", sep="\t")


def test_given_weights_have_one_cell_a_task_and_trained_ones_one_a_seed(folder) -> None:
    config = read_config(folder / "bars.yaml", TOY)
    names = [cell.name for cell in cells_of(config)]
    assert names[:3] == ["bars, given, seed 0", "bars, trained, seed 0", "bars, trained, seed 1"]
    assert len(names) == 6
    assert not run_state(config, folder / "out").missing
    cell = folder / "out" / "cells" / "bars" / "given" / "seed0"
    assert [path.name for path in (cell / "model").iterdir()] == ["recipe.json"], "there is nothing else to keep"


def test_values_of_maps_with_two_axes_are_those_of_their_pixels(folder, rows) -> None:
    """The explanation from `sp.explain`, the measures from scikit-learn, the images from the task."""
    config = read_config(folder / "bars.yaml", TOY)
    data = config.tasks[0].load()
    here = rows[(rows["task"] == "bars") & (rows["architecture"] == "given") & (rows["method"] == "plrp p=0.5")]
    assert here["image"].nunique() >= 6
    for id, values in here.pivot(index="image", columns="measure", values="value").iterrows():
        number = int(id.removeprefix("image"))
        x, label = data.x[number : number + 1], int(data.labels[number])
        relevance = sp.explain(Bars().eval(), x, target=label, method=sp.PLRP(rule=sp.Gamma(), p=0.5)).relevance
        pixels, truth = relevance.sum(1).reshape(-1).numpy(), data.bar[number].ravel()
        assert pixels.shape == (SIZE * SIZE,)
        assert values["auprc"] == pytest.approx(average_precision_score(truth, pixels), rel=1e-6)
        assert values["auroc"] == pytest.approx(roc_auc_score(truth, pixels), rel=1e-6)
        assert values["rma"] == pytest.approx(pixels[truth].clip(min=0).sum() / pixels.clip(min=0).sum(), rel=1e-5)
        assert values["distractor_mass"] == pytest.approx(
            np.abs(pixels[data.dot[number].ravel()]).sum() / np.abs(pixels).sum(), rel=1e-4, abs=1e-7
        )


def test_deletion_takes_what_the_domain_puts_in_its_place(folder, rows) -> None:
    """The mean score when the three highest pixels, a twentieth of them, have become grey, by hand."""
    kept = json.loads((folder / "out" / "cells" / "bars" / "given" / "seed0" / "cell.json").read_text())
    curves = {one["name"]: one for one in kept["curves"]["gxi"]["faithfulness"]}
    data = read_config(folder / "bars.yaml", TOY).tasks[0].load()
    model, scores = Bars().eval(), []
    for id in kept["sequences"][:6]:
        number = int(id.removeprefix("image"))
        x, label = data.x[number : number + 1], int(data.labels[number])
        pixels = sp.explain(model, x, target=label, method="gradient-x-input").relevance.sum(1).reshape(-1)
        changed = x.clone().reshape(1, -1)
        changed[0, pixels.argsort(descending=True)[:3]] = GREY
        with torch.no_grad():
            scores.append(float(model(changed.reshape(x.shape))[0, label]))
    curve = curves["deletion_most"]
    (found,) = (value for share, value in zip(curve["x"], curve["values"]) if share == pytest.approx(0.05))
    assert found == pytest.approx(np.mean(scores), abs=1e-4)


def test_floor_ceiling_and_cut_maps_are_what_they_should_be(rows) -> None:
    mean = rows.groupby(["method", "measure"])["value"].mean()
    assert mean["truth", "auprc"] == 1
    assert mean["random", "auroc"] == pytest.approx(0.5, abs=0.1)
    assert mean["plrp p=0.5", "auprc"] > mean["random", "auprc"] + 0.3
    wide = rows[rows["measure"] == "gini"].pivot_table(
        index=["task", "architecture", "seed", "image"], columns="method", values="value"
    )
    met = wide["gxi | cut to plrp p=0.5"] - np.maximum(wide["gxi"], wide["plrp p=0.5"])
    assert met.abs().median() < 0.05


def test_tables_and_pages_speak_of_images_and_pixels(folder, rows) -> None:
    out = folder / "out"
    assert list(rows.columns) == ["task", "architecture", "seed", "image", "method", "measure", "value"]
    if (out / "results.parquet").exists():
        pd.testing.assert_frame_equal(
            pd.read_parquet(out / "results.parquet").astype({"value": float})[["image", "value"]].astype(str),
            rows[["image", "value"]].astype(str),
        )
    summary = pd.read_csv(out / "summary.tsv", sep="\t")
    assert {"images", "method", "mean", "tested"} <= set(summary.columns)
    assert set(pd.read_csv(out / "tests.tsv", sep="\t")["rests_on"]) == {"images alone"}
    assert "pixels" in pd.read_csv(out / "curves.tsv", sep="\t").columns
    for table in out.glob("*.tsv"):
        assert "sequence" not in table.read_text().splitlines()[0], table
    page = (out / "report.md").read_text()
    assert page.startswith("# Bars: bars")
    assert "| ms an image |" in page
    assert "did not learn. 0 of 6 were; 0 more got no image right. Of the others only images are scored" in page
    assert "`toy --config" in page
    assert "How the score falls as pixels are replaced" in page
    assert "Intervals are percentiles of a bootstrap over training seeds and images" in page
    assert not re.search(r"\b(sequences?|bases?|motifs?|DNA)\b", page)


def test_examples_are_kept_and_drawn_as_the_domain_does(folder) -> None:
    out, config = folder / "out", read_config(folder / "bars.yaml", TOY)
    cell = cells_of(config)[0].folder(out)
    assert np.load(cell / "images.npy").shape == (2, SIZE, SIZE)
    assert read_part(cell, "gxi")[0].examples.shape == (2, SIZE, SIZE)
    for group, task in (("report", "bars"), ("development", "more")):
        for suffix in ("png", "svg"):
            assert (out / "pictures" / f"{group}-heatmaps-{task}.{suffix}").stat().st_size > 1000
    assert (out / "pictures" / "report-curves.png").is_file()
    assert "The first images of bars, given, seed 0." in (out / "report.md").read_text()


def test_what_is_told_of_networks_is_the_domains_own_and_may_be_unknown(folder) -> None:
    models = pd.read_csv(folder / "out" / "models.tsv", sep="\t")
    assert models["accuracy"].isna().tolist() == [True, False, False] * 2
    assert (models["parameters"] == sum(one.numel() for one in Bars().parameters())).all()
    line = next(
        one for one in (folder / "out" / "report.md").read_text().splitlines() if one.startswith("| bars | given")
    )
    assert [cell.strip() for cell in line.split("|")][4:6] == ["", "26"]


def test_a_network_that_did_not_learn_is_left_out_by_the_domains_measure(tmp_path) -> None:
    tasks = {"bars": {"group": "report", "n": 30, "seed": 1}}
    few = {"methods": {"truth": {"method": "truth"}}, "default": "truth", "peers": [], "matched_sparsity": None}
    rest = {"cost": False, "must_hold": None, "protocols": {"sparsity": None}, "tasks": tasks, "seeds": [2]}
    config = read_config(described(tmp_path, architectures={"trained": {"given": False}}, **few, **rest), TOY)
    run_cells(config, tmp_path / "out")
    manifest = json.loads((cells_of(config)[0].folder(tmp_path / "out") / "cell.json").read_text())
    assert manifest["model"]["accuracy"] < 0.9
    assert manifest["status"] == "did not learn"


def test_whole_model_protocols_keep_what_they_found_and_write_it(folder) -> None:
    out, config = folder / "out", read_config(folder / "bars.yaml", TOY)
    cell = cells_of(config)[0].folder(out)
    kept = json.loads((cell / "patterns.json").read_text())["truth"]["peaks"]
    assert len(kept) == json.loads((cell / "cell.json").read_text())["scored"]
    assert set(kept[0]) == {"row", "column"}
    means = pd.read_csv(out / "peaks_summary.tsv", sep="\t")
    assert (means.loc[means["method"] == "truth", "mean"] == 1).all()
    assert (out / "peaks_places.tsv").read_text().count("\n") == 6


def test_a_run_that_is_stopped_goes_on_to_the_same_bytes_and_a_finished_one_does_nothing(folder, tmp_path) -> None:
    tasks = {"bars": {"group": "report", "n": 30, "seed": 1}}
    config, out = read_config(described(tmp_path, tasks=tasks, seeds=[0]), TOY), tmp_path / "out"

    def stop(event) -> None:
        if event.doing == "random" and event.cell.architecture.name == "trained":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cells(config, out, listener=stop)
    doing = []
    run_cells(config, out, listener=lambda event: doing.append((event.cell.name, event.doing)))
    assert doing == [("bars, trained, seed 0", one) for one in ("random", "truth", "")], "what was finished stays"
    for cell in cells_of(config):
        made, before = (cell.folder(where) / "rows.tsv.gz" for where in (out, folder / "out"))
        assert made.read_bytes() == before.read_bytes()
    run_cells(config, out, listener=doing.append)
    assert len(doing) == 3
    more = read_config(described(tmp_path, tasks=tasks, seeds=[0], images=5), TOY)
    with pytest.raises(sp.SeqplrpError, match="sequences was 10 and is 5"):
        run_cells(more, out)


BROKEN = {
    "dna's word": ({"images": None, "sequences": 5}, r"line \d+, sequences: is not a known key; .*images"),
    "none": ({"images": 0}, r"line \d+, images: is 0; write a whole number"),
    "protocol": ({"protocols": {"sparsity": {"images": -1}}}, r"protocols.sparsity: images: is -1; give 0 or more"),
    "cost": ({"cost": {"images": 0}}, r"cost: images: is 0"),
    "cost in dna's word": ({"cost": {"sequences": 1}}, r"cost.sequences: is not a known key; the keys here are images"),
    "nothing to train": ({"training": {"epochs": 3}}, r"training: there is nothing to train here; leave it out"),
    "dna's protocol": ({"protocols": {"strands": None}}, r"protocols.strands: 'strands' is not known"),
    "a common field": ({"common": {"center": "none"}}, r"common.center: is not a known key"),
    "whole models alone": ({"protocols": {"peaks": None}}, r"protocols: measures nothing of single images"),
}


@pytest.mark.parametrize(("changes", "told"), BROKEN.values(), ids=list(BROKEN))
def test_what_can_not_be_is_told_in_the_domains_words(tmp_path, changes, told) -> None:
    with pytest.raises(sp.SeqplrpError, match=told):
        read_config(described(tmp_path, **changes), TOY)


def test_seeds_may_be_left_out_where_networks_need_none(tmp_path) -> None:
    config = read_config(described(tmp_path, seeds=None), TOY)
    assert config.seeds == (0,)
    assert len(cells_of(config)) == 4


def test_all_that_there_is_to_look_at_is_named(folder) -> None:
    told = (folder / "told.txt").read_text().splitlines()
    assert {"report.md", "summary.tsv", "must_hold.tsv", "curves.tsv", "peaks.tsv", "peaks_places.tsv"} <= set(told)
    assert all((folder / "out" / name).exists() for name in told)


def test_the_room_loads_neither_dna_s_benchmark_nor_its_networks() -> None:
    code = "import sys, seqplrp.benchmark; print([m for m in sys.modules if m.startswith('seqplrp.recovery')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
