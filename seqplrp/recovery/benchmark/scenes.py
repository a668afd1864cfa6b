"""What all methods of one model see: the same sequences, targets, truth and random draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from seqplrp.genomics import codes_to_one_hot
from seqplrp.genomics.motifs import Motif
from seqplrp.models import SequenceModel, predict
from seqplrp.recovery.benchmark.tasks import TaskData
from seqplrp.recovery.scoring import MISSED, NO_TRUTH, NOT_POSITIVE, SCORED
from seqplrp.recovery.truth import Places, information, motif_masks, place_truth, supports

Codes = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidates:
    """The test sequences of a task that are to be explained; the same for every model.

    Attributes
    ----------
    ids : list of str
    codes : ndarray of uint8, shape (N, L)
    labels : ndarray, shape (N, C)
    targets : ndarray of int64, shape (N,)
        The explained output: the sequence's class, or one of its classes drawn at random.
    truth, ignore, distractor : ndarray of bool, shape (N, L)
        In a motif that supports the explained class; of no information, or unknown; in another motif.
    placed : DataFrame
        The motifs: ``record`` (row of these arrays), ``start``, ``end``, ``strand``, ``motif``, ``supports``.
    matrices : mapping of str to Motif
        The motifs by name.
    """

    ids: list[str]
    codes: Codes
    labels: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]
    truth: BoolArray
    ignore: BoolArray
    distractor: BoolArray
    placed: pd.DataFrame
    matrices: Mapping[str, Motif]

    @classmethod
    def of(cls, task: TaskData, most: int, seed: int) -> Candidates:
        """Draw the candidates from a task's test sequences.

        Parameters
        ----------
        task : TaskData
        most : int
            At most so many, of those with a class.
        seed : int
            Of the draws.
        """
        data, rng = task.data, np.random.default_rng([seed, 11])
        rows = data.rows("test")
        rows = rng.permutation(rows[data.labels[rows].any(axis=1)])[:most]
        labels = data.labels[rows]
        # the largest of random numbers where the sequence is of the class: one of its classes, each as likely
        targets = np.where(labels > 0, rng.random(labels.shape), -1.0).argmax(axis=1)
        ids = [data.ids[row] for row in rows]
        codes = np.ascontiguousarray(data.codes[rows])
        placed, truth, low, other = _masks(task, ids, [data.classes[i] for i in targets], codes.shape[1])
        return cls(ids, codes, labels, targets, truth, low | (codes > 3), other, placed, task.matrices)


@dataclass(frozen=True)
class Scene:
    """The sequences of a model that are scored: those that it gets right with a score above 0.

    Attributes
    ----------
    model : SequenceModel
    candidates : Candidates
        Those that are scored, no others.
    x : Tensor, shape (N, 4, L)
    scores : ndarray, shape (N,)
        The explained logits.
    seed : int
        Of every random draw: the same for all methods and models of a task.
    left_out : dict of str to int
        Candidates that are not scored, by reason.
    known : dict
        What was worked out once for all methods, such as which motifs are causal.
    """

    model: SequenceModel
    candidates: Candidates
    x: Tensor
    scores: npt.NDArray[np.float64]
    seed: int
    left_out: dict[str, int]
    known: dict[Any, Any] = field(default_factory=dict)

    @property
    def targets(self) -> Tensor:
        """The explained outputs, (N,)."""
        return torch.from_numpy(self.candidates.targets)

    @property
    def unknown(self) -> BoolArray:
        """Where the base is N, (N, L)."""
        return np.asarray(self.candidates.codes > 3)

    @property
    def motifs(self) -> BoolArray:
        """Where a motif lies, of the explained class or not, (N, L)."""
        at = self.candidates
        return at.truth | at.distractor | at.ignore

    def __len__(self) -> int:
        return len(self.x)

    def first(self, n: int) -> Scene:
        """Return the first sequences alone."""
        chosen = _rows(self.candidates, np.arange(n))
        return replace(self, candidates=chosen, x=self.x[:n], scores=self.scores[:n])

    @classmethod
    def of(cls, model: SequenceModel, kind: str, candidates: Candidates, seed: int) -> Scene:
        """Choose what is scored of a model."""
        logits = predict(model, candidates.codes).numpy().astype(np.float64)
        scores = logits[np.arange(len(logits)), candidates.targets]
        status = _status(logits, scores, kind, candidates)
        kept = np.flatnonzero(status == SCORED)
        reasons = pd.Series(status).value_counts()
        chosen = _rows(candidates, kept)
        return cls(
            model=model,
            candidates=chosen,
            x=codes_to_one_hot(chosen.codes),
            scores=scores[kept],
            seed=seed,
            left_out={str(why): int(n) for why, n in reasons.items() if why != SCORED},
        )


def _status(
    logits: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], kind: str, candidates: Candidates
) -> npt.NDArray[np.object_]:
    """Say of each candidate whether it is scored, or the first reason that leaves it out."""
    missed = (logits.argmax(axis=1) != candidates.targets) & (kind == "multiclass")
    applies = (~candidates.truth.any(axis=1), missed, ~(scores > 0))
    return np.select(applies, (NO_TRUTH, MISSED, NOT_POSITIVE), SCORED).astype(object)


def _rows(of: Candidates, rows: npt.NDArray[np.intp]) -> Candidates:
    placed = of.placed[of.placed["record"].isin(rows)]
    number = pd.Series(np.arange(len(rows)), index=rows)
    return Candidates(
        ids=[of.ids[row] for row in rows],
        codes=of.codes[rows],
        labels=of.labels[rows],
        targets=of.targets[rows],
        truth=of.truth[rows],
        ignore=of.ignore[rows],
        distractor=of.distractor[rows],
        placed=placed.assign(record=number.loc[placed["record"]].to_numpy()).reset_index(drop=True),
        matrices=of.matrices,
    )


def _masks(
    task: TaskData, ids: list[str], classes: list[str], length: int
) -> tuple[pd.DataFrame, BoolArray, BoolArray, BoolArray]:
    """Return the placed motifs, and the masks of truth, bases without information, and other motifs: (N, L) each."""
    n = len(ids)
    names = np.asarray(ids, dtype=str)
    places = Places(names, names, np.zeros(n, np.int64), np.full(n, length), np.full(n, "+"))
    truth = task.truth[task.truth["chrom"].isin(ids)].reset_index(drop=True)
    placed = place_truth(truth, places, required=False)
    used = supports(placed, classes)
    masks = motif_masks(placed, used, information(placed, task.matrices), np.arange(n + 1) * length)
    shaped = (mask.reshape(n, length) for mask in (masks.truth, masks.uninformative, masks.distractor))
    table = placed[["record", "start", "end", "strand", "motif"]].assign(supports=used)
    return (table, *shaped)  # type: ignore[return-value]
