"""`seqplrp image simulate` and `train`: what they write, what they say, and what they refuse before any work."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from commandline import refused
from PIL import Image

from seqplrp.cli import image
from seqplrp.images import SLIM, Checkpoint, load_network
from seqplrp.images.shapes import SHAPES, ShapesSettings, write_shapes

QUICK = ("--arch", "resnet50-slim", "--epochs", 2, "--batch-size", 16, "--device", "cpu")
FILES = {
    ".seqplrp.json",
    "config.json",
    "confusion.tsv",
    "history.tsv",
    "learning_curve.png",
    "learning_curve.svg",
    "model.safetensors",
    "parts",
    "test_predictions.tsv",
}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("shapes") / "data"
    write_shapes(place, ShapesSettings(n=80))
    return place


def bytes_in(place: Path) -> dict[str, bytes]:
    names = [path for path in place.rglob("*") if path.is_file() and path.name != ".seqplrp.json"]
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in names}


def test_the_bare_command_and_its_help_name_every_subcommand(run):
    for arguments in ((), ("--help",)):
        done = run("image", *arguments)
        assert done.code == 0
        assert all(f" {name} " in done.out for name in image.IMAGE_COMMANDS)
    for name in image.IMAGE_COMMANDS:
        assert run("image", name, "--help").code == 0


def test_the_help_names_every_network(run):
    words = set(re.findall(r"[\w-]+", run("image", "train", "--help").out))
    assert set(SLIM) <= words


# ---- simulate


def test_simulated_files_are_the_librarys_and_a_seed_gives_the_same_bytes(run, shapes, tmp_path):
    done = run("image", "simulate", "-n", 80, "--out", tmp_path / "data")
    assert done.code == 0
    assert bytes_in(tmp_path / "data") == bytes_in(shapes)
    assert f"drew 80 images of 64 x 64 pixels: {', '.join(SHAPES)}" in done.out
    table = pd.read_csv(tmp_path / "data" / "labels.tsv", sep="\t")
    assert table["split"].value_counts().to_dict() == {"train": 64, "test": 16}


def test_options_of_simulate_reach_the_settings(run, tmp_path):
    options = ("--size", 96, "--seed", 7, "--distractors", 2, 2, "--radius", 0.1, 0.15, "--contrast", 0.5)
    more = ("--hidden", 0.05, "--distractor-radius", 0.06, 0.1, "--format", "jpg")
    assert run("image", "simulate", "-n", 3, *options, *more, "--out", tmp_path / "d").code == 0
    told = json.loads((tmp_path / "d" / "settings.json").read_text())
    assert told["settings"] == {
        "n": 3,
        "size": 96,
        "seed": 7,
        "radius": [0.1, 0.15],
        "distractor_radius": [0.06, 0.1],
        "distractors": [2, 2],
        "hidden": 0.05,
        "contrast": 0.5,
        "noise": ShapesSettings().noise,
    }
    assert len(list((tmp_path / "d" / "images").glob("*.jpg"))) == 3
    assert len(pd.read_csv(tmp_path / "d" / "objects.tsv", sep="\t")) == 9


def test_simulate_replaces_only_what_it_wrote_and_only_when_asked(run, tmp_path):
    arguments = ("image", "simulate", "-n", 2, "--out", tmp_path / "d")
    assert run(*arguments).code == 0
    assert "exists and is not empty" in run(*arguments).err
    assert run(*arguments, "--overwrite").code == 0
    (tmp_path / "d" / "notes.txt").write_text("mine")
    assert "'notes.txt', which seqplrp did not write" in run(*arguments, "--overwrite").err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-n", 0), "error: -n: "),
        (("--size", 20), "error: --size: is 20; give 48 to 1024 pixels"),
        (("--seed", -1), "error: --seed: "),
        (("--distractors", 3, 1), r"error: --distractors: is \(3, 1\)"),
        (("--radius", 0.4, 0.5), "error: --radius: is"),
        (("--distractor-radius", 0, 0.1), "error: --distractor-radius: is"),
        (("--hidden", 0.8), "error: --hidden: is 0.8"),
        (("--contrast", 2), "error: --contrast: is 2"),
        (("--format", "gif"), "error: --format: is 'gif'; give png or jpg"),
        (("--colour", "red"), "error: seqplrp image simulate: no such option:? '?--colour"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_and_leaves_nothing_behind(run, tmp_path, arguments, said):
    done = run("image", "simulate", "-n", 4, *arguments, "--out", tmp_path / "d")
    assert done.code == 2
    assert re.fullmatch(r"error: .+: .+; .+\n", done.err), done.err
    assert re.search(said, done.err), done.err
    assert not list(tmp_path.iterdir())


# ---- train


def test_training_writes_a_network_that_loads_and_tells_how_good_it_is(run, shapes, tmp_path):
    done = run("image", "train", "--data", shapes, *QUICK, "--out", tmp_path / "m")
    assert done.code == 0
    assert {path.name for path in (tmp_path / "m").iterdir()} == FILES
    network = load_network(str(tmp_path / "m" / "model.safetensors"))
    assert (network.name, network.classes) == ("resnet50-slim", tuple(SHAPES))
    told = json.loads((tmp_path / "m" / "config.json").read_text())
    assert {name: told["data"]["splits"][name]["n"] for name in ("train", "validation", "test")} == {
        "train": 56,
        "validation": 8,
        "test": 16,
    }
    accuracy = told["metrics"]["test"]["macro"]["accuracy"]
    assert re.search(rf"^all +{accuracy:.3f} ", done.out, re.MULTILINE)
    for name in SHAPES:
        assert re.search(rf"^{name} +[01]\.\d{{3}} ", done.out, re.MULTILINE)
    # how much is learned in two epochs is torch's version's; with next to no learning rate it is nothing
    told = [f"warning: {text}" for text in told["warnings"]]
    assert [line for line in done.err.splitlines() if line.startswith("warning")] == told


def test_a_network_that_learned_hardly_anything_is_told(run, shapes, tmp_path):
    done = run("image", "train", "--data", shapes, *QUICK, "--learning-rate", 1e-12, "--out", tmp_path / "m")
    assert done.code == 0
    assert re.search(r"^warning: hardly trained: .*; try more epochs", done.err, re.MULTILINE)


def test_a_stopped_training_says_what_is_kept_and_goes_on_to_the_same_files(run, shapes, tmp_path, monkeypatch):
    arguments = ("image", "train", "--data", shapes, *QUICK)
    assert run(*arguments, "--out", tmp_path / "whole").code == 0
    save = Checkpoint.save

    def save_and_stop(self, state):
        if len(state.rows) == 2:
            raise KeyboardInterrupt
        save(self, state)

    monkeypatch.setattr(Checkpoint, "save", save_and_stop)
    done = run(*arguments, "--out", tmp_path / "m")
    assert done.code == 130
    assert f"note: 1 finished epochs are kept in {tmp_path / 'm'}: --resume goes on with them" in done.err
    assert not (tmp_path / "m" / "model.safetensors").exists()
    monkeypatch.undo()
    refused = run(*arguments, "--out", tmp_path / "m")
    assert refused.code == 2
    assert "add --resume to go on with it" in refused.err
    assert run(*arguments, "--resume", "--out", tmp_path / "m").code == 0
    for name in ("model.safetensors", "test_predictions.tsv", "confusion.tsv"):
        assert (tmp_path / "m" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "nowhere"), "nowhere: there is no such folder"),
        (("--data", "."), r"there is no labels\.tsv in it"),
        (("--arch", "vgg16"), "error: --arch: there is no slim network 'vgg16'"),
        (("--learning-rate", "-1"), "error: --learning-rate: is -1"),
        (("--augment", "colours"), "error: --augment: is 'colours'"),
        (("--validation-fraction", "2"), "error: --validation-fraction: is 2"),
        (("--device", "warp"), "error: --device: 'warp' can't be used"),
        (("--epochs", "0"), "--epochs"),
        (("--resume", "--overwrite"), "--resume, --overwrite: are both given"),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_leaves_nothing_behind(
    run, shapes, tmp_path, monkeypatch, arguments, said
):
    monkeypatch.chdir(tmp_path)
    given = () if "--data" in arguments else ("--data", shapes)
    done = run("image", "train", *given, *arguments, "--out", "m")
    assert done.code == 2
    assert re.fullmatch(r"error: .+: .+; .+\n", done.err), done.err
    assert re.search(said, done.err), done.err
    assert not list(tmp_path.iterdir())


# ---- the page of image networks: its commands as they stand there, with fewer images and epochs


PAGE = (Path(__file__).parents[2] / "docs" / "image_networks.md").read_text(encoding="utf-8")
LAB_NET = """
from torch import nn

