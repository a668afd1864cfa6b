"""Curves are kept point by point, averaged over models, and drawn; areas under them are the measures beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from benchmark_runs import written

from seqplrp.benchmark.cell import cells_of, read_part
from seqplrp.benchmark.curve_tables import (
    CURVE_TABLES,
    CurveTable,
    curve_grids,
    curve_means,
    curve_points,
    half_lost,
)
from seqplrp.benchmark.curves import Curve, curves_as_plain, curves_from_plain
from seqplrp.evaluate import STEPS, area, layer_randomisation, layers_of
from seqplrp.genomics import codes_to_one_hot
from seqplrp.models import load_model
from seqplrp.recovery.benchmark import read_config, report_run, run_cells, run_state
from seqplrp.recovery.benchmark.scenes import Candidates, Scene


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


CHANGES = {
    "methods": {
        "gxi": {"method": "gradient-x-input"},
        "plrp": {"method": "plrp", "rule": "gamma", "p": 0.5},
        "random": {"method": "random", "center": "none"},
        "truth": {"method": "truth"},
    },
    "default": "plrp",
    "peers": ["gxi"],
    "protocols": {
        "localisation": None,
        "faithfulness": {"draws": 4, "sequences": 8, "insertion": True},
        "randomisation": {"sequences": 6, "seeds": 2, "methods": ["plrp", "gxi"]},
    },
    "matched_sparsity": None,
    "cost": False,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A finished run with its report; no test may change it."""
    folder = tmp_path_factory.mktemp("curves")
    config = read_config(written(folder, **CHANGES))
    run_cells(config, folder / "out")
    report_run(config, folder / "out")
    return folder


@pytest.fixture(scope="module")
def curves(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "out" / "curves.tsv", sep="\t")


def manifest_of(folder: Path, seed: int) -> dict:
    return json.loads((folder / "out" / "cells" / "one" / "small" / f"seed{seed}" / "cell.json").read_text())


def overall(curves: pd.DataFrame, method: str, curve: str) -> pd.DataFrame:
    whole = curves[(curves["task"] == "all") & (curves["architecture"] == "all")]
    return whole[(whole["method"] == method) & (whole["curve"] == curve)].reset_index(drop=True)


def test_each_curve_has_all_steps_of_both_orders_and_says_how_many_bases_were_replaced(curves) -> None:
    for name in ("deletion_most", "deletion_least", "insertion_most", "insertion_least"):
        of = overall(curves, "plrp", name)
        assert of["share"].tolist() == pytest.approx([0, *STEPS])
        # of 60 bases; halves are rounded up, as `faithfulness` does
        assert of["bases"].tolist() == [int(np.floor(60 * share + 0.5)) for share in (0, *STEPS)]
        assert (of["models"] == 2).all()
        assert of["change"][0] == 0


def test_the_area_between_the_curves_is_the_measure_of_the_tables(folder) -> None:
    for cell in cells_of(read_config(folder / "tiny.yaml")):
        part, _ = read_part(cell.folder(folder / "out"), "gxi")
        kept = {curve.name: curve for curve in part.curves["faithfulness"]}
        shares = np.array(kept["deletion_most"].x)
        most, least = (np.array(kept[f"deletion_{order}"].values) for order in ("most", "least"))
        assert area(shares, least) - area(shares, most) == pytest.approx(np.nanmean(part.values["abpc"]), rel=1e-5)
        most, least = (np.array(kept[f"insertion_{order}"].values) for order in ("most", "least"))
        assert area(shares, most) - area(shares, least) == pytest.approx(
            np.nanmean(part.values["insertion_abpc"]), rel=1e-5
        )


def test_curves_begin_at_the_mean_score_of_the_sequences_as_they_are(folder) -> None:
    config = read_config(folder / "tiny.yaml")
    data = config.tasks[0].load()
    model = load_model(folder / "out" / "cells" / "one" / "small" / "seed1" / "model")
    scene = Scene.of(model, data.data.kind, Candidates.of(data, 12, 3), 3)
    with torch.no_grad():
        score = float(model(codes_to_one_hot(scene.candidates.codes[:8]))[:, 0].mean())
    kept = manifest_of(folder, 1)["curves"]
    for method in ("plrp", "random", "truth"):
        (curve,) = (one for one in kept[method]["faithfulness"] if one["name"] == "deletion_most")
        assert curve["values"][0] == pytest.approx(score, rel=1e-5)
        assert curve["n"] == [min(8, len(scene))] * len(curve["x"])


