"""Training: that it learns, repeats itself, keeps its best epoch and says when it did not learn."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from planted import binary_data, planted

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import codes_to_one_hot, encode, reverse_complement
from seqplrp.models import TrainOptions, load_model, make_dataset, predict, save_training, schedule_factor, train_model
from seqplrp.models.batches import expand, flip_strands

TINY = {"filters": (16, 16), "kernels": (9, 5), "pools": (4, 2), "dense": (16,)}
QUICK = TrainOptions(epochs=6, device="cpu")


@pytest.fixture(scope="module")
def trained():
    return train_model(binary_data(1500), "basset-small", options=TINY, training=TrainOptions(epochs=8, device="cpu"))


def test_a_planted_word_is_learned(trained):
    assert trained.config.metrics["test"]["macro"]["auroc"] > 0.97
    assert trained.advice == []


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_several_classes_are_learned(kind):
    codes, labels = planted(1800, 40, 3)
    data = make_dataset(codes, labels, kind=kind, classes=["a", "b", "c"])
    result = train_model(data, options=TINY, training=TrainOptions(epochs=8, device="cpu"))
    assert result.config.n_outputs == 3
    assert result.config.metrics["test"]["macro"]["auroc"] > 0.95
    columns = [f"{what}:{name}" for name in ("a", "b", "c") for what in ("label", "logit", "score")]
    assert list(result.predictions.columns) == ["id", *columns]


def test_the_same_seed_gives_the_same_model_to_the_bit_and_another_does_not(small_binary):
    first, again = (train_model(small_binary, options=TINY, training=QUICK) for _ in range(2))
    other = train_model(small_binary, options=TINY, training=TrainOptions(epochs=6, device="cpu", seed=1))
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    pd.testing.assert_frame_equal(first.history.drop(columns="seconds"), again.history.drop(columns="seconds"))
    pd.testing.assert_frame_equal(first.predictions, again.predictions)
    assert (first.predictions["logit:positive"] != other.predictions["logit:positive"]).any()


def test_training_leaves_the_callers_random_stream_alone(small_binary):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    train_model(small_binary, options=TINY, training=TrainOptions(epochs=1, device="cpu"))
    assert torch.equal(torch.rand(3), expected)


def test_the_best_epochs_weights_are_kept_and_its_validation_loss_comes_back(trained):
    data = binary_data(1500)
    rows = data.rows("validation")
    logits = predict(trained.model, data.codes[rows])
    positives = data.labels[data.rows("train")].mean()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(data.labels[rows]), pos_weight=torch.tensor((1 - positives) / positives)
    )
    kept = trained.history.loc[trained.history["epoch"] == trained.best_epoch].iloc[0]
    assert float(loss) == pytest.approx(kept["validation_loss"], rel=1e-5)
    assert kept["validation_auprc"] >= trained.history["validation_auprc"].max() - 1e-3


def test_the_history_and_the_description_agree(trained):
    history, training = trained.history, trained.config.training
    assert history["epoch"].tolist() == list(range(1, training["epochs_run"] + 1))
    for key in ("auroc", "auprc", "accuracy"):
        kept = history.loc[trained.best_epoch - 1, f"validation_{key}"]
        assert kept == pytest.approx(trained.config.metrics["validation"]["macro"][key])
    assert training["parameters"] == sum(p.numel() for p in trained.model.parameters())


def test_predictions_are_those_of_the_kept_model_on_the_test_set(trained):
    data = binary_data(1500)
    rows = data.rows("test")
    assert trained.predictions["id"].tolist() == [data.ids[row] for row in rows]
    logits = predict(trained.model, data.codes[rows])[:, 0].numpy()
    np.testing.assert_allclose(trained.predictions["logit:positive"], logits, atol=1e-6)
    np.testing.assert_allclose(trained.predictions["score:positive"], 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_a_saved_run_loads_with_the_same_logits_and_a_readable_history(trained, tmp_path):
    save_training(trained, tmp_path)
    x = codes_to_one_hot(binary_data(1500).codes[:9])
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path)(x), trained.model(x))
    assert pd.read_csv(tmp_path / "history.tsv", sep="\t")["epoch"].tolist() == trained.history["epoch"].tolist()
    assert len(pd.read_csv(tmp_path / "test_predictions.tsv", sep="\t")) == 150
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["data"]["splits"]["test"]["n"] == 150
    assert content["versions"]["torch"] == torch.__version__
    assert (content["kind"], content["n_outputs"], content["classes"]) == ("binary", 1, ["positive"])


def test_early_stopping_ends_a_run_that_no_longer_gets_better(small_binary):
    settings = TrainOptions(epochs=40, patience=2, device="cpu")
    result = train_model(small_binary, options=TINY, training=settings)
    assert len(result.history) < 40
    assert len(result.history) - result.best_epoch == 2


def test_a_run_that_has_not_begun_to_learn_gets_half_of_its_epochs():
    rng = np.random.default_rng(0)
    noise = make_dataset(
        rng.integers(0, 4, (1500, 30), dtype=np.uint8), rng.integers(0, 2, (1500, 1)), kind="binary", classes=["x"]
    )
    result = train_model(noise, options=TINY, training=TrainOptions(epochs=10, patience=1, device="cpu"))
    assert len(result.history) >= 5


def test_labels_without_meaning_are_called_hardly_trained_in_the_result_and_in_its_description():
    rng = np.random.default_rng(0)
    codes, labels = rng.integers(0, 4, (1500, 30), dtype=np.uint8), rng.integers(0, 2, (1500, 1))
    data = make_dataset(codes, labels, kind="binary", classes=["bound"])
    result = train_model(data, options=TINY, training=TrainOptions(epochs=3, device="cpu"))
    (advice,) = result.advice
    assert advice.where == "hardly trained"
    assert result.config.warnings == [str(advice)]


def test_a_dead_network_is_called_collapsed():
    settings = TrainOptions(epochs=2, learning_rate=1e-12, device="cpu", weight_decay=0.0)
    data = binary_data(1500)
    # No hidden unit: the output is a constant from the start and the learning rate keeps it so.
    result = train_model(data, "deepbind", options={"filters": 1, "kernel": 3, "hidden": 1}, training=settings)
    assert {"training collapsed", "hardly trained"} & {advice.where for advice in result.advice}


def test_a_few_hundred_sequences_are_said(small_binary):
    result = train_model(small_binary, options=TINY, training=QUICK)
    assert [advice.where for advice in result.advice][-1] == "few sequences"


def test_a_learning_rate_that_explodes_is_an_error_with_the_epoch(small_binary):
    settings = TrainOptions(epochs=3, learning_rate=1e30, device="cpu", warmup=0.0)
    with pytest.raises(SeqplrpError, match=r"training: the \w+ loss is not a finite number in epoch \d; lower"):
        train_model(small_binary, "dilated-residual", options={"filters": 4, "layers": 2}, training=settings)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "learning_rate", "weight_decay", "patience", "warmup"])
def test_settings_with_which_nothing_can_be_trained_are_refused(small_binary, name):
    with pytest.raises(SeqplrpError, match=f"{name}: is -1"):
        train_model(small_binary, options=TINY, training=TrainOptions(**{name: -1}))


@pytest.mark.parametrize("device", ["warp", "meta"])  # a device that is none, and one that holds no values
def test_a_device_on_which_nothing_can_be_trained_is_refused(small_binary, device):
    with pytest.raises(SeqplrpError, match=f"device: '{device}' can't be used"):
        train_model(small_binary, options=TINY, training=TrainOptions(device=device))


def test_a_length_too_small_for_the_pools_is_refused_before_training(small_binary):
    with pytest.raises(SeqplrpError, match="at least 163 bases and the sequences have 40"):
        train_model(small_binary, "deepsea", training=QUICK)


def test_balanced_weights_lift_a_rare_class():
    codes, labels = planted(2000, 40, 2)
    keep = np.flatnonzero((labels[:, 0] == 0) | (np.arange(2000) % 20 == 0))
    data = make_dataset(codes[keep], labels[keep, :1], kind="binary", classes=["rare"])
    mean = {}
    for weights in ("balanced", "none"):
        settings = TrainOptions(epochs=2, class_weights=weights, device="cpu", learning_rate=1e-3)
        mean[weights] = train_model(data, options=TINY, training=settings).predictions["score:rare"].mean()
    assert mean["none"] < 0.2 < mean["balanced"]


def test_flipped_rows_are_reverse_complements_and_the_others_are_not_touched():
    codes = torch.from_numpy(encode(["AACGTN", "GGGTTA", "NACCCC"]))
    flipped = flip_strands(codes, torch.tensor([True, False, True]))
    assert torch.equal(flipped, torch.from_numpy(encode(["NACGTT", "GGGTTA", "GGGGTN"])))
    assert torch.equal(expand(flipped)[0], reverse_complement(expand(codes))[0])


def test_batches_are_the_one_hot_of_the_genomics_room():
    codes = np.random.default_rng(0).integers(0, 5, (7, 20), dtype=np.uint8)
    assert torch.equal(expand(torch.from_numpy(codes)), codes_to_one_hot(codes))


def test_training_on_both_strands_makes_a_model_that_reads_both():
    codes, labels = planted(1800, 40, 3)
    chosen = np.flatnonzero(labels[:, 1] == 0)  # without CACGTG, which is the same on either strand
    codes, labels = codes[chosen], labels[chosen]
    data = make_dataset(codes, labels[:, :1], kind="binary", classes=["a"])
    other = codes_to_one_hot(codes[data.rows("test")]).flip(1, 2)
    truth = labels[data.rows("test"), 0] == 1
    right = {}
    for both in (True, False):
        settings = TrainOptions(epochs=8, reverse_complement=both, device="cpu")
        model = train_model(data, options=TINY, training=settings).model
        with torch.no_grad():
            right[both] = ((model(other)[:, 0].numpy() > 0) == truth).mean()
    assert right[True] > 0.9
    assert right[False] < 0.8


def test_prediction_does_not_depend_on_the_batch_size_and_puts_the_training_flag_back(trained):
    codes = binary_data(1500).codes[:50]
    trained.model.train()
    try:
        torch.testing.assert_close(
            predict(trained.model, codes, batch_size=7), predict(trained.model, codes, batch_size=50)
        )
        assert trained.model.training
    finally:
        trained.model.eval()


def test_the_schedule_rises_to_its_peak_and_falls_to_almost_nothing():
    values = [schedule_factor(step, 100, 0.1) for step in range(100)]
    assert values.index(max(values)) in (9, 10)
    assert max(values) == 1.0
    assert np.all(np.diff(values[:10]) > 0)
    assert np.all(np.diff(values[10:]) < 0)
    assert values[-1] < 0.02
    assert all(math.isfinite(schedule_factor(step, 100, 0.1)) for step in range(300))


def test_each_epoch_is_told_as_it_ends(small_binary):
    told = []
    settings = TrainOptions(epochs=2, device="cpu")
    result = train_model(small_binary, options=TINY, training=settings, on_epoch=told.append)
    assert told == result.history.to_dict("records")


def test_the_bar_shows_live_metrics_when_asked_and_is_quiet_otherwise(small_binary, capsys):
    settings = TrainOptions(epochs=2, device="cpu")
    train_model(small_binary, options=TINY, training=settings, progress=None)  # standard error is no terminal here
    assert capsys.readouterr() == ("", "")
    train_model(small_binary, options=TINY, training=settings, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch 2/2" in err
    assert "AUPRC" in err
