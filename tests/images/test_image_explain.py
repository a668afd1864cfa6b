"""`seqplrp image explain`: maps that add up, files for each image, and runs that can be stopped."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from seqplrp.cli import main
from seqplrp.evaluate import rma
from seqplrp.images import explaining
from seqplrp.models import load_callable_model

NET = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 3, bias=False),
    )
"""
FILES = ("summary.tsv", "arrays/im0.npz", "arrays/im3.npz", "maps/im1.png", "overlays/im2.png", "grid.png")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Four images with masks and labels, a network, and the directory to work in."""
    rng = np.random.default_rng(0)
    for folder in ("data/images", "data/ground_truth_mask"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(4):
        pixels, mask = (rng.random((20, 24, 3)) * 90).astype(np.uint8), np.zeros((20, 24), np.uint8)
        pixels[4:12, 6:14], mask[4:12, 6:14] = (220, 60, 20), 255
        Image.fromarray(pixels).save(tmp_path / f"data/images/im{number}.png")
        Image.fromarray(mask).save(tmp_path / f"data/ground_truth_mask/im{number}.png")
    (tmp_path / "classes.txt").write_text("cat\ndog\nowl\n")
    (tmp_path / "data/labels.tsv").write_text("id\tclass\nim0\tcat\nim1\tdog\nim2\towl\nim3\tcat\n")
    (tmp_path / "threeway.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explain(*more: str, out: str = "out") -> int:
    given = ["--network", "threeway:make", "--images", "data", "--classes", "classes.txt", "--size", "16"]
    return main(["image", "explain", *given, "--out", out, *more])


def test_a_map_adds_up_to_the_score_and_table_arrays_and_masks_tell_the_same(place) -> None:
    assert explain("--method", "lrp", "--rule", "epsilon(1e-9)", "--beside", "plrp", "--target", "label") == 0
    table = pd.read_csv(place / "out/summary.tsv", sep="\t").set_index(["image", "method"])
    assert list(table.loc[(slice(None), "lrp"), "target"]) == [0, 1, 2, 0]
    lrp = table.xs("lrp", level="method")
    assert np.allclose(lrp["relevance_sum"], lrp["output"], rtol=1e-4, atol=1e-6)  # no biases
    for image in lrp.index:
        with np.load(place / f"out/arrays/{image}.npz") as arrays:
            assert arrays["relevance_lrp"].shape == arrays["relevance_plrp"].shape == (3, 16, 16)
            assert arrays["pixels"].shape == (16, 16, 3)
            pixels, mask = arrays["relevance_lrp"].sum(0, dtype=np.float64), arrays["mask"]
        assert pixels.sum() == pytest.approx(lrp.loc[image, "relevance_sum"], rel=1e-4)
        assert rma(pixels.reshape(1, -1), mask.reshape(1, -1))[0] == pytest.approx(lrp.loc[image, "rma"], rel=1e-4)


def test_the_arrays_are_those_of_the_engine_on_what_the_network_takes(place) -> None:
    import seqplrp as sp
    from seqplrp.images import Preprocessing, open_image

    assert explain("--method", "gradient-x-input", "--target", "dog") == 0
    pixels = Preprocessing(resize=18, crop=16).apply(open_image(place / "data/images/im2.png"))[None]
    found = sp.explain(load_callable_model("threeway:make"), pixels, method="gradient-x-input", target=1)
    with np.load(place / "out/arrays/im2.npz") as arrays:
        assert np.allclose(arrays["relevance_gradient-x-input"], found.relevance[0].numpy(), rtol=1e-4, atol=1e-7)


def test_without_a_rule_the_first_layer_knows_the_bounds_of_this_networks_pixels(place) -> None:
    from seqplrp.cli.image_explain import image_method
    from seqplrp.cli.option_groups import MethodOptions
    from seqplrp.images import Preprocessing

    for name in ("lrp", "plrp"):
        method = image_method(name, MethodOptions(), Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3))
        box = method.rule["@first"]
        assert float(box.low.max()) == -2
        assert float(box.high.min()) == 2
    assert explain() == 0


def test_a_stopped_run_goes_on_and_gives_the_same_bytes(place, monkeypatch, capsys) -> None:
    assert explain("--batch-size", "1", out="whole") == 0
    real, written = explaining.write_whole, []

    def two_then_none(path, content) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        real(path, content)

    monkeypatch.setattr(explaining, "write_whole", two_then_none)
    assert explain("--batch-size", "1") == 130
    assert not (place / "out/summary.tsv").exists()
    monkeypatch.setattr(explaining, "write_whole", real)
    part = written[0]
    part.write_bytes(part.read_bytes()[:-30])  # damaged: made anew
    capsys.readouterr()
    assert explain("--batch-size", "1") == 2
    assert "add --resume" in capsys.readouterr().err
    assert explain("--batch-size", "1", "--resume", "--target", "1") == 2
    assert "target was" in capsys.readouterr().err
    assert explain("--batch-size", "1", "--resume") == 0
    for name in FILES:
        assert (place / "out" / name).read_bytes() == (place / "whole" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--method", "ism"], "error: --method: ism needs DNA"),
        (["--target", "3"], "error: --target: 3 is no class of a network of 3"),
        (["--target", "bird"], "error: --target: there is no class 'bird'"),
        (["--formats", "gif"], "error: --formats: 'gif' is not known"),
        (["--show", "all"], "error: --show: 'all' is not known"),
        (["--layout", "square"], "error: --layout: 'square' is not known"),
        (["--layout", "plain", "--masks", "data"], "error: --layout plain: takes no --masks"),
        (["--layout", "plain", "--target", "label"], "has no label"),
        (["--beside", "plrp"], "error: --beside: plrp stands there already"),
        (["--method", "saliency", "--p", "0.5"], "error: --p: is no option of the method saliency"),
        (["--device", "toaster"], "can't be used"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_bad_input_is_one_line_and_leaves_nothing(place, capsys, more, told) -> None:
    assert explain(*more) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    assert not (place / "out").exists()


def test_an_image_whose_end_is_missing_is_named_and_what_was_done_before_it_is_kept(place, capsys) -> None:
    (place / "data/images/im2.png").unlink()
    path = place / "data/images/im2.jpg"
    Image.fromarray((np.random.default_rng(1).random((20, 24, 3)) * 255).astype(np.uint8)).save(path, quality=95)
    path.write_bytes(path.read_bytes()[:-300])  # its beginning, with the size, is there
    assert explain("--batch-size", "1") == 2
    said = capsys.readouterr().err
    assert "im2.jpg: is cut short or damaged" in said
    assert "2 finished" in said
    assert len(list((place / "out/parts").glob("part-*"))) == 2


def test_pictures_of_the_first_images_alone_and_arrays_of_all(place) -> None:
    assert explain("--pictures", "1", "--grid", "2", "--formats", "svg,npz", "--show", "overlay") == 0
    made = {str(path.relative_to(place / "out")) for path in (place / "out").rglob("*.*") if "parts" not in path.parts}
    arrays = {f"arrays/im{number}.npz" for number in range(4)}
    assert made == {".seqplrp.json", "summary.tsv", "overlays/im0.svg", "grid_overlay.svg", *arrays}
