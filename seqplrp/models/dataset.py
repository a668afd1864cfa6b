"""Labelled sequences, and their division into training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.models.config import Advice, Kind

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)

Codes = npt.NDArray[np.uint8]
_COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)


@dataclass(frozen=True)
class SequenceData:
    """Sequences of one length with labels and a split; `make_dataset` makes a checked one.

    Parameters
    ----------
    codes : ndarray of uint8, shape (N, L)
        0..3 for ACGT, 4 for N.
    labels : ndarray of float32, shape (N, C)
        0 or 1. Multi-class labels have exactly one 1 in every row; binary ones have C = 1.
    ids : list of str
        One name per sequence.
    classes : list of str
        One name per column of the labels.
    kind : {"binary", "multilabel", "multiclass"}
        What the labels mean.
    split : ndarray of str, shape (N,)
        "train", "validation" or "test".
    notes : list of Advice
        What the user should know about the data: repeated sequences, sequences in two splits, and the like.
    source : dict
        Where it came from, for the record in ``config.json``.
    """

    codes: Codes
    labels: npt.NDArray[np.float32]
    ids: list[str]
    classes: list[str]
    kind: Kind
    split: npt.NDArray[np.str_]
    notes: list[Advice] = field(default_factory=list)
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Bases per sequence."""
        return int(self.codes.shape[1])

    def rows(self, split: str) -> npt.NDArray[np.intp]:
        """Row numbers of a split."""
        return np.flatnonzero(self.split == split)

    def counts(self) -> dict[str, dict[str, int]]:
        """Sequences per split: ``n`` and the number in each class."""
        table = {}
        for name in SPLITS:
            rows = self.rows(name)
            in_class = self.labels[rows].sum(axis=0).astype(int).tolist()
            table[name] = {"n": len(rows), **dict(zip(self.classes, in_class, strict=True))}
        return table


def make_dataset(
    codes: Codes,
    labels: npt.ArrayLike,
    *,
    kind: Kind,
    classes: Sequence[str],
    ids: Sequence[str] | None = None,
    split: npt.NDArray[np.str_] | None = None,
    related: Sequence[npt.NDArray[np.intp]] = (),
    seed: int = 0,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    notes: Sequence[Advice] = (),
    source: Mapping[str, Any] | None = None,
) -> SequenceData:
    """Check labelled sequences and fill in the split where it is open.

    Sequences that would leak from one split into another stay together: those that are equal on either strand, and
    those that ``related`` ties. A held-out sequence whose shuffle was trained on is no longer held out (the pair has
    one composition, and a model that has learnt the peak knows which of the two it is), so a peak and its shuffle
    are tied too.

    Parameters
    ----------
    codes : ndarray of uint8, shape (N, L)
        The sequences.
    labels : array, shape (N, C)
        0 or 1.
    kind : {"binary", "multilabel", "multiclass"}
        What the labels mean.
    classes : sequence of str
        One name per column of the labels.
    ids : sequence of str, optional
        Names; row numbers by default.
    split : ndarray of str, shape (N,), optional
        "train", "validation", "test", or "" where it is open. Where no row is in the test (or validation) set, one is
        drawn from the open and the training rows.
    related : sequence of ndarray of int, each of shape (N,)
        Rows with the same number in one of these stay in one split.
    seed : int
        Of the split.
    validation_fraction, test_fraction : float
        Shares to hold out; the validation share is of what the test set leaves.
    notes : sequence of Advice
        Notes to begin with.
    source : mapping, optional
        For the record.

    Returns
    -------
    SequenceData

    Raises
    ------
    SeqplrpError
        For an empty class, a class that holds everything, or a split that leaves a class out.
    """
    table = np.asarray(labels, dtype=np.float32)
    _check_labels(table, kind, classes)
    for name, share in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction)):
        if not 0.0 < share < 1.0:
            raise SeqplrpError(name, f"is {share}", "give a share between 0 and 1, as 0.1")
    names = list(ids) if ids is not None else [str(row) for row in range(len(codes))]
    keys = canonical_keys(codes)
    groups = _leakage_groups(keys, related)
    decided = _complete_split(table, groups, split, seed, validation_fraction, test_fraction)
    _check_split(table, decided, kind, classes)
    return SequenceData(
        codes=codes,
        labels=table,
        ids=names,
        classes=list(classes),
        kind=kind,
        split=decided,
        notes=[*notes, *_duplicate_notes(keys, table, decided)],
        source=dict(source or {}),
    )


def canonical_keys(codes: Codes) -> list[bytes]:
    """One key per sequence, equal for sequences that are equal on either strand."""
    reverse = np.ascontiguousarray(_COMPLEMENT[codes[:, ::-1]])
    forward = np.ascontiguousarray(codes)
    return [min(f.tobytes(), r.tobytes()) for f, r in zip(forward, reverse, strict=True)]


def _leakage_groups(keys: list[bytes], related: Sequence[npt.NDArray[np.intp]]) -> npt.NDArray[np.intp]:
    """Number the groups of rows that have to stay in one split (union-find over shared keys)."""
    parent = list(range(len(keys)))

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    ties: list[Sequence[Any]] = [keys, *(numbers.tolist() for numbers in related)]
    for column in ties:
        first: dict[Any, int] = {}
        for row, key in enumerate(column):
            parent[find(row)] = find(first.setdefault(key, row))
    return np.array([find(row) for row in range(len(keys))], dtype=np.intp)


