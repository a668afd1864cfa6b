"""The image benchmark: shapes and folders with masks, through the same cells, tables and report as DNA's."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

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
from seqplrp.images.benchmark.heat_maps import HEAT_MAPS
from seqplrp.images.benchmark.networks import ClassifierNetwork, GivenNetwork, read_architecture
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
    yield tmp_path
    sys.modules.pop("squarenet", None)


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


def test_examples_that_are_damaged_or_gone_are_told_by_their_file(tmp_path) -> None:
    with pytest.raises(SeqplrpError, match=r"examples\.npz: there is no such file; remove the cell's folder"):
        HEAT_MAPS.draw([], {}, tmp_path)
    for content in (b"", b"PK no zip"):
        (tmp_path / "examples.npz").write_bytes(content)
        with pytest.raises(SeqplrpError, match=r"examples\.npz: is damaged \("):
            HEAT_MAPS.draw([], {}, tmp_path)


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
        ("crop: 32", "labels: labels.tsv, crop: 32", "labels: has no use with the layout ecssd"),
        ("crop: 32", "categories: c.txt, crop: 32", "categories: has no use with the layout ecssd"),
        ('"squarenet:make"', '"squarenet:make", std: [1, 0, 1]', "has a number that is not positive"),
        ('"squarenet:make"', '"squarenet:make", size: 0', "size"),
        ('"squarenet:make"', "vgg16-slim, size: 32", "is of networks with weights"),
        ('"squarenet:make"', '"squarenet:nothing"', "has no 'nothing'"),
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
    with pytest.raises(SeqplrpError, match=r"image im\d: has the label 3; the network's outputs are 0 to 2"):
        scene_of(ClassifierNetwork(Brightest(), {}, preprocessing), None, replace(shown, targets=shown.targets + 4), 0)
    assert np.allclose(scene.x.numpy(), scene.candidates.pixels / 255, atol=1e-6)
    assert len(scene) == 6


def test_a_composite_that_is_named_knows_the_bounds_of_each_networks_pixels(place) -> None:
    shown = of_folder(place)
    preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.125, 0.5))
    bright = Brightest()
    scene = scene_of(ClassifierNetwork(bright, {}, preprocessing), None, shown, 0)
    box = scene.suited(sp.PLRP(rule="epsilon-gamma-box")).rule["@first"]
    assert box.high.flatten().tolist() == [2, 4, 1]
    over = scene.suited(sp.SmoothGrad(over=sp.LRP(rule="epsilon-plus-box"))).over
    assert over.rule["@first"].high.flatten().tolist() == [2, 4, 1]
    for method in (sp.PLRP(rule="gamma"), sp.SmoothGrad(), sp.PLRP(rule=sp.Gamma(0.25)), sp.GradientTimesInput()):
        assert scene.suited(method) == method


def architecture(**given: object):
    def entry(value: object, key: str) -> Entry:
        return Entry([entry(one, key) for one in value] if isinstance(value, list) else value, "t.yaml", 1, key)

    return read_architecture("mine", Entry({key: entry(one, key) for key, one in given.items()}, "t.yaml", 1))


def test_a_given_network_is_tried_on_its_own_size_and_sees_what_it_expects(place) -> None:
    (place / "squarenet.py").write_text(
        NET + "\n\ndef fixed():\n    return nn.Sequential(nn.Flatten(), nn.Linear(1200, 2))\n"
    )
    made = architecture(network="squarenet:fixed", size=20, mean=[0.5, 0.4, 0.3], std=[0.25, 0.5, 1])
    model, x = made.trial()
    assert model(x).shape == (2, 2)
    found = made.load(place)
    assert (found.preprocessing.mean, found.preprocessing.std) == ((0.5, 0.4, 0.3), (0.25, 0.5, 1.0))
    assert made.recipe({}, 0)["preprocessing"]["std"] == [0.25, 0.5, 1.0]
    shown = of_folder(place)
    with pytest.raises(SeqplrpError, match=r"network mine: fails on images \(6, 3, 32, 32\) .*; give the size"):
        scene_of(found, None, shown, 0)


def test_networks_that_pool_any_size_to_one_are_tried_on_small_images() -> None:
    model, x = architecture(network="resnet18", weights="random").trial()
    assert x.shape == (2, 3, 64, 64)
    assert model(x).shape == (2, 1000)


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


def test_the_examples_are_read(place, monkeypatch) -> None:
    examples = Path(__file__).parents[2] / "examples" / "images"
    config = read_config(examples / "shapes.yaml")
    assert {variant.family for variant in config.variants} >= {"plrp", "plrp-p-matrix", "r-lrp", "neuron-mct"}
    with pytest.raises(SeqplrpError, match="nowhere"):
        read_config(place / "nowhere.yaml")
    with pytest.raises(SeqplrpError, match=r"ecssd\.yaml, line \d+.*the environment variable ECSSD is not set; set it"):
        read_config(examples / "ecssd.yaml")
    monkeypatch.setenv("ECSSD", str(place / "data"))
    monkeypatch.setattr(GivenNetwork, "check", lambda self, training: None)  # which would download the weights
    config = read_config(examples / "ecssd.yaml")
    assert [one.network for one in config.architectures] == ["vgg16", "vgg19", "resnet50"]
    assert {variant.name for variant in config.variants} >= {"prunegrad sparsity=0.99", "lrp-epsilon-plus-flat"}
