"""How well a classifier does, and whether it learned anything at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seqplrp.models.config import Advice, Kind

Array = npt.NDArray[np.floating[Any]]

FEW_SEQUENCES = 1000
"""Below this many training sequences a result is called hardly trained, whatever its metrics."""

LEARNED_SHARE = 0.2
"""The least part of the way from the base rate to 1 that a class's validation AUPRC has to go."""

CONSTANT_SPREAD = 1e-3
"""Logits whose standard deviation over the validation set is smaller are called constant."""


def scores(logits: Array, kind: Kind) -> Array:
    """Probabilities ``(N, C)``: a softmax over classes for multi-class, a sigmoid each otherwise."""
    values = np.asarray(logits, dtype=np.float64)
    if kind == "multiclass":
        exponential = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))


def evaluate_predictions(logits: Array, labels: Array, kind: Kind, classes: Sequence[str]) -> dict[str, Any]:
    """Measure predictions, by class and on average.

    Parameters
    ----------
    logits : array, shape (N, C)
        The model's outputs.
    labels : array, shape (N, C)
        0 or 1.
    kind : {"binary", "multilabel", "multiclass"}
        What the outputs mean.
    classes : sequence of str
        One name per column.

    Returns
    -------
    dict
        ``n``; ``macro`` with the plain means over classes of ``auroc`` and ``auprc``, and ``accuracy``; ``classes``
        with these per class, its number of ``positives`` and its ``base_rate`` (the AUPRC of a guess). Multi-class
        measures are one class against the rest. Accuracy: the share of sequences on the right side of probability
        one half; for multi-class overall the share whose likeliest class is the right one, and per class that share
        among the class's own sequences.
    """
    # here, as scikit-learn takes half as long to import as all else that seqplrp needs, and only training asks for it
    from sklearn.metrics import average_precision_score, roc_auc_score

    # Ranked by log odds: probabilities in floating point run together near 0 and 1, and ties cost precision.
    ranking = _log_odds(np.asarray(logits, dtype=np.float64), kind)
    correct = _correct(ranking, labels, kind)
    table = {}
    for column, name in enumerate(classes):
        truth = labels[:, column]
        own = truth == 1 if kind == "multiclass" else slice(None)
        table[name] = {
            "auroc": float(roc_auc_score(truth, ranking[:, column])),
            "auprc": float(average_precision_score(truth, ranking[:, column])),
            "accuracy": float(correct[own, column].mean()),
            "positives": int(truth.sum()),
            "base_rate": float(truth.mean()),
        }
    macro = {key: float(np.mean([row[key] for row in table.values()])) for key in ("auroc", "auprc")}
    macro["accuracy"] = float(correct.mean())
    return {"n": len(labels), "macro": macro, "classes": table}


def training_warnings(logits: Array, metrics: dict[str, Any], n_train: int) -> list[Advice]:
    """Say whether a run collapsed or learned hardly anything, and what to try.

    Parameters
    ----------
    logits : array, shape (N, C)
        The kept model's outputs on the validation set.
    metrics : dict
        Their measures, from `evaluate_predictions`.
    n_train : int
        Number of training sequences.

    Returns
    -------
    list of Advice
        Empty for a run that looks sound.
    """
    found = []
    spread = np.asarray(logits, dtype=np.float64).std(axis=0)
    names = list(metrics["classes"])
    constant = [name for name, value in zip(names, spread, strict=True) if value < CONSTANT_SPREAD]
    weak = [name for name in names if name not in constant and not _learned(metrics["classes"][name])]
    if constant:
        found.append(
            Advice(
                "training collapsed",
                f"the output for {_listed(constant)} is the same for every sequence",
                "try a lower learning rate, another seed or architecture, and check that the labels fit the sequences",
            )
        )
    if weak:
        worst = min((metrics["classes"][name] for name in weak), key=lambda row: row["auprc"])
        found.append(
            Advice(
                "hardly trained",
                f"{_listed(weak)} told apart little better than by guessing (validation AUPRC {worst['auprc']:.3f}, "
                f"base rate {worst['base_rate']:.3f})",
                "try more sequences, more epochs, another architecture, --no-reverse-complement if the classes differ "
                "by strand, and check the labels",
            )
        )
    if n_train < FEW_SEQUENCES:
        found.append(
            Advice(
                "few sequences",
                f"{n_train} to train on and {metrics['n']} to validate on, so the model may have learned them by "
                "heart and its metrics are rough",
                f"try to give {FEW_SEQUENCES} or more",
            )
        )
    return found


def _learned(row: dict[str, float]) -> bool:
    return row["auprc"] - row["base_rate"] >= LEARNED_SHARE * (1.0 - row["base_rate"])


def _log_odds(logits: Array, kind: Kind) -> Array:
    if kind != "multiclass":
        return logits
    odds = np.empty_like(logits)
    for column in range(logits.shape[1]):
        rest = np.delete(logits, column, axis=1)
        top = rest.max(axis=1, keepdims=True)
        odds[:, column] = logits[:, column] - top[:, 0] - np.log(np.exp(rest - top).sum(axis=1))
    return odds


def _correct(ranking: Array, labels: Array, kind: Kind) -> npt.NDArray[np.bool_]:
    """Whether each prediction is right, ``(N, C)``; the same in all columns for multi-class."""
    if kind == "multiclass":
        right = ranking.argmax(axis=1) == np.asarray(labels).argmax(axis=1)
        return np.repeat(right[:, None], labels.shape[1], axis=1)
    return np.asarray((ranking > 0) == (np.asarray(labels) == 1))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"class {name}" for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
