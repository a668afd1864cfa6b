"""Explain one chunk of records: the unit of work of ``seqplrp explain``."""

from __future__ import annotations

import copy
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from seqplrp.cli.errors import as_options
from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import gini
from seqplrp.genomics import Record, one_hot, reverse_complement
from seqplrp.methods import Explainer, Explanation, Method
from seqplrp.models import ModelConfig

_CHUNK_BASES = 1 << 20  # one-hot, relevance and contributions of a chunk then take about 50 MB
_CHUNK_RECORDS = 1024
_TRACED_LENGTHS = 8  # explainers kept, each with a copy of the weights


@dataclass(frozen=True)
class Chunk:
    """What was found for some records, in their order.

    Parameters
    ----------
    per_base : list of (L,) float32 arrays
        Relevance of each position.
    hypothetical : list of (4, L) float32 arrays, or None
        Hypothetical contributions, if the method has them.
    summary : DataFrame
        One row a record; see `summarise`.
    ledger : DataFrame
        One row a record and layer, with the record's ``id`` first.
    notes : tuple of str
        What a reader of the maps must know.
    seconds : float
        Time in the engine.
    """

    per_base: list[np.ndarray]
    hypothetical: list[np.ndarray] | None
    summary: pd.DataFrame
    ledger: pd.DataFrame
    notes: tuple[str, ...]
    seconds: float


