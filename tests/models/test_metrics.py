"""Measures of classifiers against counting by hand, and warnings for runs that learned little."""

from __future__ import annotations

import numpy as np
import pytest

from seqplrp.models import evaluate_predictions
from seqplrp.models.metrics import scores, training_warnings


def pairwise_auroc(values: np.ndarray, truth: np.ndarray) -> float:
    """The share of pairs of a positive and a negative in the right order; ties count half."""
    difference = values[truth == 1][:, None] - values[truth == 0][None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def precision_sum(values: np.ndarray, truth: np.ndarray) -> float:
    """Average precision without ties: the mean over positives of the precision at each one's rank."""
    ranked = truth[np.argsort(-values)]
    return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked == 1].mean())


def test_binary_measures_are_those_counted_by_hand():
    rng = np.random.default_rng(0)
    truth = (rng.random(80) < 0.3).astype(float)
    logits = truth + rng.normal(size=80)
    result = evaluate_predictions(logits[:, None], truth[:, None], "binary", ["positive"])
    row = result["classes"]["positive"]
    assert row["auroc"] == pytest.approx(pairwise_auroc(logits, truth))
    assert row["auprc"] == pytest.approx(precision_sum(logits, truth))
    assert row["accuracy"] == pytest.approx(((logits > 0) == (truth == 1)).mean())
    assert (row["positives"], row["base_rate"], result["n"]) == (truth.sum(), truth.mean(), 80)
    assert result["macro"] == {key: row[key] for key in ("auroc", "auprc", "accuracy")}


def test_multiclass_measures_are_one_class_against_the_rest_by_probability():
    rng = np.random.default_rng(1)
    truth = np.eye(3)[rng.integers(0, 3, 120)]
    logits = 1.5 * truth + rng.normal(size=(120, 3))
    result = evaluate_predictions(logits, truth, "multiclass", ["a", "b", "c"])
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    right = logits.argmax(axis=1) == truth.argmax(axis=1)
    for column, name in enumerate("abc"):
        row = result["classes"][name]
        assert row["auroc"] == pytest.approx(pairwise_auroc(probability[:, column], truth[:, column]))
        assert row["auprc"] == pytest.approx(precision_sum(probability[:, column], truth[:, column]))
        assert row["accuracy"] == pytest.approx(right[truth[:, column] == 1].mean())
    assert result["macro"]["accuracy"] == pytest.approx(right.mean())
    assert result["macro"]["auroc"] == pytest.approx(np.mean([r["auroc"] for r in result["classes"].values()]))


def test_ranking_survives_logits_whose_probabilities_round_to_1():
    logits = np.array([[50.0], [60.0], [70.0], [80.0]])
    truth = np.array([[0.0], [0.0], [1.0], [1.0]])
    assert evaluate_predictions(logits, truth, "binary", ["x"])["macro"]["auroc"] == 1.0
    pair = np.concatenate([logits, -logits], axis=1)
    both = np.concatenate([truth, 1 - truth], axis=1)
    assert evaluate_predictions(pair, both, "multiclass", ["x", "y"])["macro"]["auroc"] == 1.0


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
def test_scores_are_probabilities_also_for_huge_logits(kind):
    logits = np.array([[-1000.0, 0.0, 1000.0], [3.0, 1.0, -2.0]])
    probability = scores(logits, kind)
    if kind == "multiclass":
        np.testing.assert_allclose(probability[1], np.exp(logits[1]) / np.exp(logits[1]).sum())
        np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    else:
        np.testing.assert_allclose(probability[1], 1 / (1 + np.exp(-logits[1])))
        np.testing.assert_array_equal(probability[0], [0.0, 0.5, 1.0])


def advice(logits: np.ndarray, labels: np.ndarray, n_train: int, kind: str = "multilabel") -> list[str]:
    classes = [f"c{column}" for column in range(labels.shape[1])]
    return [
        str(item) for item in training_warnings(logits, evaluate_predictions(logits, labels, kind, classes), n_train)
    ]


def test_a_sound_run_has_no_warning():
    labels = np.eye(2)[np.arange(400) % 2]
    assert advice(3 * labels + np.random.default_rng(0).normal(size=(400, 2)), labels, 5000) == []


def test_constant_output_is_called_collapsed_with_what_to_try():
    labels = np.eye(2)[np.arange(400) % 2]
    logits = np.stack([np.full(400, 0.3), 3 * labels[:, 1] + np.random.default_rng(0).normal(size=400)], axis=1)
    (text,) = advice(logits, labels, 5000)
    assert text.startswith("training collapsed: the output for class c0 is the same for every sequence; try ")


def test_guessing_is_called_hardly_trained_for_the_classes_concerned_alone():
    labels = np.eye(2)[np.arange(400) % 2]
    rng = np.random.default_rng(0)
    logits = np.stack([rng.normal(size=400), 3 * labels[:, 1] + rng.normal(size=400)], axis=1)
    (text,) = advice(logits, labels, 5000)
    assert text.startswith("hardly trained: class c0 told apart little better than by guessing")
    assert "base rate 0.500" in text


def test_a_rare_class_is_measured_against_its_own_base_rate():
    rng = np.random.default_rng(0)
    labels = (rng.random((2000, 1)) < 0.02).astype(float)
    good = 3 * labels + rng.normal(size=(2000, 1))  # AUPRC about 0.6: far from 1, and thirty times the base rate
    assert advice(good, labels, 5000, "binary") == []
    assert "hardly trained" in advice(rng.normal(size=(2000, 1)), labels, 5000, "binary")[0]


def test_a_few_hundred_sequences_are_said_even_where_the_measures_look_good():
    labels = np.eye(2)[np.arange(40) % 2]
    (text,) = advice(9 * labels, labels, 300)
    assert text.startswith("few sequences: 300 to train on and 40 to validate on")