def test_the_truth_falls_at_once_and_random_order_does_not(curves) -> None:
    truth, random = overall(curves, "truth", "deletion_most"), overall(curves, "random", "deletion_most")
    at = truth["share"].tolist().index(0.2)
    assert truth["relative"][at] < -0.5
    assert truth["relative"][at] < random["relative"][at] - 0.2
    assert overall(curves, "truth", "insertion_most")["change"][at] > 0


def test_means_are_over_models_and_intervals_hold_them(folder, curves) -> None:
    of = overall(curves, "gxi", "deletion_least")
    by_model = [
        next(
            one for one in manifest_of(folder, seed)["curves"]["gxi"]["faithfulness"] if one["name"] == "deletion_least"
        )
        for seed in (0, 1)
    ]
    changes = np.array([np.array(one["values"]) - one["values"][0] for one in by_model])
    np.testing.assert_allclose(of["change"], changes.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(of["low"], changes.min(axis=0), atol=1e-4)  # of two models: each of them is drawn twice
    np.testing.assert_allclose(of["high"], changes.max(axis=0), atol=1e-4)


def test_depths_are_all_layers_from_the_top_and_the_last_one_is_the_measure(folder) -> None:
    depths = pd.read_csv(folder / "out" / "randomisation_depths.tsv", sep="\t")
    model = load_model(folder / "out" / "cells" / "one" / "small" / "seed0" / "model")
    example = codes_to_one_hot(np.zeros((1, 60), dtype=np.uint8))
    layers = [layer.name for layer in layers_of(model, example)]
    assert len(layers) >= 3
    here = depths[(depths["task"] == "all") & (depths["architecture"] == "small")]
    assert set(here["method"]) == {"plrp", "gxi"}
    for _, of in here.groupby(["method", "curve"]):
        assert of["layer"].tolist() == layers
        assert of["depth"].tolist() == list(range(1, len(layers) + 1))
    rows = pd.read_csv(folder / "out" / "results.tsv.gz", sep="\t")
    measure = rows[rows["measure"] == "randomised_spearman_abs"].groupby(["method", "seed"])["value"].mean()
    for method in ("plrp", "gxi"):
        last = here[(here["method"] == method) & (here["curve"] == "spearman_abs")]["mean"].iloc[-1]
        assert last == pytest.approx(measure[method].mean(), abs=1e-4)


def test_depths_of_a_model_are_those_of_the_library(folder) -> None:
    """By hand, of gradient x input, whose map is its input gradient."""
    config = read_config(folder / "tiny.yaml")
    data = config.tasks[0].load()
    model = load_model(folder / "out" / "cells" / "one" / "small" / "seed0" / "model")
    scene = Scene.of(model, data.data.kind, Candidates.of(data, 12, 3), 3).first(6)

    def maps(of):
        x = scene.x.clone().requires_grad_()
        of(x)[:, 0].sum().backward()
        gradient = x.grad.double()
        share = scene.x.double().mean(dim=2, keepdim=True)  # centred by each sequence's own composition
        return ((gradient - (gradient * share).sum(dim=1, keepdim=True)) * scene.x).sum(dim=1).numpy()

    found = layer_randomisation(model, maps, example=scene.x[:1], seeds=2, seed=3).by_layer()
    kept = manifest_of(folder, 0)["curves"]["gxi"]["randomisation"]
    (curve,) = (one for one in kept if one["name"] == "spearman")
    np.testing.assert_allclose(curve["values"], found["spearman"], atol=2e-3)


def test_the_report_shows_both_pictures_and_what_is_lost_first(folder) -> None:
    page = (folder / "out" / "report.md").read_text()
    for name in ("report-curves", "report-randomisation"):
        assert f"pictures/{name}.png" in page
        assert (folder / "out" / "pictures" / f"{name}.svg").stat().st_size > 5000
    assert "How the score falls as bases are replaced" in page
    assert "What is left of a map when layers are re-initialised" in page


def test_a_run_of_before_curves_were_kept_is_finished_and_says_nothing_of_them(folder, tmp_path) -> None:
    """Manifests and parts as they were: without the new keys."""
    import io
    import shutil
    import zipfile

    shutil.copytree(folder / "out", tmp_path / "out")
    for cell in (tmp_path / "out" / "cells").rglob("cell.json"):
        manifest = json.loads(cell.read_text())
        for key in ("curves", "source", "sources", "settled"):
            del manifest[key]
        cell.write_text(json.dumps(manifest))
        for path in (cell.parent / "methods").glob("*.npz"):
            with np.load(path) as file:
                arrays = dict(file)
            meta = json.loads(str(arrays["meta"]))
            for key in ("curves", "source", "settled"):
                del meta[key]
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **{**arrays, "meta": np.array(json.dumps(meta))})
            path.write_bytes(buffer.getvalue())
            assert zipfile.is_zipfile(path)
    config = read_config(written(tmp_path, **CHANGES))
    state = run_state(config, tmp_path / "out")
    assert not state.missing
    report_run(config, tmp_path / "out")
    for gone in ("curves.tsv", "randomisation_depths.tsv", "pictures/report-curves.png"):
        assert not (tmp_path / "out" / gone).exists(), "nothing of an earlier state is left"
    page = (tmp_path / "out" / "report.md").read_text()
    assert "How the score falls" not in page
    assert "2 of 2 finished cells were made, in whole or in part, by another state" in page


