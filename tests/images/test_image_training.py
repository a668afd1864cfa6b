"""Training of slim networks: what the network sees, that it learns, that a stopped run goes on, what is told of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from labelled_folders import write_easy_images
from PIL import Image
from sklearn.metrics import accuracy_score
from torch import nn

from seqplrp.errors import SeqplrpError
from seqplrp.images import (
    Checkpoint,
    ImageTrainOptions,
    LabelledImages,
    TrainedImageNetwork,
    load_labelled_images,
    load_network,
    read_ecssd,
    save_image_training,
    train_image_network,
    train_in_directory,
)
from seqplrp.images.batches import augmented, normalised, predict_images, usual_preprocessing
from seqplrp.storage import RunDirectory

QUICK = ImageTrainOptions(epochs=3, batch_size=12, device="cpu", learning_rate=3e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_easy_images(tmp_path_factory.mktemp("easy") / "data")


@pytest.fixture(scope="module")
def data(folder) -> LabelledImages:
    return load_labelled_images(folder)


@pytest.fixture(scope="module")
def trained(data) -> TrainedImageNetwork:
    return train_image_network(data, "vgg16-slim", training=QUICK)


# ---- images


def test_batches_are_what_the_preprocessing_makes_of_each_image(folder, data):
    preprocessing = usual_preprocessing(32)
    batch = normalised(torch.from_numpy(data.pixels[:5]), preprocessing)
    by_name = {record.name: record for record in read_ecssd(folder)}
    alone = torch.stack([preprocessing.apply(by_name[name].open()) for name in data.names[:5]])
    torch.testing.assert_close(batch, alone, rtol=0, atol=1e-6)


def ways_of(image: torch.Tensor) -> list[torch.Tensor]:
    both = (image, image.flip(2))
    return [torch.rot90(one, turns, (1, 2)) for one in both for turns in range(4)]


@pytest.mark.parametrize(("how", "number"), [("turns", 8), ("flips", 2), ("none", 1)])
def test_augmentation_lays_each_image_in_all_ways_that_were_asked_for_and_in_no_other(how, number):
    image = torch.arange(3 * 16, dtype=torch.uint8).reshape(3, 4, 4)
    torch.manual_seed(0)
    laid = augmented(image.expand(200, 3, 4, 4), how)
    known = ways_of(image)
    expected = {"turns": known, "flips": [known[0], known[4]], "none": [image]}[how]
    found = [[torch.equal(one, way) for way in expected].index(True) for one in laid]
    assert set(found) == set(range(number))
    if number > 1:
        assert min(np.bincount(found)) > 200 / number / 3


def test_images_are_moved_by_what_was_asked_for_at_most_and_their_edges_mirrored():
    image = torch.arange(2 * 25, dtype=torch.uint8).reshape(2, 5, 5)
    torch.manual_seed(0)
    moved = augmented(image.expand(300, 2, 5, 5), "none", 2)
    padded = torch.nn.functional.pad(image.float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8)
    expected = [padded[:, top : top + 5, left : left + 5] for top in range(5) for left in range(5)]
    found = [[torch.equal(one, other) for other in expected].index(True) for one in moved]
    assert set(found) == set(range(25))


def test_images_are_split_by_class_and_the_test_images_are_those_of_the_table(folder, data):
    assert data.counts() == {
        "train": {"n": 32, "dark": 16, "light": 16},
        "validation": {"n": 4, "dark": 2, "light": 2},
        "test": {"n": 12, "dark": 6, "light": 6},
    }
    table = pd.read_csv(folder / "labels.tsv", sep="\t").set_index("id")
    for row, name in enumerate(data.names):
        assert data.classes[data.labels[row]] == table.at[name, "class"]
        assert (data.split[row] == "test") == (table.at[name, "split"] == "test")
        np.testing.assert_array_equal(data.pixels[row].transpose(1, 2, 0), Image.open(folder / f"images/{name}.png"))
    other = load_labelled_images(folder, seed=1)
    assert set(other.rows("validation")) != set(data.rows("validation"))
    assert set(other.rows("test")) == set(data.rows("test"))


# ---- training


@pytest.mark.parametrize("name", ["vgg16-slim", "resnet50-slim"])
def test_an_easy_difference_is_learned(data, name):
    result = train_image_network(data, name, training=replace(QUICK, epochs=6))
    assert result.description["metrics"]["test"]["macro"]["accuracy"] == 1.0
    assert result.advice == []


def test_a_vgg16_comes_without_batch_norms_and_computes_what_was_measured(trained, data):
    module = trained.network.module
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())
    assert not module.training
    logits = predict_images(module, trained.network.preprocessing, data.pixels[data.rows("test")])
    told = trained.predictions[[f"logit:{name}" for name in data.classes]].to_numpy()
    np.testing.assert_allclose(told, logits.numpy(), atol=1e-6)


def test_measures_are_those_of_the_predictions(trained, data):
    table, classes = trained.predictions, list(data.classes)
    logits = table[[f"logit:{name}" for name in classes]].to_numpy()
    assert table["predicted"].tolist() == [classes[k] for k in logits.argmax(axis=1)]
    measured = trained.description["metrics"]["test"]
    assert measured["macro"]["accuracy"] == accuracy_score(table["class"], table["predicted"])
    for name in classes:
        own = table[table["class"] == name]
        assert measured["classes"][name]["accuracy"] == pytest.approx((own["predicted"] == name).mean())
        assert trained.confusion().loc[name].sum() == len(own)
    assert np.trace(trained.confusion().to_numpy()) == (table["class"] == table["predicted"]).sum()


def test_the_epoch_with_the_best_validation_accuracy_is_kept(data):
    result = train_image_network(data, "vgg16-slim", training=replace(QUICK, epochs=4, learning_rate=0.03))
    rank = list(zip(result.history["validation_accuracy"], -result.history["validation_loss"], strict=True))
    assert result.best_epoch == 1 + rank.index(max(rank))
    macro = result.description["metrics"]["validation"]["macro"]
    # folding the batch norms changes no class
    assert macro["accuracy"] == result.history["validation_accuracy"].max()


def test_the_same_seed_gives_the_same_network_another_seed_another_and_no_global_draw_is_used(data, trained):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = train_image_network(data, "vgg16-slim", training=QUICK)
    assert torch.equal(torch.rand(3), expected)
    other = train_image_network(data, "vgg16-slim", training=replace(QUICK, seed=1, epochs=1))
    assert again.network.weights_sha256 == trained.network.weights_sha256
    assert other.network.weights_sha256 != trained.network.weights_sha256


class Stop(Exception):
    """In place of a power cut."""


@pytest.mark.parametrize("name", ["vgg16-slim", "resnet50-slim"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(data, tmp_path, name):
    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == 2:
            raise Stop

    checkpoint = Checkpoint(tmp_path / "state.safetensors")
    with pytest.raises(Stop):
        train_image_network(data, name, training=QUICK, checkpoint=checkpoint, on_epoch=stop)
    epochs: list[float] = []
    resumed = train_image_network(
        data, name, training=QUICK, checkpoint=checkpoint, on_epoch=lambda row: epochs.append(row["epoch"])
    )
    whole = train_image_network(data, name, training=QUICK)
    assert epochs == [3]
    assert resumed.network.weights_sha256 == whole.network.weights_sha256
    pd.testing.assert_frame_equal(resumed.history.drop(columns="seconds"), whole.history.drop(columns="seconds"))
    pd.testing.assert_frame_equal(resumed.predictions, whole.predictions)


def test_a_run_that_learned_nothing_says_so(data):
    result = train_image_network(data, "resnet50-slim", training=replace(QUICK, epochs=1, learning_rate=1e-12))
    (advice,) = result.advice
    assert advice.where == "hardly trained"
    assert result.description["warnings"] == [str(advice)]


def test_a_loss_that_is_no_number_is_an_error(data):
    with pytest.raises(SeqplrpError, match="loss is not a finite number in epoch 1; lower the learning rate"):
        train_image_network(data, "vgg16_bn-slim", training=replace(QUICK, learning_rate=1e30))


# ---- files


def test_what_is_saved_is_loaded_as_it_was(trained, data, tmp_path):
    save_image_training(trained, tmp_path)
    network = load_network(str(tmp_path / "model.safetensors"))
    assert (network.name, network.classes) == ("vgg16-slim", data.classes)
    assert network.preprocessing == trained.network.preprocessing
    assert network.weights_sha256 == trained.network.weights_sha256
    told = json.loads((tmp_path / "config.json").read_text())
    assert told["weights_sha256"] == network.weights_sha256
    assert told["training"]["trained_as"] == "vgg16_bn-slim"
    assert told["training"]["cpu_seconds"] > 0
    written = pd.read_csv(tmp_path / "test_predictions.tsv", sep="\t")
    assert written["predicted"].tolist() == trained.predictions["predicted"].tolist()
    assert pd.read_csv(tmp_path / "confusion.tsv", sep="\t", index_col="class").equals(
        trained.confusion().rename_axis(columns=None)
    )
    assert len(pd.read_csv(tmp_path / "history.tsv", sep="\t")) == 3


def test_weights_of_16_bits_take_half_the_space_and_are_measured_as_they_are_stored(trained, data, tmp_path):
    result = train_image_network(data, "vgg16-slim", training=replace(QUICK, half=True))
    save_image_training(trained, tmp_path / "whole")
    save_image_training(result, tmp_path / "half")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.52 * sizes[0]
    network = load_network(str(tmp_path / "half" / "model.safetensors"))
    assert network.weights_sha256 == result.network.weights_sha256
    logits = predict_images(network.module, network.preprocessing, data.pixels[data.rows("test")])
    told = result.predictions[[f"logit:{name}" for name in data.classes]].to_numpy()
    np.testing.assert_allclose(told, logits.numpy(), atol=1e-6)
    assert not np.array_equal(told, trained.predictions[[f"logit:{name}" for name in data.classes]].to_numpy())


def test_a_run_in_a_directory_goes_on_only_with_what_it_was_begun_with(data, tmp_path):
    def stop(row: dict[str, float]) -> None:
        raise Stop

    place = RunDirectory(tmp_path / "m", "image train")
    with pytest.raises(Stop):
        train_in_directory(place, data, "resnet50-slim", training=QUICK, on_epoch=stop)
    assert not (tmp_path / "m" / "model.safetensors").exists()
    going_on = replace(place, resume=True)
    with pytest.raises(SeqplrpError, match=r"begun with something else: training\.seed was 0 and is 1"):
        train_in_directory(going_on, data, "resnet50-slim", training=replace(QUICK, seed=1))
    relabelled = replace(data, labels=1 - data.labels)
    with pytest.raises(SeqplrpError, match="begun with something else: images_sha256"):
        train_in_directory(going_on, relabelled, "resnet50-slim", training=QUICK)
    train_in_directory(going_on, data, "resnet50-slim", training=QUICK)
    assert (tmp_path / "m" / "learning_curve.svg").is_file()


def test_a_damaged_checkpoint_is_named(data, tmp_path):
    path = tmp_path / "state.safetensors"
    path.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    with pytest.raises(SeqplrpError, match="can't be read as a checkpoint") as caught:
        train_image_network(data, "resnet50-slim", training=QUICK, checkpoint=Checkpoint(path))
    assert caught.value.where == str(path)


# ---- what can't be trained


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 1}, "batch_size"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"warmup": 1.0}, "warmup"),
        ({"augment": "colours"}, "augment"),
        ({"shift": 0.5}, "shift"),
        ({"seed": -1}, "seed"),
    ],
)
def test_options_that_cannot_be_are_named(data, options, where):
    with pytest.raises(SeqplrpError) as caught:
        train_image_network(data, training=replace(QUICK, **options))
    assert caught.value.where == where


def test_an_unknown_network_and_a_size_that_it_cannot_have_are_named(data):
    with pytest.raises(SeqplrpError, match="there is no slim network 'vgg16'; choose one of"):
        train_image_network(data, "vgg16")
    odd = replace(data, pixels=data.pixels[:, :, :30, :30])
    with pytest.raises(SeqplrpError, match="image_size: is 30; give a multiple of 32"):
        train_image_network(odd, training=QUICK)


@pytest.fixture
def broken(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "data"))


def test_a_folder_without_labels_is_named(broken):
    (broken / "labels.tsv").unlink()
    with pytest.raises(SeqplrpError, match=r"data: there is no labels\.tsv in it"):
        load_labelled_images(broken)
    with pytest.raises(SeqplrpError, match="nowhere: there is no such folder"):
        load_labelled_images(broken / "nowhere")


@pytest.mark.parametrize("size", [(32, 30), (64, 64)])
def test_an_image_of_another_size_is_named(broken, size):
    Image.new("RGB", size).save(broken / "images" / "i005.png")
    with pytest.raises(SeqplrpError, match=rf"i005\.png: is {size[0]} x {size[1]} pixels"):
        load_labelled_images(broken)


def test_images_that_are_no_squares_are_named(broken):
    Image.new("RGB", (40, 32)).save(broken / "images" / "i000.png")
    with pytest.raises(SeqplrpError, match=r"i000\.png: is 40 x 32 pixels; cut all images to squares"):
        load_labelled_images(broken)


def test_an_image_that_is_cut_short_is_named(broken):
    path = broken / "images" / "i007.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SeqplrpError, match=r"i007\.png"):
        load_labelled_images(broken)


def test_a_class_without_images_to_train_or_test_on_is_named(broken):
    table = pd.read_csv(broken / "labels.tsv", sep="\t")
    only_train = table["class"].where(table["split"] == "test", "grey")
    table.assign(**{"class": only_train}).to_csv(broken / "labels.tsv", sep="\t", index=False)
    with pytest.raises(SeqplrpError, match="class 'dark' has 0 images for training and 6 for testing"):
        load_labelled_images(broken)
    table.assign(**{"class": "dark"}).to_csv(broken / "labels.tsv", sep="\t", index=False)
    with pytest.raises(SeqplrpError, match="names one class, 'dark'"):
        load_labelled_images(broken)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_for_validation_that_cannot_be_is_named(folder, share):
    with pytest.raises(SeqplrpError) as caught:
        load_labelled_images(folder, validation_fraction=share)
    assert caught.value.where == "validation_fraction"
