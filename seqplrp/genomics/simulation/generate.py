"""From a task, a number and a seed to labelled sequences with their truth."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.simulation.backgrounds import fit_background
from seqplrp.genomics.simulation.gc_matching import change_gc, gc_count, matched_counts, too_rigid
from seqplrp.genomics.simulation.instances import along_strand, check_strength
from seqplrp.genomics.simulation.planted import Planted, label, support
from seqplrp.genomics.simulation.planting import plan_group
from seqplrp.genomics.simulation.sequences import (
    Block,
    Ingredients,
    accidental_hits,
    check_distinct,
    make_block,
    remove_accidents,
)
from seqplrp.genomics.simulation.task import Task

BLOCK = 2048  # sequences made at once; part of what a seed means, so it does not depend on the machine
_GC_ROUNDS = 50
_MOST_BASES = 1_000_000_000  # at some 20 bytes a base
TRUTH_COLUMNS = ("sequence", "start", "end", "name", "score", "strand", "motif", "class", "supports")
ACCIDENT_COLUMNS = ("sequence", "start", "end", "strand", "score", "p", "motif")

# what the random streams are for: each use has its own, so that none depends on how much another took
_ORDER, _PLAN, _BLOCKS, _GC, _NOISE = range(5)


@dataclass(frozen=True)
class SimulatedData:
    """Labelled sequences, and what was planted in them.

    Attributes
    ----------
    task : Task
        With n and seed.
    sequences : ndarray of uint8, shape (N, L)
        Codes 0..3 for A, C, G, T.
    ids : list of str
    labels : ndarray of uint8, shape (N, C)
        0 or 1, with the task's label noise. A binary task has one column.
    clean_labels : ndarray of uint8, shape (N, C)
        As the rules say of what was planted.
    groups : ndarray of int64, shape (N,)
        Number of each sequence's group in the task.
    truth : DataFrame
        One row an instance, in the order of the sequences and starts: ``sequence`` (row number), ``start`` and ``end``
        (0-based half-open, forward strand), ``name`` (motif and its number in the sequence), ``score`` (log-odds,
        thousandth parts of the best word's), ``strand``, ``motif`` (its name in the task), ``class`` and ``supports``.
        An instance supports a class of its sequence if it is among those that make the class's rule hold (by
        `clean_labels`). ``class`` names the classes that it supports, joined by commas, ``.`` where there is none, as
        for decoys and in negatives; ``supports`` says whether there is one.
    accidental : DataFrame
        Matches of the rules' motifs that were not planted, where the task says ``flag``; else empty.
    """

    task: Task
    sequences: npt.NDArray[np.uint8]
    ids: list[str]
    labels: npt.NDArray[np.uint8]
    clean_labels: npt.NDArray[np.uint8]
    groups: npt.NDArray[np.int64]
    truth: pd.DataFrame
    accidental: pd.DataFrame

    @property
    def classes(self) -> list[str]:
        """Names of the labels' columns."""
        return self.task.classes

    @property
    def kind(self) -> str:
        """What the labels mean: binary, multiclass or multilabel."""
        return self.task.kind

    @property
    def missing(self) -> list[str]:
        """What no sequence is, by its label: ``of class GATA1``, or ``without class GATA1`` where all are of it.

        The negative of a binary task is a class, too. In a multi-label task a class that all sequences are of can be
        learnt as little as one that none is of.
        """
        found = []
        for name, count in zip(self.classes, self.labels.sum(axis=0).tolist()):
            if count == 0:
                found.append(f"of class {name}")
            elif count == len(self) and self.kind == "binary":
                found.append(f"of class {self.task.negative}")
            elif count == len(self) and self.kind == "multilabel":
                found.append(f"without class {name}")
        return found

    def __len__(self) -> int:
        return len(self.sequences)


