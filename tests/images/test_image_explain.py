"""`seqplrp image explain`: maps that add up, files for each image, and runs that can be stopped."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
import torch
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


class Wrapped(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.net, self.how = make(), how

    def forward(self, x):
        return self.how(self.net(x))


def grey():
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten())


def of_one_size():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 20, 3))


def pair():
    return Wrapped(lambda y: (y, y))


def one_score():
    return Wrapped(lambda y: y[:, 0])


def whole_numbers():
    return Wrapped(lambda y: y.argmax(1, keepdim=True))


def softmax():
    return Wrapped(lambda y: y.softmax(1))


def alone():
    return Wrapped(lambda y: y[:, :1])
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
    yield tmp_path
    sys.modules.pop("threeway", None)


def explain(*more: str, out: str = "out", network: str = "threeway:make") -> int:
    given = ["--network", network, "--images", "data", "--classes", "classes.txt", "--size", "16"]
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
    np.savez(written[1], rows=np.frombuffer(b"[" * 100_000, dtype=np.uint8))  # no list that can be read: made anew
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
        (["--std", "1", "0", "1"], "error: --std: (1.0, 0.0, 1.0) has a number that is not positive"),
        (["--categories", "classes.txt"], "error: --categories: has no use with --layout ecssd"),
        (["--network", "threeway:none"], "error: --network: threeway has no 'none'"),
        (["--network", "threeway:grey"], "error: network threeway:grey: fails on images (4, 3, 16, 16) (RuntimeError"),
        (["--network", "threeway:of_one_size"], "; give the size that it is for, or"),
        (["--network", "threeway:pair"], "error: network threeway:pair: gives a tuple for 4 images; wrap it in a"),
        (["--network", "threeway:one_score"], "gives torch.float32 (4,) for 4 images; wrap it in a module"),
        (["--network", "threeway:whole_numbers"], "gives torch.int64 (4, 1) for 4 images"),
        (["--network", "threeway:alone"], "error: --classes: number 2 is 'owl'; the network's outputs are 0 to 0"),
        (["--seed", "-1"], "error: --seed: "),
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


def test_files_of_arrays_hold_the_arrays_alone_with_any_numpy(place, monkeypatch) -> None:
    """Before 2.1, numpy.savez_compressed takes every named argument for an array to be saved."""
    asked = []

    def as_before(file, *args, **arrays) -> None:
        asked.append(set(arrays))
        np.savez(file, *args, **arrays)

    monkeypatch.setattr(np, "savez_compressed", as_before)
    assert explain("--method", "lrp") == 0
    assert set.union(*asked) == {"rows", "object", "pixels", "relevance_0", "mask", "relevance_lrp"}


# ---- what a network expects, and what is said of its maps


def test_mean_and_std_are_those_that_were_given_and_the_box_goes_with_them(place, capsys) -> None:
    from seqplrp.images import Preprocessing, open_image

    assert explain("--method", "lrp", "--mean", "0.5", "0.4", "0.3", "--std", "0.25", "0.5", "1") == 0
    assert "assumed: interpolation='bilinear', antialias=True" in capsys.readouterr().out
    import seqplrp as sp
    from seqplrp.images import image_composite

    expected = Preprocessing(resize=18, crop=16, mean=(0.5, 0.4, 0.3), std=(0.25, 0.5, 1.0))
    x = torch.stack([expected.apply(open_image(place / f"data/images/im{number}.png")) for number in range(4)])
    rule = image_composite("epsilon-gamma-box", expected)
    found = sp.explain(load_callable_model("threeway:make"), x, "predicted", sp.LRP(rule=rule))
    with np.load(place / "out/arrays/im1.npz") as arrays:
        assert np.allclose(arrays["relevance_lrp"], found.relevance[1].numpy(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("composite", ["epsilon-gamma-box", "epsilon-plus-box"])
def test_rules_of_single_layers_leave_the_bounds_of_the_composite_beside_them(composite) -> None:
    from seqplrp.cli.image_explain import image_method
    from seqplrp.cli.option_groups import MethodOptions
    from seqplrp.images import IMAGENET, image_composite

    given = MethodOptions(rule=["features.2=gamma(0.1)", composite])
    rules = image_method("lrp", given, IMAGENET).rule
    assert next(iter(rules)) == "features.2"
    assert {key: rule for key, rule in rules.items() if key != "features.2"} == image_composite(composite, IMAGENET)


def test_probabilities_are_the_network_s_own_where_it_ends_in_a_softmax_and_none_of_a_single_output(place) -> None:
    column = {}
    for network in ("make", "softmax"):
        assert explain(network=f"threeway:{network}", out=network) == 0
        column[network] = pd.read_csv(place / network / "summary.tsv", sep="\t")["probability"]
    assert np.allclose(column["make"], column["softmax"], rtol=1e-4)
    (place / "classes.txt").write_text("cat\n")
    (place / "data/labels.tsv").unlink()
    assert explain(network="threeway:alone") == 0
    assert pd.read_csv(place / "out/summary.tsv", sep="\t")["probability"].isna().all()


def test_negative_scores_are_counted_over_all_batches_and_notes_speak_of_images(place, capsys) -> None:
    assert explain("--target", "0", "--batch-size", "1", "--beside", "integrated-gradients") == 0
    table = pd.read_csv(place / "out/summary.tsv", sep="\t").query("method == 'plrp'")
    negative = int((table["output"] < 0).sum())
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: plrp: ")]
    assert (negative > 0) == bool(told)
    assert all(f"{negative} of 4 scores are negative" in line for line in told)
    assert explain("--target", "1", "--batch-size", "1", "--overwrite", "--beside", "integrated-gradients") == 0
    more = capsys.readouterr().out
    assert "sequence" not in more
    assert "at an image of zeros" in more
    assert negative + int((pd.read_csv(place / "out/summary.tsv", sep="\t")["output"] < 0).sum()) > 0


def test_a_run_that_goes_on_within_a_batch_computes_the_whole_batch_again(place, monkeypatch) -> None:
    """How many images a convolution is given can decide its last bits."""
    assert explain() == 0
    for number in (1, 3):
        (place / f"out/parts/part-{number:07d}.npz").unlink()
    seen, real = [], explaining.scores_of

    def counted(module, x, name):
        seen.append(len(x))
        return real(module, x, name)

    monkeypatch.setattr(explaining, "scores_of", counted)
    assert explain("--resume") == 0
    assert seen == [4]


def test_what_nobody_knows_of_a_mask_stands_beside_the_maps(place) -> None:
    for folder in ("validation", "validation-segmentation"):
        (place / "s" / folder / "n00000001").mkdir(parents=True)
    Image.open(place / "data/images/im0.png").save(place / "s/validation/n00000001/a.png")
    shown = np.zeros((20, 24, 3), np.uint8)
    shown[4:12, 6:14, 0], shown[:, 16:] = 1, (1000 % 256, 1000 // 256, 0)
    Image.fromarray(shown).save(place / "s/validation-segmentation/n00000001/a.png")
    (place / "categories.txt").write_text("n00000001\nn00000002\n")
    (place / "classes.txt").write_text("n00000001\nn00000002\nn00000003\n")
    assert explain("--images", "s", "--categories", "categories.txt", "--target", "label") == 0
    with np.load(place / "out/arrays/n00000001/a.npz") as arrays:
        assert arrays["ignored"].any()
        assert not (arrays["mask"] & arrays["ignored"]).any()


@pytest.mark.parametrize("layout", ["plain", "ecssd", "masks"])
def test_what_is_written_is_not_what_is_explained_the_next_time(place, capsys, layout) -> None:
    where = {"plain": "data/out", "ecssd": "data/images/out", "masks": "data/ground_truth_mask/out"}[layout]
    given = {"masks": ["--images", "data/images", "--masks", "data/ground_truth_mask"]}.get(layout, [])
    assert explain("--layout", layout, *given, out=where) == 2
    assert "in all of which images are looked for; choose another --out" in capsys.readouterr().err
    assert not (place / where).exists()


def test_a_file_does_not_stand_where_another_image_s_folder_has_to_be(place, capsys) -> None:
    (place / "data/images/im0.npz").mkdir()
    Image.open(place / "data/images/im0.png").save(place / "data/images/im0.npz/b.png")
    assert explain("--layout", "plain") == 2
    assert "'images/im0.npz/b': is in a folder 'images/im0.npz'" in capsys.readouterr().err
    assert not (place / "out").exists()
    assert explain("--layout", "plain", "--formats", "png") == 0


def test_nothing_is_replaced_that_is_read(place, capsys) -> None:
    (place / "out").mkdir()
    (place / "out/classes.txt").write_text("cat\ndog\nowl\n")
    assert explain("--classes", "out/classes.txt", "--overwrite") == 2
    assert "holds 'out/classes.txt', which this command reads" in capsys.readouterr().err
    assert (place / "out/classes.txt").exists()