def _complete_split(
    labels: npt.NDArray[np.float32],
    groups: npt.NDArray[np.intp],
    split: npt.NDArray[np.str_] | None,
    seed: int,
    validation_fraction: float,
    test_fraction: float,
) -> npt.NDArray[np.str_]:
    """Draw what is missing of the test and the validation set from the rows that are neither."""
    decided = np.full(len(labels), "", dtype="U10") if split is None else split.astype("U10")
    rng = np.random.default_rng([seed, 1])
    for name, fraction in ((TEST, test_fraction), (VALIDATION, validation_fraction)):
        if not (decided == name).any():
            open_rows = np.flatnonzero((decided == "") | (decided == TRAIN))
            _check_divisible(groups[open_rows], name)
            decided[open_rows[_stratified_draw(labels[open_rows], groups[open_rows], fraction, rng)]] = name
    decided[decided == ""] = TRAIN
    return decided


def _stratified_draw(
    labels: npt.NDArray[np.float32], groups: npt.NDArray[np.intp], fraction: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Choose the share ``fraction`` of the groups, of every combination of labels alike; true for their rows.

    Systematic sampling: groups lie in a row, sorted by their first member's labels and at random within; one is taken
    each time that the running number passes a multiple of 1 / fraction. Rare combinations need no special case.
    """
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    order = np.lexsort((rng.random(len(first)), *labels[first].T))
    passed = np.floor(np.arange(1, len(first) + 1) * fraction + rng.random())
    chosen = np.zeros(len(first), dtype=bool)
    chosen[order[np.diff(passed, prepend=0.0) > 0]] = True
    return np.asarray(chosen[member])


def _check_divisible(groups: npt.NDArray[np.intp], name: str) -> None:
    largest = int(np.unique(groups, return_counts=True)[1].max(initial=0))
    if 2 * largest > len(groups):
        raise SeqplrpError(
            f"{name} set",
            f"{largest} of {len(groups)} sequences are equal, or overlap in a chain, and can't be divided",
            "say which sequences to hold out (a column split in labels.tsv, or --test-positives)",
        )


def _check_labels(labels: npt.NDArray[np.float32], kind: Kind, classes: Sequence[str]) -> None:
    if labels.ndim != 2 or labels.shape[1] != len(classes):
        raise SeqplrpError("labels", f"shape {labels.shape} for {len(classes)} classes", "give one column per class")
    unreadable = [name for name in classes if not name or not name.isprintable()]
    if unreadable:
        raise SeqplrpError("classes", f"{unreadable[0]!r:.60} is no name that a table can show", "name it plainly")
    if not np.isin(labels, (0.0, 1.0)).all():
        raise SeqplrpError("labels", "hold values other than 0 and 1", "give 0 or 1")
    if kind == "binary" and labels.shape[1] != 1:
        raise SeqplrpError("labels", f"{labels.shape[1]} columns for a binary task", "give one column")
    if kind == "multiclass" and (labels.shape[1] < 2 or not (labels.sum(axis=1) == 1).all()):
        raise SeqplrpError("labels", "not exactly one class per sequence", "use the kind multilabel")
    for name, column in zip(classes, labels.T, strict=True):
        if not column.any():
            raise SeqplrpError(f"class {name}", "no sequence is in it", "give sequences of this class, or leave it out")
        if column.all():
            raise SeqplrpError(
                f"class {name}", "every sequence is in it", "give sequences that are not in it, as negatives"
            )


def _check_split(
    labels: npt.NDArray[np.float32], split: npt.NDArray[np.str_], kind: Kind, classes: Sequence[str]
) -> None:
    for name in SPLITS:
        part = labels[split == name]
        for column, label in enumerate(classes):
            inside = int(part[:, column].sum())
            if 0 < inside < len(part):
                continue
            what = "sequences outside" if inside else "sequences of"
            total = int(labels[:, column].sum())
            total = len(labels) - total if inside else total
            raise SeqplrpError(
                f"{name} set",
                f"it holds no {what} class {label} ({total} such in all, {len(part)} sequences in the {name} set)",
                "give more sequences (some 20 of each class at the very least), or larger held-out shares",
            )


def _duplicate_notes(keys: list[bytes], labels: npt.NDArray[np.float32], split: npt.NDArray[np.str_]) -> list[Advice]:
    """Say what equal sequences (on either strand) do to the labels and to the held-out sets."""
    seen: dict[bytes, int] = {}
    contradictions, leaked = 0, {VALIDATION: 0, TEST: 0}
    order = np.argsort([SPLITS.index(name) for name in split], kind="stable")
    for row in order.tolist():
        first = seen.setdefault(keys[row], row)
        if first == row:
            continue
        contradictions += not np.array_equal(labels[first], labels[row])
        if split[row] != TRAIN and split[first] != split[row]:
            leaked[str(split[row])] += 1
    notes = []
    if contradictions:
        what = f"{contradictions} sequences occur again with another label (the same or the reverse complement)"
        notes.append(Advice("labels", what, "check the labels; a model can't learn both"))
    for name, number in leaked.items():
        if number:
            what = f"{number} of {int((split == name).sum())} sequences also occur in an earlier split"
            notes.append(Advice(f"{name} set", what, "leave them out: they make its metrics too good"))
    return notes
