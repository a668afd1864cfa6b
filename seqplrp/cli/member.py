"""One model of a command, made ready: run as it is, explained, asked how sure it is."""

from __future__ import annotations

import copy
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from seqplrp.cli.loading import Loaded
from seqplrp.cli.method_options import as_method_options
from seqplrp.cli.targets import Score, scores_of
from seqplrp.errors import SeqplrpError
from seqplrp.genomics import Record, one_hot, reverse_complement
from seqplrp.lrp import Layout, Program
from seqplrp.methods import Explainer, Explanation, Method
from seqplrp.models import program_inputs

_TRACED_LENGTHS = 8  # explainers kept, each with a copy of the weights


@dataclass(frozen=True)
class Settings:
    """How models are run, whatever they are.

    Parameters
    ----------
    layout : {"NCL", "NLC"}
        What the models take.
    device : str or None
        Where to run; None is where the model is.
    batch_size : int, optional
        Sequences at a time.
    check : bool
        Whether to raise where a ledger does not add up.
    tf32, deterministic : bool
        See `seqplrp.methods.Explainer`.
    """

    layout: Layout = "NCL"
    device: str | None = None
    batch_size: int | None = None
    check: bool = False
    tf32: bool = False
    deterministic: bool = False


class Member:
    """A model made ready to explain records of any length that it takes.

    Parameters
    ----------
    loaded : Loaded
        The model.
    method : Method
        How to explain.
    score : callable, optional
        What picks the score from the model's outputs.
    spec : str, optional
        How the user named that.
    settings : Settings
        How to run.
    """

    def __init__(
        self, loaded: Loaded, method: Method, score: Score | None, spec: str | None, settings: Settings
    ) -> None:
        self.name, self.config = loaded.name, loaded.config
        self._module, self._method, self._settings = loaded.module, method, settings
        self._score, self._spec = score, spec
        self._shapes = program_inputs(loaded.module) if isinstance(loaded.module, Program) else ()
        self._fixed = self._shapes[0][0] if self._shapes else None
        self._of_length: OrderedDict[int, Explainer] = OrderedDict()
        self._any: Explainer | None = None
        self._scorer: nn.Module | None = None

    def outputs(self, record: Record, place: str) -> int:
        """Run the model once, as it is, on one record, and count its outputs.

        Parameters
        ----------
        record : Record
            What to run it on.
        place : str
            Where that stands, for errors.

        Raises
        ------
        SeqplrpError
            If it fails, gives what is not a finite number, or no list of scores.
        """
        x = one_hot([record.sequence])
        self._check_fits_program(record, x, place)
        parameter = next((p for p in self._module.parameters() if p.is_floating_point()), x)
        try:
            with torch.inference_mode():
                output = self._run(self._module, x.to(parameter.device, parameter.dtype))
        except SeqplrpError:
            raise
        except Exception as error:  # a user's own forward may raise anything
            reason = " ".join(str(error).split())[:300]
            raise SeqplrpError(
                place,
                f"the model fails on its {len(record)} bases ({type(error).__name__}: {reason})",
                "give sequences of the length that the model takes, or mend its forward",
            ) from error
        leaves = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        if not all(bool(torch.isfinite(leaf).all()) for leaf in leaves):
            raise SeqplrpError(
                "--model",
                f"its output on record {record.id!r} is not finite",
                "check its weights: some may be NaN or infinite",
            )
        shape = scores_of(output, self._score, self._spec).shape
        return 1 if len(shape) == 1 else shape[1]

    def _check_fits_program(self, record: Record, x: Tensor, place: str) -> None:
        """Raise where a saved program was exported for something else than this."""
        if not self._shapes:
            return
        if len(self._shapes) > 1:
            raise SeqplrpError(
                "--model",
                f"{self.name} takes {len(self._shapes)} inputs, and sequences are all that there is to give",
                "explain it in Python, with sp.explain(model, X, args=(...)), or export it with the others held fixed",
            )
        wanted, given = self._shapes[0], tuple(self._given(x).shape)
        if len(wanted) == len(given) and all(w in (None, g) for w, g in zip(wanted[1:], given[1:], strict=True)):
            return
        shown = "(" + ", ".join("N" if size is None else str(size) for size in wanted) + ")"
        lengths = [size for size in wanted[1:] if size != 4]
        if len(wanted) == 3 and sorted(map(str, wanted[1:])) == sorted(map(str, given[1:])):
            layout = "NCL" if self._settings.layout == "NLC" else "NLC"
            raise SeqplrpError("--layout", f"{self.name} takes {shown}", f"give --layout {layout}")
        raise SeqplrpError(
            place,
            f"has {len(record)} bases, and {self.name} was exported for {shown}",
            f"cut or extend the sequences to {lengths[0]} bases, or export it for others"
            if len(wanted) == 3 and len(lengths) == 1
            else "export it for one-hot sequences, (N, 4, L) or (N, L, 4)",
        )

    def _given(self, x: Tensor) -> Tensor:
        """Return sequences (N, 4, L) as the model takes them."""
        return x.transpose(1, 2) if self._settings.layout == "NLC" else x

    def _run(self, module: nn.Module, x: Tensor) -> Any:
        """Run a model on some sequences (N, 4, L); one that fixes its batch size, on batches filled up to it."""
        given = self._given(x)
        if self._fixed is None:
            return module(given)
        n, missing = len(x), -len(x) % self._fixed
        filled = torch.cat([given, given[-1:].expand(missing, *given.shape[1:])])
        parts = [module(part) for part in torch.split(filled, self._fixed)]
        return tree_map(lambda *pieces: torch.cat(pieces)[:n], *parts)

    def explain(self, x: Tensor, target: int | Literal["predicted"], ids: np.ndarray) -> Explanation:
        """Explain sequences (N, 4, L) of one length, called by their ids in errors."""
        target_given = None if self._score is not None else target
        if self._any is None:
            self._any = self.explainer(x[:1])
        try:  # one trace serves all lengths where the model allows it
            explanation = self._any(x, target_given, batch_size=self._settings.batch_size)
        except SeqplrpError:
            if self.explainer(x[:1]) is self._any:
                raise
            explanation = self.explainer(x[:1])(x, target_given, batch_size=self._settings.batch_size)
        if self._settings.check:
            _check(explanation, ids)
        return explanation

    def explainer(self, example: Tensor) -> Explainer:
        """Return an explainer whose graph is that of this input's length, traced if it is the first."""
        length = example.shape[2]
        if length not in self._of_length:
            self._of_length[length] = self._explainer(example)
            if len(self._of_length) > _TRACED_LENGTHS:
                self._of_length.popitem(last=False)
        self._of_length.move_to_end(length)
        return self._of_length[length]

    def _explainer(self, example: Tensor) -> Explainer:
        chosen = self._settings
        with _quiet_tracing(), as_method_options():
            return Explainer(
                self._module,
                example,
                self._method,
                target=self._score,
                layout=chosen.layout,
                device=chosen.device,
                tf32=chosen.tf32,
                deterministic=chosen.deterministic,
            )

    @property
    def device(self) -> str:
        """Where it runs."""
        assert self._any is not None
        return str(self._any.device)

    def probability(self, explanation: Explanation, x: Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the explained output's probability (N,), and those of all outputs (N, outputs).

        The first is NaN and the second None where the model's kind, or its own last step, does not tell.
        """
        assert self._any is not None
        left_out = self._any.graph.left_out
        kind = None if self.config is None or self._score is not None else self.config.kind
        if kind in ("binary", "multilabel") or left_out == "sigmoid":
            return torch.sigmoid(explanation.output.double()).numpy(), None
        if not (kind == "multiclass" or left_out == "softmax") or explanation.target is None:
            return np.full(len(x), np.nan), None
        scores = self._scores(x)
        if self._method.reverse_complement:
            scores = (scores + self._scores(reverse_complement(x))) / 2
        probabilities = scores if left_out == "softmax" else scores.softmax(1)
        explained = probabilities.gather(1, explanation.target[:, None]).squeeze(1)
        return explained.numpy(), probabilities.numpy()

    def _scores(self, x: Tensor) -> Tensor:
        """Return what the model itself gives: (N, outputs)."""
        if self._scorer is None:  # a copy where the work is done: the user's model is not moved
            there = torch.device(self.device)
            place = next((p for p in self._module.parameters()), None)
            moved = place is not None and place.device != there
            self._scorer = copy.deepcopy(self._module).to(there) if moved else self._module
        scorer = self._scorer
        dtype = next((p.dtype for p in scorer.parameters() if p.is_floating_point()), x.dtype)
        with torch.inference_mode():
            parts = torch.split(x, self._settings.batch_size or 256)
            return torch.cat([self._run(scorer, part.to(self.device, dtype)) for part in parts]).cpu().double()


def _check(explanation: Explanation, ids: np.ndarray) -> None:
    """Raise where the ledger does not add up, and name the record."""
    try:
        explanation.check()
    except SeqplrpError as error:
        layer, found, number = error.where.rpartition(", sequence ")
        if not found:
            raise SeqplrpError("--check", error.what, error.remedy) from error
        raise SeqplrpError(f"{layer}, record {ids[int(number)]!r}", error.what, error.remedy) from error


@contextmanager
def _quiet_tracing() -> Iterator[None]:
    # torch logs what it could not trace at length before it raises; the error itself says it in a line.
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(previous)