def simulate(
    task: Task,
    n: int | None = None,
    seed: int | None = None,
    *,
    progress: Callable[[int], object] | None = None,
) -> SimulatedData:
    """Make sequences with motifs planted in them.

    Parameters
    ----------
    task : Task
        See `load_task`.
    n : int, optional
        Number of sequences; the task's own by default, else 10,000.
    seed : int, optional
        The task's own by default, else 0. The same task, n and seed give the same data (with the same numpy).
    progress : callable, optional
        Called with the number of sequences that were made since the last call.

    Returns
    -------
    SimulatedData

    Raises
    ------
    SeqplrpError
        If the task's background file cannot serve, its motifs cannot be told apart, or accidental hits cannot be
        removed.
    """
    count = _whole("n", n, task.n, 10_000, 1)
    task = replace(task, n=count, seed=_whole("seed", seed, task.seed, 0, 0))
    if count * task.length > _MOST_BASES:
        raise SeqplrpError(
            "n",
            f"{count} sequences of {task.length} bp do not fit into the memory at once",
            f"make {_MOST_BASES // task.length} or fewer, in several runs with seeds of their own",
        )
    mix = Ingredients.of(task, fit_background(task.background, task.length))
    for use, scorer in zip(task.motifs, mix.scorers):
        check_strength(use, scorer)
    if task.accidental == "remove":
        check_distinct(mix)
    group = _allocate(task)
    planted = _plan(task, group)
    blocks = _make_blocks(mix, planted, progress)
    if task.gc_matched:
        _match_gc(mix, blocks, group)
    sequences = np.concatenate([block.codes() for block in blocks])
    clean = label(list(task.rules.values()), planted, task.number)
    return SimulatedData(
        task=task,
        sequences=sequences,
        ids=[f"seq{i:07d}" for i in range(len(sequences))],
        labels=_with_noise(task, clean).astype(np.uint8),
        clean_labels=clean.astype(np.uint8),
        groups=group,
        truth=_truth(mix, sequences, planted, clean),
        accidental=_flagged(mix, sequences, planted),
    )


def _whole(name: str, given: int | None, own: int | None, default: int, low: int) -> int:
    value = given if given is not None else own if own is not None else default
    try:
        number = operator.index(value)
    except TypeError:
        raise SeqplrpError(name, f"is {value!r}, not a whole number", "give a whole number") from None
    if number < low:
        raise SeqplrpError(name, f"is {number}", f"give a whole number of {low} or more")
    return number


def _stream(task: Task, *use: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(task.seed, spawn_key=use))


def _allocate(task: Task) -> npt.NDArray[np.int64]:
    """Give each sequence a group: numbers as near to the shares as can be, in random order."""
    assert task.n is not None
    exact = [group.share * task.n for group in task.groups]
    numbers = [int(e) for e in exact]
    by_remainder = sorted(range(len(exact)), key=lambda g: (numbers[g] - exact[g], g))
    for g in by_remainder[: task.n - sum(numbers)]:
        numbers[g] += 1
    return _stream(task, _ORDER).permutation(np.repeat(np.arange(len(numbers)), numbers))


def _plan(task: Task, group: npt.NDArray[np.int64]) -> Planted:
    parts = []
    for number, each in enumerate(task.groups):
        rows = np.flatnonzero(group == number)
        parts.append((rows, plan_group(task, each, len(rows), _stream(task, _PLAN, number))))
    most = max(part.motif.shape[1] for _, part in parts)
    shape = (len(group), most)
    whole = Planted(
        np.full(shape, -1, dtype=np.int16),
        np.zeros(shape, dtype=np.int32),
        np.zeros(shape, dtype=np.int32),
        np.zeros(shape, dtype=bool),
    )
    for rows, part in parts:
        for name in ("motif", "start", "end", "reverse"):
            values = getattr(part, name)
            getattr(whole, name)[rows, : values.shape[1]] = values
    return whole


def _make_blocks(mix: Ingredients, planted: Planted, progress: Callable[[int], object] | None) -> list[Block]:
    blocks = []
    for number, first in enumerate(range(0, len(planted), BLOCK)):
        rng = _stream(mix.task, _BLOCKS, number)
        block = make_block(mix, planted.rows(slice(first, first + BLOCK)), rng)
        if mix.task.accidental == "remove":
            remove_accidents(mix, block, rng)
        blocks.append(block)
        if progress is not None:
            progress(len(block))
    return blocks


