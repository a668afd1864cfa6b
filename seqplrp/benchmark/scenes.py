"""What all methods of one model see: the same inputs, targets, truth and random draws."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from seqplrp.methods import Method

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
A = TypeVar("A", bound=np.generic)

SCORED = "scored"
"""The status of a candidate that is scored; any other one is the reason that leaves it out."""


@dataclass(frozen=True)
class Candidates:
    """The test inputs of a task that are to be explained; the same for every model.

    A map has a value at each position: (L,) bases of a sequence, (H, W) pixels of an image. P is their shape.

    Attributes
    ----------
    ids : list of str
    targets : ndarray of int64, shape (N,)
        The explained outputs.
    truth, ignore, distractor : ndarray of bool, shape (N, *P)
        What supports the explained output; what is neither truth nor background; what might be taken for the truth.
    """

    ids: list[str]
    targets: npt.NDArray[np.int64]
    truth: BoolArray
    ignore: BoolArray
    distractor: BoolArray

    @property
    def unknown(self) -> BoolArray:
        """Where there is nothing to compare or to take away, such as unknown bases or padding: (N, *P)."""
        return np.zeros(self.truth.shape, dtype=bool)

    def rows(self, chosen: npt.NDArray[np.intp]) -> Self:
        """Return some of them, in this order. A subclass that holds more takes its own along."""
        return replace(
            self,
            ids=[self.ids[row] for row in chosen],
            targets=self.targets[chosen],
            truth=self.truth[chosen],
            ignore=self.ignore[chosen],
            distractor=self.distractor[chosen],
        )


@dataclass(frozen=True)
class Scene:
    """The inputs of a model that are scored, such as those that it gets right with a score above 0.

    Attributes
    ----------
    model : nn.Module
    candidates : Candidates
        Those that are scored, no others.
    x : Tensor, shape (N, C, *P)
    scores : ndarray, shape (N,)
        The explained logits.
    seed : int
        Of every random draw: the same for all methods and models of a task.
    left_out : dict of str to int
        Candidates that are not scored, by reason.
    known : dict
        What was worked out once for all methods, such as which motifs are causal.
    """

    model: nn.Module
    candidates: Candidates
    x: Tensor
    scores: FloatArray
    seed: int
    left_out: dict[str, int]
    known: dict[Any, Any] = field(default_factory=dict)

    @property
    def targets(self) -> Tensor:
        """The explained outputs, (N,)."""
        return torch.from_numpy(self.candidates.targets)

    @property
    def unknown(self) -> BoolArray:
        """Where there is nothing to compare or to take away, (N, *P)."""
        return self.candidates.unknown

    @property
    def marked(self) -> BoolArray:
        """What is not plain background: truth, distractors and what is ignored, (N, *P)."""
        at = self.candidates
        return at.truth | at.distractor | at.ignore

    def __len__(self) -> int:
        return len(self.x)

    def suited(self, method: Method) -> Method:
        """Return a method as it is for this model: where a domain's methods depend on what a model takes."""
        return method

    def first(self, n: int) -> Self:
        """Return the first inputs alone."""
        return replace(self, candidates=self.candidates.rows(np.arange(n)), x=self.x[:n], scores=self.scores[:n])


def scored_rows(status: npt.NDArray[np.object_]) -> tuple[npt.NDArray[np.intp], dict[str, int]]:
    """Return which candidates are scored, and how many are left out by each reason, most first.

    Parameters
    ----------
    status : ndarray of str, shape (N,)
        `SCORED`, or the first reason that leaves a candidate out.
    """
    reasons = pd.Series(status).value_counts()
    return np.flatnonzero(status == SCORED), {str(why): int(n) for why, n in reasons.items() if why != SCORED}


def flat(maps: npt.NDArray[A]) -> npt.NDArray[A]:
    """Return maps or masks (N, *P) with one row an input, (N, positions), as measures take them."""
    return maps.reshape(len(maps), math.prod(maps.shape[1:]))
