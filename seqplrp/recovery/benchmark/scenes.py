"""What all methods of one model see: the same sequences, targets, truth and random draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.benchmark import Candidates as AnyCandidates
from seqplrp.benchmark import Network, scored_rows
from seqplrp.benchmark import Scene as AnyScene
from seqplrp.genomics import codes_to_one_hot
from seqplrp.genomics.motifs import Motif
from seqplrp.models import SequenceModel, predict
from seqplrp.recovery.benchmark.tasks import TaskData
from seqplrp.recovery.scoring import MISSED, NO_TRUTH, NOT_POSITIVE, SCORED
from seqplrp.recovery.truth import Places, information, motif_masks, place_truth, supports

Codes = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidates(AnyCandidates):
    """The test sequences of a task that are to be explained; the same for every model.

    Attributes
    ----------
    ids : list of str
    targets : ndarray of int64, shape (N,)
        The explained output: the sequence's class, or one of its classes drawn at random.
    truth, ignore, distractor : ndarray of bool, shape (N, L)
        In a motif that supports the explained class; of no information, or unknown; in another motif.
    codes : ndarray of uint8, shape (N, L)
    labels : ndarray, shape (N, C)
    placed : DataFrame
        The motifs: ``record`` (row of these arrays), ``start``, ``end``, ``strand``, ``motif``, ``supports``.
    matrices : mapping of str to Motif
        The motifs by name.
    """

    codes: Codes
    labels: npt.NDArray[np.float32]
    placed: pd.DataFrame
    matrices: Mapping[str, Motif]

    @property
    def unknown(self) -> BoolArray:
        """Where the base is N, (N, L)."""
        return np.asarray(self.codes > 3)

    def rows(self, chosen: npt.NDArray[np.intp]) -> Self:
        """Return some of them, in this order, with their motifs."""
        placed = self.placed[self.placed["record"].isin(chosen)]
        number = pd.Series(np.arange(len(chosen)), index=chosen)
        return replace(
            super().rows(chosen),
            codes=self.codes[chosen],
            labels=self.labels[chosen],
            placed=placed.assign(record=number.loc[placed["record"]].to_numpy()).reset_index(drop=True),
        )

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
        return cls(ids, targets, truth, low | (codes > 3), other, codes, labels, placed, task.matrices)


@dataclass(frozen=True)
class Scene(AnyScene):
    """The sequences of a model that are scored: those that it gets right with a score above 0.

    Attributes
    ----------
    model : SequenceModel
    candidates : Candidates
        Those that are scored, no others.
    x : Tensor, shape (N, 4, L)
    """

    model: SequenceModel
    candidates: Candidates

    @classmethod
    def of(cls, model: SequenceModel, kind: str, candidates: Candidates, seed: int) -> Scene:
        """Choose what is scored of a model."""
        logits = predict(model, candidates.codes).numpy().astype(np.float64)
        scores = logits[np.arange(len(logits)), candidates.targets]
        status = _status(logits, scores, kind, candidates)
        kept, left_out = scored_rows(status)
        chosen = candidates.rows(kept)
        return cls(
            model=model,
            candidates=chosen,
            x=codes_to_one_hot(chosen.codes),
            scores=scores[kept],
            seed=seed,
            left_out=left_out,
        )


def scene_of(network: Network, data: TaskData, candidates: Candidates, seed: int) -> Scene:
    """Choose what is scored of a cell's model."""
    model = network.module
    assert isinstance(model, SequenceModel)
    return Scene.of(model, data.data.kind, candidates, seed)


def _status(
    logits: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], kind: str, candidates: Candidates
) -> npt.NDArray[np.object_]:
    """Say of each candidate whether it is scored, or the first reason that leaves it out."""
    missed = (logits.argmax(axis=1) != candidates.targets) & (kind == "multiclass")
    applies = (~candidates.truth.any(axis=1), missed, ~(scores > 0))
    return np.select(applies, (NO_TRUTH, MISSED, NOT_POSITIVE), SCORED).astype(object)


def _masks(
    task: TaskData, ids: list[str], classes: list[str], length: int
) -> tuple[pd.DataFrame, BoolArray, BoolArray, BoolArray]:
    """Return the placed motifs, and the masks of truth, bases without information, and other motifs: (N, L) each."""
    n = len(ids)
    names = np.asarray(ids, dtype=str)
    places = Places(names, names, np.zeros(n, np.int64), np.full(n, length), np.full(n, "+"))
    known = task.truth[task.truth["chrom"].isin(ids)].reset_index(drop=True)
    placed = place_truth(known, places, required=False)
    used = supports(placed, classes)
    masks = motif_masks(placed, used, information(placed, task.matrices), np.arange(n + 1) * length)
    truth, low, other = (mask.reshape(n, length) for mask in (masks.truth, masks.uninformative, masks.distractor))
    return placed[["record", "start", "end", "strand", "motif"]].assign(supports=used), truth, low, other
