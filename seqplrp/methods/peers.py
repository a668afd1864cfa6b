"""The field through its own libraries: DeepLIFT/SHAP and ISM by tangermeme, integrated gradients by captum.

They run on what was traced (`TracedModel`), not on the user's module. So they explain the very logit that ours explain,
with a closing sigmoid or softmax left out, a callable target or another layout included; hooks find every activation,
also one that forward calls as a function; and whatever a library leaves behind, after an error too, is left on a copy.
"""

from __future__ import annotations

import threading
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import Graph, Plan
from seqplrp.methods.base import Attribution, Batch, Prepared, score_of
from seqplrp.methods.batching import batch_size, bytes_for_one
from seqplrp.methods.deeplift import rules as deeplift_rules
from seqplrp.methods.deeplift import wrapper_for
from seqplrp.methods.extras import captum, tangermeme
from seqplrp.methods.gradients import check_continuous
from seqplrp.methods.references import References, check_drawing, check_one_hot, drawn, shown
from seqplrp.methods.settings import check_choice, check_count
from seqplrp.methods.traced import (
    PreparedTraced,
    TracedMethod,
    TracedModel,
    Wrap,
    outside_inference,
    scores_of,
    traced_of,
    with_autograd,
)


class Scored(nn.Module):
    """A traced model as libraries want it: inputs, then (N, 1), the explained score.

    Parameters
    ----------
    traced : TracedModel
        The model.
    others : tuple of Tensor
        Examples of its further inputs, whose dtypes libraries may change on the way.
    has_target : bool
        Whether the last input is each sequence's index of the explained output.
    """

    def __init__(self, traced: TracedModel, others: tuple[Tensor, ...], *, has_target: bool) -> None:
        super().__init__()
        self.traced, self.has_target = traced, has_target
        self._dtypes = tuple(other.dtype for other in others)
        self.eval()

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """Return the explained score (N, 1)."""
        others, target = (more[:-1], more[-1].long()) if self.has_target else (more, None)
        cast = [other.to(dtype) for other, dtype in zip(others, self._dtypes, strict=True)]
        return score_of(self.traced(x, *cast), target).unsqueeze(1)


@dataclass(frozen=True)
class Question:
    """What a library is asked: a module, its inputs, and how many of them may run at once.

    Attributes
    ----------
    module : Scored
        From inputs to the score (N, 1).
    x : Tensor
        (N, 4, L).
    args : tuple of Tensor
        The module's further inputs (N, ...).
    rows : int
        How many inputs fit at once.
    """

    module: Scored
    x: Tensor
    args: tuple[Tensor, ...]
    rows: int


@dataclass(frozen=True, kw_only=True)
class Peer(TracedMethod):
    """A method of another library."""

    def prepare(self, model: nn.Module, graph: Graph, device: torch.device | None) -> PreparedTraced:
        if graph.input_shape[0] is not None:
            raise SeqplrpError(
                type(model).__name__,
                f"is a program of a fixed batch size, {graph.input_shape[0]}, and {self!r} runs many inputs at once",
                "export it with a free batch size: dynamic_shapes=({0: torch.export.Dim.AUTO},)",
            )
        self.check_library()
        return super().prepare(model, graph, device)

    @abstractmethod
    def check_library(self) -> None:
        """Raise a SeqplrpError where the library is not installed."""

    @abstractmethod
    def check_input(self, x: Tensor) -> None:
        """Raise a SeqplrpError where the method does not suit the input."""

    @abstractmethod
    def hypothetical(self, question: Question) -> tuple[Tensor, tuple[str, ...]]:
        """Return hypothetical contributions (N, ...) and what the library said about them."""

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        self.check_input(batch.x)
        traced, found = traced_of(prepared), []
        with with_autograd():
            batch = outside_inference(batch)
            rows = _rows(prepared, batch.x)
            for score, target in scores_of(traced, batch):
                module = Scored(traced, batch.others, has_target=target is not None)
                args = batch.others if target is None else (*batch.others, target)
                contributions, notes = self.hypothetical(Question(module, batch.x, args, rows))
                contributions = contributions.detach().to(batch.x.device, batch.x.dtype)
                found.append(Attribution(batch.x * contributions, contributions, score, target, notes=notes))
        return found


def _rows(prepared: Prepared, x: Tensor) -> int:
    """Return how many inputs may run at once: as many as the engine would take by itself."""
    return batch_size(None, bytes_for_one(prepared.plan, x.shape[-1], x.dtype), x.device)


