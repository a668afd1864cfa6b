"""The image benchmark: shapes and folders with masks, through the same cells, tables and report as DNA's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import seqplrp as sp
from seqplrp import SeqplrpError
from seqplrp.benchmark import Entry
from seqplrp.cli import main
from seqplrp.images import Preprocessing
from seqplrp.images.benchmark import read_config
from seqplrp.images.benchmark.networks import ClassifierNetwork
from seqplrp.images.benchmark.perturbing import blurred, mean_colour, other_colours
from seqplrp.images.benchmark.scenes import ShownImages, scene_of
from seqplrp.images.benchmark.tasks import UNLABELLED, read_task

NET = """
import torch
from torch import nn

def make():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 8),
    )
"""
CONFIG = """
name: tiny
description: Random weights on a folder of images.
tasks:
  squares: {group: report, kind: folder, directory: data, crop: 32, resize: 36}
architectures:
  tiny: {network: "squarenet:make"}
images: 5
methods:
  plrp: {method: plrp, rule: epsilon-gamma-box}
  plrp-p: {method: plrp, rule: epsilon-gamma-box, p: [0.0, 0.4]}
  gradient-x-input: {method: gradient-x-input}
  random: {method: random}
  truth: {method: truth}
default: plrp
peers: [gradient-x-input]
protocols:
  localisation:
  sparsity:
  faithfulness: {images: 2, draws: 1}
  blur: {images: 2, draws: 1}