def test_curves_come_back_as_they_were_kept() -> None:
    curve = Curve("spearman", (1.0, 2.0), ("head.1", "conv"), (0.5, None), (4, 0))
    assert curves_from_plain(json.loads(json.dumps(curves_as_plain([curve])))) == (curve,)


def cells_with(*curves: list[Curve]):
    class Named:
        def __init__(self, **values) -> None:
            self.__dict__.update(values)

    return [
        (
            Named(task=Named(group="report", name="t"), architecture=Named(name="a"), seed=seed),
            {"curves": {"m": {"faithfulness": curves_as_plain(of)}}} if of else {},
        )
        for seed, of in enumerate(curves)
    ]


def test_a_mean_is_over_the_models_that_have_curves_and_of_one_there_is_no_interval() -> None:
    x = (0.0, 0.5)
    first = [Curve("deletion_most", x, (0.0, 5.0), (4.0, 2.0), (3, 3))]
    second = [Curve("deletion_most", x, (0.0, 6.0), (2.0, 0.0), (3, 3))]
    kind = CURVE_TABLES["faithfulness"]
    one = curve_means(curve_points("faithfulness", cells_with(first, []), ["m"]), kind)
    assert one["low"].isna().all()
    assert (one["models"] == 1).all()
    two = curve_means(curve_points("faithfulness", cells_with(first, second, []), ["m"]), kind)
    last = two[(two["task"] == "all") & (two["share"] == 0.5)].iloc[0]
    assert (last["mean"], last["change"], last["bases"], last["models"]) == (1, -2, 5.5, 2)
    assert last["relative"] == pytest.approx((-0.5 - 1) / 2)


def test_an_undefined_point_is_left_out_of_its_mean_and_its_count() -> None:
    first = [Curve("spearman", (1.0,), ("head",), (0.5,), (3,))]
    second = [Curve("spearman", (1.0,), ("head",), (None,), (0,))]
    kind = CurveTable("x.tsv", "depth", "layer", (("group", "architecture"),), changes=False)
    points = curve_points("faithfulness", cells_with(first, second), ["m"])
    (row,) = curve_means(
        points[["group", "task", "architecture", "seed", "method", "curve", "x", "at", "value"]], kind
    ).to_dict("records")
    assert (row["mean"], row["models"], row["layer"]) == (0.5, 1, "head")
    assert np.isnan(row["low"])


def test_half_is_lost_between_the_steps_about_it() -> None:
    share = np.array([0, 0.1, 0.2, 0.3])
    assert half_lost(share, np.array([0, -0.4, -0.6, -0.9])) == pytest.approx(0.15)
    assert np.isnan(half_lost(share, np.array([0, -0.1, -0.2, -0.49])))


def test_a_page_names_the_share_that_is_lost(curves) -> None:
    means = {"faithfulness": curves}
    ((_, _, head, rows),) = curve_grids(means, "report")
    lost = dict(zip(head[1:], next(row[1:] for row in rows if row[0] == "truth"), strict=True))
    of = overall(curves, "truth", "deletion_most").set_index(
        overall(curves, "truth", "deletion_most")["share"].round(6)
    )
    assert lost["lost at 10 %"] == f"{-100 * of['relative'][0.1]:.1f} %"
    assert lost["half lost at"].endswith("%")


@pytest.mark.parametrize(
    ("scores", "told"), [((1, 0.4, 0.1), "1.0 % or less"), ((1, 0.9, 0.4), "1.8 %"), ((1, 0.9, 0.8), "never")]
)
def test_a_page_interpolates_no_half_before_the_first_step(scores, told) -> None:
    x = (0.0, 0.01, 0.02)
    curves = [Curve(f"deletion_{order}", x, (0.0, 1.0, 2.0), scores, (3, 3, 3)) for order in ("most", "least")]
    means = curve_means(curve_points("faithfulness", cells_with(curves, curves), ["m"]), CURVE_TABLES["faithfulness"])
    ((_, _, head, rows),) = curve_grids({"faithfulness": means}, "report")
    assert dict(zip(head, rows[0], strict=True))["half lost at"] == told