@dataclass(frozen=True, kw_only=True)
class DeepLIFTSHAP(Peer):
    """DeepLIFT/SHAP: DeepLIFT's multipliers against several references, averaged; by tangermeme.

    Parameters
    ----------
    n_shuffles : int
        How many references each sequence has.
    references : callable, optional
        From (x, n, seed) to one-hot references (N, n, 4, L), `seqplrp.shuffled_references` say; tangermeme's
        dinucleotide shuffles unless given.
    seed : int
        Seeds the references; with it, a sequence's are always the same, whatever else is in the batch.
    center, reverse_complement
        See `Method`.

    Notes
    -----
    Source: Lundberg and Lee 2017; Shrikumar et al. 2017; Schreiber's tangermeme, whose hypothetical attributions these
    are: for each base, what the map would be were it in place of the reference's. Relevance is the input times them,
    and its sum is the score less the references' mean score. Unknown bases get 0, and what falls on them is left out of
    the sum. Where an operation has no DeepLIFT rule it is taken for linear; then tangermeme's convergence deltas are
    large, and a note says so.
    """

    n_shuffles: int = 20
    references: References | None = None
    seed: int = 0

    __repr__ = shown

    def __post_init__(self) -> None:
        super().__post_init__()
        check_drawing(self.n_shuffles, self.references, self.seed)

    @property
    def notes(self) -> tuple[str, ...]:
        if self.center is not None:
            return ()
        return ("DeepLIFT/SHAP: the map sums to the score less its mean over the references",)

    def check_library(self) -> None:
        tangermeme("deeplift-shap")

    def check_input(self, x: Tensor) -> None:
        check_one_hot(x, self)

    def wrapper(self, plan: Plan) -> Wrap:
        return wrapper_for(plan)

    def hypothetical(self, question: Question) -> tuple[Tensor, tuple[str, ...]]:
        references = drawn(self.references, question.x, self.n_shuffles, self.seed)
        with _heard() as said:
            found: Tensor = tangermeme("deeplift-shap").deep_lift_shap.deep_lift_shap(
                question.module,
                question.x,
                args=question.args or None,
                target=0,
                batch_size=max(1, question.rows // 4),  # a pair is two rows, of which hooks keep what autograd keeps
                references=references,
                hypothetical=True,
                additional_nonlinear_ops=deeplift_rules(),
                only_warn=True,  # of unknown bases, which stand as zeros
                dtype=question.x.dtype,
                device=question.x.device,
            )
        return found, tuple(said)


@dataclass(frozen=True, kw_only=True)
class ISM(Peer):
    """In-silico saturation mutagenesis: the change of the score by every substitution; by tangermeme.

    Parameters
    ----------
    center, reverse_complement
        See `Method`.

    Notes
    -----
    The hypothetical contribution of a base is the score with it in place, less the mean over the four bases at that
    position; relevance is that of the base that is present, so an important base has a positive one. So it is centred
    uniformly as it is. It does not sum to the score. Unknown bases get 0. Every substitution is a forward pass of its
    own: tangermeme's shortcut (``fast=True``) is left out, as it decides by the clock whether it serves.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        return ("ISM: differences of the score, which do not sum to it",)

    def check_library(self) -> None:
        tangermeme("ism")

    def check_input(self, x: Tensor) -> None:
        check_one_hot(x, self)

    def hypothetical(self, question: Question) -> tuple[Tensor, tuple[str, ...]]:
        with _heard() as said:
            found: Tensor = tangermeme("ism").saturation_mutagenesis.saturation_mutagenesis(
                question.module,
                question.x,
                args=question.args or None,
                batch_size=question.rows,
                target=0,
                hypothetical=True,
                dtype=question.x.dtype,
                device=question.x.device,
                fast=False,
            )
        return found, tuple(said)


@dataclass(frozen=True, kw_only=True)
class IntegratedGradients(Peer):
    """Integrated gradients: the mean gradient on the way from a baseline to the input; by captum.

    Parameters
    ----------
    steps : int
        Points of the Gauss-Legendre quadrature.
    baseline : {"zeros", "shuffles"}
        Where the way starts: at a sequence of unknown bases, or at references, over which the maps are averaged (as in
        expected gradients); then it costs `n_shuffles` times as much.
    n_shuffles, references, seed
        With ``baseline="shuffles"``, as in `DeepLIFTSHAP`.
    center, reverse_complement
        See `Method`.

    Notes
    -----
    Source: Sundararajan, Taly and Yan 2017. From a baseline s with mean gradient g, the hypothetical contribution of
    base b is ``g_b - sum_c s_c g_c``, what the position would have were b in place of the baseline's base; from zeros
    it is g itself. Relevance is the input times it, so a position's relevance is its integrated gradient and the map
    sums to the score less the baseline's, but for what falls on unknown bases. captum holds the quadrature's weights in
    single precision.
    """

    steps: int = 50
    baseline: Literal["zeros", "shuffles"] = "zeros"
    n_shuffles: int = 20
    references: References | None = None
    seed: int = 0

    __repr__ = shown

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("steps", self.steps)
        check_choice("baseline", self.baseline, ("zeros", "shuffles"))
        check_drawing(self.n_shuffles, self.references, self.seed)
        if self.references is not None and self.baseline == "zeros":
            raise SeqplrpError("references", "are given beside a baseline of zeros", "set baseline='shuffles'")

    @property
    def notes(self) -> tuple[str, ...]:
        if self.center is not None:
            return ()
        less = "value at a sequence of zeros" if self.baseline == "zeros" else "mean over the references"
        return (f"integrated gradients: the map sums to the score less its {less}",)

    def check_library(self) -> None:
        captum("integrated-gradients")
        if self.baseline == "shuffles" and self.references is None:
            tangermeme("integrated-gradients")

    def check_input(self, x: Tensor) -> None:
        check_continuous(x, self)
        if self.baseline == "shuffles":
            check_one_hot(x, self)

    def hypothetical(self, question: Question) -> tuple[Tensor, tuple[str, ...]]:
        x = question.x
        starts = x.new_zeros(len(x), 1, *x.shape[1:])
        if self.baseline == "shuffles":
            starts = drawn(self.references, x, self.n_shuffles, self.seed)
        total, missed = torch.zeros_like(x), False
        for start in starts.unbind(1):
            gradient = self._mean_gradient(question, start)
            missed = missed or _misses(question, start, gradient)
            total += gradient if self.baseline == "zeros" else gradient - (start * gradient).sum(1, keepdim=True)
        note = (
            "integrated gradients: some sums miss the scores' difference by more than 5 % of the map: give more steps"
        )
        return total / starts.shape[1], (note,) if missed else ()

    def _mean_gradient(self, question: Question, start: Tensor) -> Tensor:
        method = captum("integrated-gradients").attr.IntegratedGradients(question.module, multiply_by_inputs=False)
        found: Tensor = method.attribute(
            question.x,
            start,
            target=0,
            additional_forward_args=question.args or None,
            n_steps=self.steps,
            internal_batch_size=max(len(question.x), question.rows),
        )
        return found.detach()


def _misses(question: Question, start: Tensor, gradient: Tensor) -> bool:
    """Say whether a map's sum is off the difference of its scores by more than 5 % of the map's size."""
    with torch.no_grad():
        difference = (question.module(question.x, *question.args) - question.module(start, *question.args))[:, 0]
    found = ((question.x - start) * gradient).flatten(1)
    return bool(((found.sum(1) - difference).abs() > 0.05 * found.abs().sum(1)).any())


_LISTENING = threading.Lock()
"""Held by the one thread that listens to warnings: which are heard is a setting of the whole process."""


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Turn tangermeme's warnings about what it found into notes, and pass on all others."""
    said: list[str] = []
    with _LISTENING, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    for warning in caught:
        text = str(warning.message)
        note = next((note for start, note in _NOTES.items() if text.startswith(start)), None)
        if note is None:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif note and note not in said:
            said.append(note)


_NOTES: dict[str, str] = {
    "Convergence deltas too high": "DeepLIFT/SHAP: tangermeme's convergence deltas are above 0.001 for some "
    "references: an operation has no DeepLIFT rule, or scores are so large that single precision shows",
    "Convergence deltas are": "DeepLIFT/SHAP: tangermeme's convergence deltas are above 1 % of the scores' "
    "differences: an operation has no DeepLIFT rule and was taken for linear",
    "X must be one-hot encoded and cannot have unknown": "",  # they stand as zeros and get 0
}
"""What tangermeme's warnings begin with, and the note that each becomes; an empty one is none."""