def chunks_of(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Cut a stream of records into lists that are bounded in bases and in number."""
    chunk: list[Record] = []
    bases = 0
    for record in records:
        if chunk and (bases + len(record) > _CHUNK_BASES or len(chunk) == _CHUNK_RECORDS):
            yield chunk
            chunk, bases = [], 0
        chunk.append(record)
        bases += len(record)
    if chunk:
        yield chunk


class Session:
    """A model made ready to explain chunks of records of any length that it takes.

    Parameters
    ----------
    model : Module
        What is explained.
    config : ModelConfig, optional
        Its description, if seqplrp trained it: names of classes, kind of output.
    method : Method
        How.
    target : str, optional
        An output's number, a class's name, "predicted", or None if the model has one output.
    example : Record
        The model is traced on this record; what does not fit is an error here, before any work.
    device : str or None
        Where to run; None is where the model is.
    batch_size : int, optional
        Sequences at a time.

    Raises
    ------
    SeqplrpError
        If the model cannot be traced, the method does not suit it, or it has no such target.
    """

    def __init__(
        self,
        model: nn.Module,
        config: ModelConfig | None,
        method: Method,
        *,
        target: str | None,
        example: Record,
        device: str | None = None,
        batch_size: int | None = None,
    ) -> None:
        self._model, self._config, self._method = model, config, method
        self._device, self._batch_size = device, batch_size
        self._explainers: OrderedDict[int, Explainer] = OrderedDict()
        self._scorer: nn.Module | None = None
        self.classes = [] if config is None else list(config.classes)
        shape = _output_shape(model, example)
        if len(shape) > 2:
            raise SeqplrpError(
                "--target",
                f"the model gives {' x '.join(map(str, shape[1:]))} numbers a sequence, no list of scores",
                "wrap the model in one that gives a score, or a list of them, and name that as --model",
            )
        self.target = resolve_target(target, 1 if len(shape) == 1 else shape[1], self.classes)
        explainer = self.explainer(one_hot([example.sequence]))
        self.device = str(explainer.device)
        self.has_hypothetical = self.explain([example]).hypothetical is not None

    def explain(self, records: Sequence[Record]) -> Chunk:
        """Explain records; those of one length go through the model together."""
        of_length: dict[int, list[int]] = defaultdict(list)
        for i, record in enumerate(records):
            of_length[len(record)].append(i)
        parts = [self._explain_equal([records[i] for i in rows], rows) for rows in of_length.values()]
        order = np.argsort([i for rows in of_length.values() for i in rows])
        per_base = [row for part in parts for row in part.per_base]
        hypothetical = [row for part in parts for row in part.hypothetical or ()]
        summary = pd.concat([part.summary for part in parts]).iloc[order]
        ledger = pd.concat([part.ledger for part in parts]).sort_index(kind="stable")
        return Chunk(
            per_base=[per_base[i] for i in order],
            hypothetical=[hypothetical[i] for i in order] if hypothetical else None,
            summary=summary,
            ledger=ledger,
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
            seconds=sum(part.seconds for part in parts),
        )

    def _explain_equal(self, records: list[Record], rows: list[int]) -> Chunk:
        x = one_hot([record.sequence for record in records])
        began = time.perf_counter()
        explainer = self.explainer(x[:1])
        explanation = explainer(x, self.target, batch_size=self._batch_size)
        per_base = explanation.per_base.numpy()
        seconds = time.perf_counter() - began
        probability, predicted = self._certainty(explanation, x, explainer.graph.left_out)
        ids = np.array([record.id for record in records], dtype=object)
        ledger = explanation.ledger
        within = ledger["sequence"].to_numpy(dtype=int)
        ledger = ledger.drop(columns="sequence").set_axis(np.array(rows)[within], axis=0)
        ledger.insert(0, "id", ids[within])
        return Chunk(
            per_base=list(per_base),
            hypothetical=list(explanation.hypothetical.numpy()) if explanation.has_hypothetical else None,
            summary=summarise(records, x, explanation, probability, predicted, self.classes),
            ledger=ledger,
            # The number of negative scores in a chunk means nothing to the reader: all are counted at the end.
            notes=tuple(note for note in explanation.notes if not note[:1].isdigit()),
            seconds=seconds,
        )

    def explainer(self, example: Tensor) -> Explainer:
        """Return the explainer for inputs of this one's length, traced if it is the first."""
        length = example.shape[2]
        if length not in self._explainers:
            with _quiet_tracing(), as_options("method", "rule", "p", "budget", "center", "device"):
                self._explainers[length] = Explainer(self._model, example, self._method, device=self._device)
            if len(self._explainers) > _TRACED_LENGTHS:
                self._explainers.popitem(last=False)
        self._explainers.move_to_end(length)
        return self._explainers[length]

    def _certainty(
        self, explanation: Explanation, x: Tensor, left_out: str | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the explained output's probability (N,), and which output is the most probable (N,).

        The first is NaN and the second None where the model's kind, or its own last step, does not tell.
        """
        kind = None if self._config is None else self._config.kind
        if kind in ("binary", "multilabel") or left_out == "sigmoid":
            return torch.sigmoid(explanation.output.double()).numpy(), None
        if not (kind == "multiclass" or left_out == "softmax") or explanation.target is None:
            return np.full(len(x), np.nan), None
        scores = self._scores(x)
        if self._method.reverse_complement:
            scores = (scores + self._scores(reverse_complement(x))) / 2
        probabilities = scores if left_out == "softmax" else scores.softmax(1)
        explained = probabilities.gather(1, explanation.target[:, None]).squeeze(1)
        return explained.numpy(), probabilities.argmax(1).numpy()

    def _scores(self, x: Tensor) -> Tensor:
        """Return what the model itself gives: (N, outputs)."""
        if self._scorer is None:  # a copy where the work is done: the user's model is not moved
            there = torch.device(self.device)
            place = next((p for p in self._model.parameters()), None)
            moved = place is not None and place.device != there
            self._scorer = copy.deepcopy(self._model).to(there) if moved else self._model
        dtype = next((p.dtype for p in self._scorer.parameters() if p.is_floating_point()), x.dtype)
        with torch.inference_mode():
            parts = [self._scorer(part.to(self.device, dtype)) for part in torch.split(x, self._batch_size or 256)]
            return torch.cat([part[0] if isinstance(part, tuple | list) else part for part in parts]).cpu().double()


def check_model_takes(model: nn.Module, record: Record) -> None:
    """Run the model once, as it is, on one record.

    Raises
    ------
    SeqplrpError
        If it fails, or gives what is not a finite number.
    """
    _output_shape(model, record)


def _output_shape(model: nn.Module, record: Record) -> tuple[int, ...]:
    x = one_hot([record.sequence])
    place = next((p for p in model.parameters() if p.is_floating_point()), x)
    try:
        with torch.inference_mode():
            output = model(x.to(place.device, place.dtype))
    except SeqplrpError:
        raise
    except Exception as error:  # a user's own forward may raise anything
        reason = " ".join(str(error).split())
        raise SeqplrpError(
            f"record {record.id!r}",
            f"the model fails on its {len(record)} bases ({type(error).__name__}: {reason})",
            "give sequences of the length that the model takes, or mend its forward",
        ) from error
    if isinstance(output, tuple | list) and output:
        output = output[0]  # the first one is what the engine explains
    if not isinstance(output, Tensor):
        raise SeqplrpError(
            "--model",
            f"its output is a {type(output).__name__}, no tensor",
            "wrap the model in one that gives the scores as (N, outputs)",
        )
    if not bool(torch.isfinite(output).all()):
        raise SeqplrpError(
            "--model",
            f"its output on record {record.id!r} is not finite",
            "check its weights: some may be NaN or infinite",
        )
    return tuple(output.shape)


@contextmanager
def _quiet_tracing() -> Iterator[None]:
    # torch logs what it could not trace at length before it raises; the error itself says it in a line.
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(previous)


def resolve_target(text: str | None, outputs: int, classes: Sequence[str]) -> int | Literal["predicted"]:
    """Find the output that the user means.

    Parameters
    ----------
    text : str, optional
        A number from 0, a class's name, or "predicted".
    outputs : int
        How many outputs the model has.
    classes : sequence of str
        Their names; empty if they have none.

    Raises
    ------
    SeqplrpError
        If there is no such output, or several and none was named.
    """
    named = f" ({', '.join(f'{i} is {name}' for i, name in enumerate(classes[:8]))})" if classes else ""
    if text is None:
        if outputs > 1:
            raise SeqplrpError(
                "--target", f"the model has {outputs} outputs and none was chosen{named}", "give --target 0, say"
            )
        return 0
    if text == "predicted":
        return "predicted"
    if text in classes and not text.isdecimal():
        return list(classes).index(text)
    try:
        number = int(text)
    except ValueError:
        raise SeqplrpError(
            "--target",
            f"{text!r} is no output of this model{named}",
            f"give a number from 0 to {outputs - 1}, a class's name or predicted",
        ) from None
    if not 0 <= number < outputs:
        many = f"{outputs} outputs" if outputs > 1 else "one output"
        raise SeqplrpError(
            "--target",
            f"{number} is out of range for a model with {many}{named}",
            f"give a number from 0 to {outputs - 1}" if outputs > 1 else "give 0, or leave it out",
        )
    return number


def summarise(
    records: Sequence[Record],
    x: Tensor,
    explanation: Explanation,
    probability: np.ndarray,
    predicted: np.ndarray | None,
    classes: Sequence[str],
) -> pd.DataFrame:
    """Describe each record's map in one row.

    The columns: ``id``; ``contig``, ``start``, ``end``, ``strand`` (0-based, half-open); ``target`` and its
    ``class``; ``output``, the explained score; its ``probability``, where the model's kind tells it;
    ``predicted``, the number of the most probable output of a multi-class model; ``relevance_sum``;
    ``kept_share``, the share of the bases other than N that carry any relevance; ``gini`` of its absolute
    values; ``top_position`` on the contig, ``top_base`` (as read) and ``top_relevance``, those of the base with
    the largest absolute relevance.
    """
    per_base = explanation.per_base.numpy()
    known = (x.sum(1) > 0).numpy()
    target = np.zeros(len(records), int) if explanation.target is None else explanation.target.numpy()
    top = np.abs(per_base).argmax(1)
    at = np.arange(len(records))
    with np.errstate(invalid="ignore"):
        kept = ((per_base != 0) & known).sum(1) / known.sum(1)
    return pd.DataFrame(
        {
            "id": [record.id for record in records],
            "contig": [record.contig for record in records],
            "start": [record.start for record in records],
            "end": [record.end for record in records],
            "strand": [record.strand for record in records],
            "target": target,
            "class": [classes[t] if classes else "" for t in target],
            "output": explanation.output.numpy(),
            "probability": probability,
            "predicted": pd.array([pd.NA] * len(records) if predicted is None else predicted, dtype="Int64"),
            "relevance_sum": per_base.sum(1, dtype=np.float64),
            "kept_share": kept,
            "gini": gini(per_base, ignore=~known),
            "top_position": [
                record.start + i if record.strand == "+" else record.end - 1 - i
                for record, i in zip(records, top.tolist(), strict=True)
            ],
            "top_base": [record.sequence[i] for record, i in zip(records, top, strict=True)],
            "top_relevance": per_base[at, top],
        }
    )
