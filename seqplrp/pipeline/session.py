"""Explain one chunk of records: the unit of work of ``seqplrp explain``."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import gini
from seqplrp.genomics import Record, one_hot
from seqplrp.genomics.tracks import Explained
from seqplrp.methods import PLRP, EnsembleExplanation, Explainer, Explanation, Method, together
from seqplrp.models import ModelConfig
from seqplrp.pipeline.formats import name_files
from seqplrp.pipeline.further import FurtherInput
from seqplrp.pipeline.loading import Loaded
from seqplrp.pipeline.member import Member, Settings
from seqplrp.pipeline.targets import Score, resolve_target, score_function
from seqplrp.plugins import Plugin

_CHUNK_BASES = 1 << 20  # one-hot, relevance and contributions of a chunk then take about 50 MB
CHUNK_RECORDS = 1024
"""Records of a chunk, unless the user says otherwise."""

LargestBatch = Mapping[str, Mapping[str, int]]
"""Where memory ran out: how many inputs fitted, by model and length."""


@dataclass(frozen=True)
class Chunk:
    """What was found for some records, in their order.

    Parameters
    ----------
    explained : tuple of Explained
        Their maps, for each target.
    summary : DataFrame
        One row a record and target; see `summarise`.
    ledger : DataFrame
        One row a record, target and layer, with the record's ``id`` first and, of several targets, the ``target`` next.
    scores : tuple of (M, N) array
        What each of M models gives each of N records, for each target.
    notes : tuple of str
        What a reader of the maps must know.
    seconds : float
        Time in the engine.
    """

    explained: tuple[Explained, ...]
    summary: pd.DataFrame
    ledger: pd.DataFrame
    scores: tuple[np.ndarray, ...]
    notes: tuple[str, ...]
    seconds: float


def chunks_of(records: Iterable[Record], most: int | None = None) -> Iterator[list[Record]]:
    """Cut a stream of records into lists of at most so many, which are bounded in bases, too."""
    most = CHUNK_RECORDS if most is None else most
    chunk: list[Record] = []
    bases = 0
    for record in records:
        if chunk and (bases + len(record) > _CHUNK_BASES or len(chunk) == most):
            yield chunk
            chunk, bases = [], 0
        chunk.append(record)
        bases += len(record)
    if chunk:
        yield chunk


@dataclass(frozen=True)
class Example:
    """A record that models are tried on before any work.

    Parameters
    ----------
    record : Record
        What it is.
    row : int
        Its number in the input.
    place : str
        Where it stands, for errors.
    """

    record: Record
    row: int
    place: str


class Session:
    """Models made ready to explain chunks of records of any length that they take; several are averaged.

    Parameters
    ----------
    models : sequence of Loaded
        What is explained.
    method : Method
        How.
    targets : sequence of str or None
        Each an output's number, a class's name, "predicted", ``module:function``, or None if a model has one output.
        Several are explained from one forward pass; a function stands alone.
    examples : sequence of Example
        The shortest and the longest record. The models are run and traced on them; what does not fit is an error here,
        before any work.
    settings : Settings
        How to run.
    further : sequence of FurtherInput
        The models' further inputs.
    unpruned : bool
        Whether hypothetical contributions without pruning are wanted beside those of a pruned map.

    Raises
    ------
    SeqplrpError
        If a model cannot be run or traced, the method does not suit it, it has no such target, or models do not agree
        in their classes.
    """

    def __init__(
        self,
        models: Sequence[Loaded],
        method: Method,
        *,
        targets: Sequence[str | None],
        examples: Sequence[Example],
        settings: Settings,
        further: Sequence[FurtherInput] = (),
        unpruned: bool = False,
    ) -> None:
        self.classes = _common_classes(models)
        score = _one_function(targets, self.classes)
        self.further = tuple(further)
        self.members = tuple(Member(model, method, score, targets[0], settings, further) for model in models)
        self.keeps_unpruned = unpruned and isinstance(method, PLRP)
        self._unpruned: tuple[Member, ...] = ()
        if self.keeps_unpruned:
            assert isinstance(method, PLRP)
            whole = method.without_pruning()
            # the ledger of these maps is nobody's: they are not checked
            unchecked = replace(settings, check=False)
            self._unpruned = tuple(Member(one, whole, score, targets[0], unchecked, further) for one in models)
        outputs = [member.outputs(one.record, one.row, one.place) for member in self.members for one in examples]
        self._by_function = score is not None
        self.targets: tuple[int | str, ...] = tuple(str(target) for target in targets)
        self._indices: tuple[int | Literal["predicted"], ...] = (0,)
        if score is None:
            for number in outputs:  # a target that one model lacks is an error
                self._indices = tuple(resolve_target(target, number, self.classes) for target in targets)
            self.targets = self._indices
        for number, index in enumerate(self._indices):
            if index in self._indices[:number]:
                raise SeqplrpError("--target", f"names output {index} twice", "give each output once")
        if "predicted" in self._indices and len(models) > 1 and max(outputs) > 1:
            raise SeqplrpError(
                "--target", "predicted is not the same output for every model", "give a number or a class's name"
            )
        found = [self._tried(example) for example in examples]
        self.has_hypothetical = found[0].explained[0].hypothetical is not None
        self.device = self.members[0].device

    @property
    def target(self) -> int | str:
        """The first target."""
        return self.targets[0]

    @property
    def index(self) -> int | Literal["predicted"] | None:
        """What an explainer is to be called with for it; None where a function picks the score."""
        return None if self._by_function else self._indices[0]

    @property
    def names(self) -> tuple[str, ...]:
        """What files of each target are called by: its class where the names of all do for files, else its number."""
        named = [self.classes[t] if self.classes and isinstance(t, int) else str(t) for t in self.targets]
        return tuple(named) if name_files(named) else self._numbers()

    def _numbers(self) -> tuple[str, ...]:
        return tuple(str(target) for target in self.targets)

    def graphs(self) -> list[str]:
        """Return each model's steps, with their rules and where they are pruned, as text."""
        return [member.graph() for member in self.members]

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """The plug-ins that have a part in the maps: by their method, rules or handlers."""
        return tuple(sorted({plugin for member in self.members for plugin in member.plugins}))

    @property
    def largest_batch(self) -> LargestBatch:
        """Where memory ran out: how many inputs fitted, by model and length."""
        found = {str(i): member.largest_batch for i, member in enumerate((*self.members, *self._unpruned))}
        return {name: batches for name, batches in found.items() if batches}

    def take_up(self, largest_batch: LargestBatch) -> None:
        """Go on with batches no larger than those of an earlier process, or of another."""
        for name, batches in largest_batch.items():
            (*self.members, *self._unpruned)[int(name)].take_up(batches)

    def explainer(self, example: Tensor, row: int) -> Explainer:
        """Return the first model's explainer for inputs of this one's length, the row-th of the input."""
        return self.members[0].explainer(example, row)

    def _tried(self, example: Example) -> Chunk:
        try:
            return self.explain([example.record], example.row)
        except SeqplrpError as error:
            if error.where != "X":
                raise
            raise SeqplrpError(example.place, error.what, error.remedy) from error

    def explain(self, records: Sequence[Record], first: int) -> Chunk:
        """Explain records, the first-th of the input and those after it; those of one length go together."""
        of_length: dict[int, list[int]] = defaultdict(list)
        for i, record in enumerate(records):
            of_length[len(record)].append(i)
        parts = [self._explain_equal([records[i] for i in rows], rows, first) for rows in of_length.values()]
        order = np.argsort([i for rows in of_length.values() for i in rows])
        return Chunk(
            explained=tuple(_rejoined([part.explained[t] for part in parts], order) for t in range(len(self.targets))),
            # the index is the record's place in the chunk; targets come in their order within a record
            summary=pd.concat([part.summary for part in parts]).sort_index(kind="stable"),
            ledger=pd.concat([part.ledger for part in parts]).sort_index(kind="stable"),
            scores=tuple(
                np.concatenate(of_target, axis=1)[:, order]
                for of_target in zip(*(part.scores for part in parts), strict=True)
            ),
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
            seconds=sum(part.seconds for part in parts),
        )

    def _explain_equal(self, records: list[Record], rows: list[int], first: int) -> Chunk:
        x = one_hot([record.sequence for record in records])
        ids = np.array([record.id for record in records], dtype=object)
        in_input = [first + row for row in rows]
        began = time.perf_counter()
        of_targets = self._by_target(self.members, x, ids.tolist(), in_input)
        wholes = [_whole(own) for own in of_targets]
        explained = tuple(map(_explained, wholes))
        if self._unpruned:
            explained = self._with_unpruned(explained, x, ids.tolist(), in_input)
        seconds = time.perf_counter() - began
        tables, ledgers = [], []
        for target, own, whole in zip(self.targets, of_targets, wholes, strict=True):
            probability, predicted = self._certainty(own, x, in_input)
            # where a function picks the score, its name stands for the output's number
            name = target if self._by_function else None
            table = summarise(records, x, whole, probability, predicted, self.classes, name)
            tables.append(table.set_axis(np.array(rows), axis=0))
            ledger = whole.ledger
            within = ledger["sequence"].to_numpy(dtype=int)
            ledger = ledger.drop(columns="sequence").set_axis(np.array(rows)[within], axis=0)
            ledger.insert(0, "id", ids[within])
            if len(self.targets) > 1:
                ledger.insert(1, "target", target)
            ledgers.append(ledger)
        return Chunk(
            explained=explained,
            summary=pd.concat(tables),
            ledger=pd.concat(ledgers),
            scores=tuple(np.stack([one.output.numpy() for one in own]) for own in of_targets),
            # The number of negative scores in a chunk means nothing to the reader: all are counted at the end.
            notes=tuple(dict.fromkeys(note for whole in wholes for note in whole.notes if not note[:1].isdigit())),
            seconds=seconds,
        )

    def _by_target(
        self, members: Sequence[Member], x: Tensor, ids: Sequence[str], rows: Sequence[int]
    ) -> list[list[Explanation]]:
        """Return for each target one explanation a model."""
        found = [member.explain(x, self._indices, ids, rows) for member in members]
        return [list(own) for own in zip(*found, strict=True)]

    def _with_unpruned(
        self, explained: tuple[Explained, ...], x: Tensor, ids: Sequence[str], rows: Sequence[int]
    ) -> tuple[Explained, ...]:
        """Add what the maps would be without their pruning."""
        wholes = [_whole(own) for own in self._by_target(self._unpruned, x, ids, rows)]
        return tuple(
            replace(one, unpruned=list(whole.hypothetical.numpy()) if whole.has_hypothetical else None)
            for one, whole in zip(explained, wholes, strict=True)
        )

    def _certainty(
        self, own: Sequence[Explanation], x: Tensor, rows: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the explained output's probability (N,), and which output is the most probable (N,).

        Means over the models; NaN and None where they do not tell.
        """
        found = [member.probability(e, x, rows) for member, e in zip(self.members, own, strict=True)]
        every = [all_outputs for _, all_outputs in found if all_outputs is not None]
        predicted = np.mean(every, axis=0).argmax(1) if len(every) == len(found) else None
        return np.mean([explained for explained, _ in found], axis=0), predicted


def _whole(members: Sequence[Explanation]) -> Explanation:
    """Return the mean of several models' explanations; that of a single model as it is."""
    return members[0] if len(members) == 1 else together(members)


def _explained(whole: Explanation) -> Explained:
    return Explained(
        per_base=list(whole.per_base.numpy()),
        hypothetical=list(whole.hypothetical.numpy()) if whole.has_hypothetical else None,
        spread=list(whole.per_base_spread.numpy()) if isinstance(whole, EnsembleExplanation) else None,
    )


def _rejoined(parts: Sequence[Explained], order: np.ndarray) -> Explained:
    """Bring what was found length by length back into the records' order."""

    def in_order(name: str) -> list[np.ndarray] | None:
        rows = [row for part in parts for row in getattr(part, name) or ()]
        return [rows[i] for i in order] if rows else None

    per_base = in_order("per_base")
    assert per_base is not None
    return Explained(per_base, in_order("hypothetical"), in_order("spread"), in_order("unpruned"))


def _one_function(targets: Sequence[str | None], classes: Sequence[str]) -> Score | None:
    """Return the function that picks the score, if that is what is meant."""
    found = [score_function(target, classes) for target in targets]
    if len(targets) > 1 and any(score is not None for score in found):
        raise SeqplrpError("--target", "is a function among others", "give a function alone, in a run of its own")
    return found[0]


def _common_classes(models: Sequence[Loaded]) -> list[str]:
    """Return the names of the outputs, where models have them."""
    described = [model for model in models if model.config is not None]
    if not described:
        return []
    first, *rest = described
    assert first.config is not None
    for other in rest:
        assert other.config is not None
        if (other.config.classes, other.config.kind) != (first.config.classes, first.config.kind):
            raise SeqplrpError(
                "--model",
                f"{first.name} tells {_told(first.config)} apart and {other.name} {_told(other.config)}",
                "give models of one task",
            )
    return list(first.config.classes)


def _told(config: ModelConfig) -> str:
    return f"{', '.join(config.classes)} ({config.kind})"


def summarise(
    records: Sequence[Record],
    x: Tensor,
    explanation: Explanation,
    probability: np.ndarray,
    predicted: np.ndarray | None,
    classes: Sequence[str],
    function: str | int | None = None,
) -> pd.DataFrame:
    """Describe each record's map in one row.

    The columns: ``id``; ``contig``, ``start``, ``end``, ``strand`` (0-based, half-open); ``target`` (or the function
    that picks the score) and its ``class``; ``output``, the explained score; ``output_spread``, its standard deviation
    over the models, where there are several; its ``probability``, where the model's kind tells it;
    ``predicted``, the number of the most probable output of a multi-class model; ``strand_consistency``, the cosine
    between the maps of the two strands, where both are averaged; ``relevance_sum``;
    ``kept_share``, the share of the bases other than N that carry any relevance; ``gini`` of its absolute
    values; ``top_position`` on the contig, ``top_base`` (as read) and ``top_relevance``, those of the base with
    the largest absolute relevance.
    """
    per_base = explanation.per_base.numpy()
    known = (x.sum(1) > 0).numpy()
    target = np.zeros(len(records), int) if explanation.target is None else explanation.target.numpy()
    top = np.abs(per_base).argmax(1)
    at = np.arange(len(records))
    spread = explanation.output_spread.numpy() if isinstance(explanation, EnsembleExplanation) else None
    consistency = explanation.strand_consistency
    with np.errstate(invalid="ignore"):
        kept = ((per_base != 0) & known).sum(1) / known.sum(1)
    return pd.DataFrame(
        {
            "id": [record.id for record in records],
            "contig": [record.contig for record in records],
            "start": [record.start for record in records],
            "end": [record.end for record in records],
            "strand": [record.strand for record in records],
            "target": target if function is None else function,
            "class": [classes[t] if classes and function is None else "" for t in target],
            "output": explanation.output.numpy(),
            **({} if spread is None else {"output_spread": spread}),
            "probability": probability,
            "predicted": pd.array([pd.NA] * len(records) if predicted is None else predicted, dtype="Int64"),
            **({} if consistency is None else {"strand_consistency": consistency.numpy()}),
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