def make():
    pooled = nn.Conv2d(3, 4, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*pooled, nn.Linear(4, 3))
"""


def of_the_page(start: str) -> list[str]:
    """Return the arguments of the page's command that begins so."""
    (found,) = [line for line in PAGE.replace("\\\n", " ").splitlines() if line.startswith(f"seqplrp image {start}")]
    return shlex.split(found, comments=True)[1:]


def test_the_chain_of_the_page_goes_from_nothing_to_a_table(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*of_the_page("simulate"), "-n", 80).code == 0
    assert run(*of_the_page("train"), "--epochs", 1, "--device", "cpu").code == 0
    done = run(*of_the_page("explain --network slim"), "--limit", 2, "--formats", "png")
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "maps" / "summary.tsv", sep="\t")
    assert table["method"].tolist() == ["plrp", "lrp", "gradient-x-input"] * 2
    assert (table["target"] == table["label"]).all()
    assert (tmp_path / "maps" / "grid.png").is_file()


def test_the_page_s_command_for_a_network_of_one_s_own(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for folder in ("lab", "data", "masks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lab" / "nets.py").write_text(LAB_NET)
    names: dict[str, object] = {}
    exec(LAB_NET, names)
    torch.save(names["make"]().state_dict(), "net.pt")
    shown = np.random.default_rng(0).integers(0, 256, (90, 110, 3), dtype=np.uint8)
    Image.fromarray(shown).save("data/a.jpg")
    Image.fromarray((shown[..., 0] > 128).astype(np.uint8) * 255).save("masks/a.png")
    done = run(*of_the_page("explain --network lab.nets:make"))
    assert done.code == 0, done.err
    assert "assumed: interpolation='bilinear', antialias=True" in done.out
    with np.load(tmp_path / "own" / "arrays" / "a.npz") as arrays:
        assert arrays["relevance_plrp"].shape == (3, 128, 128)
        assert arrays["mask"].shape == (128, 128)


def test_prunegrad_is_made_as_the_page_says():
    from seqplrp.cli.image_explain import image_method
    from seqplrp.cli.option_groups import MethodOptions
    from seqplrp.images import IMAGENET
    from seqplrp.methods import NeuronMCT

    written = re.search(r"`(neuron-mct --option .*?)`", PAGE)[1].split()
    made = image_method(written[0], MethodOptions(option=written[2::2]), IMAGENET)
    assert made == NeuronMCT(readout="gradient", sparsity=0.9)


def test_what_an_image_is_explained_by_must_be_named(run):
    done = run("image", "explain", "--images", "x", "--out", "y")
    refused(done, "^error: seqplrp image explain: --network is missing; give it")


def test_a_composite_beside_a_rule_for_all_layers_is_refused():
    from seqplrp import SeqplrpError
    from seqplrp.cli.image_explain import image_method
    from seqplrp.cli.option_groups import MethodOptions
    from seqplrp.images import IMAGENET

    with pytest.raises(
        SeqplrpError, match=r"^--rule: gives 'epsilon-gamma-box' and 'gamma' for all layers; write PATT"
    ):
        image_method("lrp", MethodOptions(rule=["epsilon-gamma-box", "gamma"]), IMAGENET)