cost: {images: 2, repeats: 1}
pictures: {images: 2}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for folder in ("data/images", "data/ground_truth_mask"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(6):
        pixels, mask = (rng.random((40, 44, 3)) * 90).astype(np.uint8), np.zeros((40, 44), np.uint8)
        y, x = rng.integers(6, 18, 2)
        pixels[y : y + 14, x : x + 14], mask[y : y + 14, x : x + 14] = (220, 60, 20), 255
        Image.fromarray(pixels).save(tmp_path / f"data/images/im{number}.png")
        Image.fromarray(mask).save(tmp_path / f"data/ground_truth_mask/im{number}.png")
    (tmp_path / "squarenet.py").write_text(NET)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_gives_the_tables_and_pictures_of_the_dna_benchmark_in_the_words_of_images(place, capsys) -> None:
    assert main(["image", "benchmark", "--config", "tiny.yaml", "--out", "run"]) == 0
    rows = pd.read_csv(place / "run/results.tsv.gz", sep="\t")
    assert {"image", "method", "measure", "value"} <= set(rows.columns)
    wide = rows.pivot_table(index=["image", "method"], columns="measure", values="value", dropna=False)
    assert {"rma", "rra", "pointing", "auroc", "gini", "abpc", "blur_abpc", "deletion_early"} <= set(wide.columns)
    truth = wide.xs("truth", level="method")
    assert (truth[["rma", "rra", "pointing", "auroc"]] == 1).all(axis=None)
    default, dense = wide.xs("plrp", level="method"), wide.xs("plrp-p p=0", level="method")
    assert (default["gini"] > dense["gini"]).all()
    report = (place / "run/report.md").read_text()
    assert "# Image benchmark: tiny" in report
    assert "each network's own prediction is explained" in report
    assert "sequence" not in report
    assert (place / "run/pictures/report-heat_maps-squares.png").stat().st_size > 10_000
    before = (place / "run/summary.tsv").read_bytes()
    capsys.readouterr()
    assert main(["image", "benchmark", "--config", "tiny.yaml", "--out", "run"]) == 0  # nothing is left to do
    assert (place / "run/summary.tsv").read_bytes() == before


def test_an_image_that_changes_is_another_task_and_its_cell_is_made_anew(place, capsys) -> None:
    assert main(["image", "benchmark", "--config", "tiny.yaml", "--out", "run"]) == 0
    Image.fromarray(np.zeros((40, 44), np.uint8)).save(place / "data/ground_truth_mask/im0.png")
    assert main(["image", "benchmark", "--config", "tiny.yaml", "--out", "run"]) == 2
    assert "--again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kind: folder", "kind: film", "tiny.yaml, line 5"),
        ("directory: data", "directory: nowhere", "tiny.yaml, line 5"),
        ("directory: data", "directory: $UNSET_FOLDER", "UNSET_FOLDER"),
        ("crop: 32", "crop: 0", "crop"),
        ("crop: 32", "layout: masks, crop: 32", "masks"),
        ('network: "squarenet:make"', "network: vgg17", "vgg17"),
        ('network: "squarenet:make"', "network: vgg16, weights: random, training: {epochs: 2}", "is not trained here"),
        ("images: 5", "sequences: 5", "sequences"),
        ("method: gradient-x-input", "method: ism", "gradient-x-input"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_told_by_its_place_before_any_work(place, capsys, old, new, told) -> None:
    (place / "tiny.yaml").write_text(CONFIG.replace(old, new, 1))
    assert main(["image", "benchmark", "--config", "tiny.yaml", "--out", "run"]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def of_folder(place) -> ShownImages:
    entry = {"group": "report", "kind": "folder", "directory": str(place / "data"), "crop": 32, "resize": 32}
    task = read_task("squares", Entry({key: Entry(one, "t.yaml", 1, key) for key, one in entry.items()}, "t.yaml", 1))
    return ShownImages.of(task.load(), 6, 0)


class Brightest(nn.Module):
    """Scores: the mean of each colour."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x.mean((2, 3))


def test_masks_go_where_pixels_go_and_an_image_without_label_is_explained_by_what_the_network_says(place) -> None:
    shown = of_folder(place)
    assert set(shown.targets) == {UNLABELLED}
    for pixels, truth in zip(shown.pixels, shown.truth, strict=True):
        red = pixels[0].astype(int) - pixels[2]
        assert red[truth].mean() > 150
        assert abs(red[~truth].mean()) < 15
    preprocessing = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    scene = scene_of(ClassifierNetwork(Brightest(), {}, preprocessing), None, shown, 0)
    assert set(scene.candidates.targets) == {0}
    assert np.allclose(scene.x.numpy(), scene.candidates.pixels / 255, atol=1e-6)
    assert len(scene) == 6


def test_a_composite_that_is_named_knows_the_bounds_of_each_networks_pixels(place) -> None:
    shown = of_folder(place)
    preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.125, 0.5))
    bright = Brightest()
    scene = scene_of(ClassifierNetwork(bright, {}, preprocessing), None, shown, 0)
    box = scene.suited(sp.PLRP(rule="epsilon-gamma-box")).rule["@first"]
    assert box.high.flatten().tolist() == [2, 4, 1]
    for method in (sp.PLRP(rule="gamma"), sp.PLRP(rule=sp.Gamma(0.25)), sp.GradientTimesInput()):
        assert scene.suited(method) == method


def test_what_stands_in_for_pixels_has_no_shape_left() -> None:
    x = torch.rand(3, 3, 40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:, :, 10:20, 10:20] += 3
    flat = mean_colour(x, 0)
    assert torch.allclose(flat.mean((2, 3)), x.mean((2, 3)))
    assert float(flat.std((2, 3)).max()) < 1e-9
    soft = blurred(x, 0)
    assert torch.allclose(blurred(torch.full_like(x, 0.3), 0), torch.full_like(x, 0.3))
    assert torch.allclose(soft, torch.stack([blurred(one[None], 5)[0] for one in x]))
    steps = [float((one[..., 1:] - one[..., :-1]).abs().max()) for one in (x, soft)]
    assert steps[1] < steps[0] / 10
    other = other_colours(x, 1)
    assert torch.equal(other.flatten(2).sort(2).values, x.flatten(2).sort(2).values)
    assert torch.equal(other, other_colours(x, 1))
    assert not torch.equal(other, other_colours(x, 2))
    pairs = {tuple(colour) for colour in x[0].flatten(1).T.tolist()}
    assert {tuple(colour) for colour in other[0].flatten(1).T.tolist()} == pairs  # colours stay whole


def test_the_examples_are_read(tmp_path) -> None:
    from pathlib import Path

    config = read_config(Path(__file__).parents[2] / "examples" / "images" / "shapes.yaml")
    assert {variant.family for variant in config.variants} >= {"plrp", "plrp-p-matrix", "r-lrp", "neuron-mct"}
    with pytest.raises(SeqplrpError, match="nowhere"):
        read_config(tmp_path / "nowhere.yaml")
