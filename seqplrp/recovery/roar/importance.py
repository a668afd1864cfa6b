"""How important each base is: maps that are given, or functions that make them of a trained model."""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import codes_to_one_hot
from seqplrp.methods import Explainer, Method, resolve_method, settled
from seqplrp.models import SequenceData, SequenceModel
from seqplrp.recovery.roar.masks import Codes, Floats, Masks
from seqplrp.recovery.roar.options import CONTROLS

ImportanceFunction = Callable[[SequenceModel, Codes], npt.ArrayLike]
"""From a model, trained on the data as they are, and all its sequences (N, L) to importance (N, L), higher for more."""


@dataclass(frozen=True)
class EvidenceForPrediction:
    """An importance function of an attribution method; `evidence_for_prediction` makes it.

    Parameters
    ----------
    method : Method
    batch_size : int, optional
        Sequences at a time.
    """

    method: Method
    batch_size: int | None = None

    @property
    def description(self) -> str:
        """What it resolves to: the method with what it falls back on written out, such as rules and a budget."""
        return f"evidence for the prediction by {settled(self.method)!r}"

    def __call__(self, model: SequenceModel, codes: Codes) -> Floats:
        """Return the relevance of each base for what the model predicts, (N, L)."""
        outputs = model.n_outputs
        if outputs > 1 and model.config is not None and model.config.kind == "multilabel":
            raise SeqplrpError(
                "evidence_for_prediction", "a multi-label model predicts no one class", "write a function of your own"
            )
        explainer = Explainer(model, codes_to_one_hot(codes[:1]), self.method)
        target: Literal["predicted"] | None = "predicted" if outputs > 1 else None
        found = []
        for part in np.array_split(codes, max(1, len(codes) // 2000)):
            explanation = explainer(codes_to_one_hot(part), target, batch_size=self.batch_size)
            sign = np.where(explanation.output.numpy() < 0, -1.0, 1.0) if outputs == 1 else np.ones(len(part))
            found.append(explanation.per_base.numpy() * sign[:, None])
        return np.concatenate(found)


def evidence_for_prediction(method: str | Method, *, batch_size: int | None = None) -> EvidenceForPrediction:
    """Make an importance function of an attribution method: its relevance for what the model predicts.

    Labels are never used: a map for the true class would tell it through the mask. Of a model with one output, maps of
    sequences with a negative score are turned in sign, so that the evidence for the negative class comes first.

    Parameters
    ----------
    method : str or Method
        As `seqplrp.explain` takes it.
    batch_size : int, optional
        Sequences at a time.
    """
    return EvidenceForPrediction(resolve_method(method), batch_size)


def function_described(function: ImportanceFunction) -> str:
    """Say what a function is: what it says itself, or else its name and a hash of its source text."""
    said = getattr(function, "description", None)
    if isinstance(said, str):
        return said
    name = getattr(function, "__qualname__", type(function).__qualname__)
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # built in, or of an object or a session that keeps no source
        return f"function {name}"
    return f"function {name}, source {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def checked_importance(
    importance: Mapping[str, npt.ArrayLike | ImportanceFunction], data: SequenceData
) -> dict[str, Floats | ImportanceFunction]:
    """Return each method's maps or function, or raise a SeqplrpError for names and maps that can't be."""
    found: dict[str, Floats | ImportanceFunction] = {}
    for name, one in importance.items():
        if not isinstance(name, str) or not name.strip() or name in CONTROLS:
            raise SeqplrpError(
                "importance", f"a method is called {name!r}", f"choose another name than {', '.join(CONTROLS)}"
            )
        found[name] = one if callable(one) else checked_map(one, name, data)
    return found


def checked_map(values: npt.ArrayLike, name: str, data: SequenceData) -> Floats:
    """Return one method's maps (N, L), or raise a SeqplrpError unless every base of every sequence has a number."""
    array = np.asarray(values)
    if array.shape != data.codes.shape or array.dtype.kind not in "fiub":
        raise SeqplrpError(
            f"importance {name!r}",
            f"has shape {array.shape} and type {array.dtype} for sequences {data.codes.shape}",
            "give a number for every base of every sequence, all splits",
        )
    if not np.isfinite(array).all():
        raise SeqplrpError(f"importance {name!r}", "holds values that are not finite", "mend the maps")
    return array.astype(np.float64)


def checked_truth(truth: npt.ArrayLike | None, data: SequenceData) -> Masks | None:
    """Return the mask of true positions (N, L), or raise a SeqplrpError unless it is one."""
    if truth is None:
        return None
    array = np.asarray(truth)
    if array.shape != data.codes.shape or not np.isin(array, (0, 1)).all():
        raise SeqplrpError(
            "truth", f"has shape {array.shape}, or other values than 0 and 1", f"give a mask {data.codes.shape}"
        )
    if not array.any():
        raise SeqplrpError("truth", "marks no position", "leave it out")
    return array.astype(bool)