def _match_gc(mix: Ingredients, blocks: list[Block], group: npt.NDArray[np.int64]) -> None:
    """Bring every group to the GC content of all; what that makes of accidental hits is removed again."""
    task = mix.task
    counts = np.concatenate([gc_count(block.codes()) for block in blocks])
    wanted = matched_counts(counts, group, _stream(task, _GC))
    missing = 0
    for number, block in enumerate(blocks):
        rng = _stream(task, _GC, number)
        goal = wanted[number * BLOCK : number * BLOCK + len(block)]
        todo = np.flatnonzero(gc_count(block.codes()) != goal)
        for _ in range(_GC_ROUNDS):
            if not todo.size:
                break
            part = block.rows(todo)
            change_gc(part, goal[todo], rng)
            if task.accidental == "remove":
                remove_accidents(mix, part, rng)
            block.replace_rows(todo, part)
            todo = todo[gc_count(part.codes()) != goal[todo]]
        missing += todo.size
    if missing:
        raise too_rigid(task.source, missing, len(group))


def _with_noise(task: Task, clean: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Make a share of the labels wrong: of a binary or multi-label task in each column, else another class."""
    rng = _stream(task, _NOISE)
    labels = clean.copy()
    wrong = round(task.label_noise * len(labels))
    if task.kind != "multiclass":
        for column in range(labels.shape[1]):
            labels[rng.choice(len(labels), wrong, replace=False), column] ^= True
        return labels
    rows = rng.choice(len(labels), wrong, replace=False)
    shift = rng.integers(1, labels.shape[1], size=wrong)
    other = (labels[rows].argmax(axis=1) + shift) % labels.shape[1]
    labels[rows] = np.arange(labels.shape[1]) == other[:, None]
    return labels


def _truth(
    mix: Ingredients, sequences: npt.NDArray[np.uint8], planted: Planted, labels: npt.NDArray[np.bool_]
) -> pd.DataFrame:
    task = mix.task
    row, column = np.nonzero(planted.motif >= 0)
    motif = planted.motif[row, column]
    start, reverse = planted.start[row, column], planted.reverse[row, column]
    score = np.zeros(len(row), dtype=np.int64)
    for number, scorer in enumerate(mix.scorers):
        of = np.flatnonzero(motif == number)
        where = start[of][:, None] + np.arange(scorer.motif.width)
        words = along_strand(sequences[row[of][:, None], where], reverse[of])
        score[of] = scorer.strength(words)
    names = np.array([use.motif.name for use in task.motifs], dtype=object)
    supported = np.stack([support(rule, planted, task.number)[row, column] for rule in task.rules.values()], axis=1)
    supported &= labels[row]
    truth = pd.DataFrame(
        {
            "sequence": row,
            "start": start.astype(np.int64),
            "end": planted.end[row, column].astype(np.int64),
            "name": names[motif],
            "score": score,
            "strand": np.where(reverse, "-", "+").astype(object),
            "motif": names[motif],
            "class": joined_classes(task, supported, "."),
            "supports": supported.any(axis=1),
        },
        columns=list(TRUTH_COLUMNS),
    )
    ordinal = truth.groupby(["sequence", "motif"]).cumcount() + 1
    truth["name"] = truth["name"] + "_" + ordinal.astype(str)
    return truth


def joined_classes(task: Task, labels: npt.NDArray[np.bool_], nothing: str) -> npt.NDArray[np.object_]:
    """Turn rows of labels (N, C) into class names joined by commas, `nothing` where there is none: (N,)."""
    distinct, inverse = np.unique(labels, axis=0, return_inverse=True)
    texts = [",".join(c for c, true in zip(task.rules, each) if true) or nothing for each in distinct]
    return np.array(texts, dtype=object)[inverse.reshape(-1)]


def _flagged(mix: Ingredients, sequences: npt.NDArray[np.uint8], planted: Planted) -> pd.DataFrame:
    empty = pd.DataFrame(columns=list(ACCIDENT_COLUMNS))
    if mix.task.accidental != "flag":
        return empty
    found = [empty]
    for first in range(0, len(sequences), BLOCK):
        part = slice(first, first + BLOCK)
        hits = accidental_hits(mix, sequences[part], planted.rows(part))
        hits["sequence"] += first
        found.append(hits)
    hits = pd.concat([f for f in found if len(f)] or [empty], ignore_index=True)
    names = [use.motif.name for use in mix.task.motifs]
    hits["motif"] = [names[number] for number in hits["motif"]]
    return hits.sort_values(["sequence", "start", "motif", "strand"], ignore_index=True)
