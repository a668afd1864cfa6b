"""What is planted where: numbers, strands and places of the motif instances of every sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.simulation.placement import place
from seqplrp.genomics.simulation.planted import Planted, label
from seqplrp.genomics.simulation.task import Couple, Group, Single, Task, expected_label

_ATTEMPTS = 200

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Draw:
    """Strands and gaps of one plant's instances: (N,) each, and the width that they take."""

    motifs: tuple[int, ...]
    reverse: tuple[npt.NDArray[np.bool_], ...]
    offset: tuple[Ints, ...]
    width: Ints


def plan_group(task: Task, group: Group, n: int, rng: np.random.Generator) -> Planted:
    """Draw the instances of a group's sequences so that the labels are what the group says.

    Parameters
    ----------
    task : Task
    group : Group
    n : int
        Number of sequences.
    rng : numpy.random.Generator

    Returns
    -------
    Planted
        In the order of their starts.

    Raises
    ------
    SeqplrpError
        If the motifs find no room, or what the group plants does not make its class.
    """
    planted = _draw_group(task, group, n, rng)
    wrong = np.flatnonzero(~_as_expected(task, group, planted))
    for _ in range(_ATTEMPTS):
        if not wrong.size:
            return planted
        again = _draw_group(task, group, wrong.size, rng)
        for field in ("motif", "start", "end", "reverse"):
            getattr(planted, field)[wrong] = getattr(again, field)
        wrong = wrong[~_as_expected(task, group, again)]
    raise _wrong_class(task, group, planted.rows(wrong), n)


def slots_of(task: Task, group: Group) -> Iterator[Single | Couple]:
    """Walk over a group's plants and the decoys, each as often as it may be there at most."""
    for plant in (*group.plants, *task.decoys):
        for _ in range(plant.count.high):
            yield plant


def strand_choices(task: Task, couple: Couple) -> list[tuple[bool, bool]]:
    """List the strands (is the first reverse, is the second) that a couple may lie on."""
    allowed = {"both": (False, True), "forward": (False,), "reverse": (True,)}
    pairs = product(*(allowed[task.use(name).strands] for name in (couple.first, couple.second)))
    fits = {"any": (True, False), "same": (True,), "opposite": (False,)}[couple.orientation]
    return [(a, b) for a, b in pairs if (a == b) in fits]


def _draw_group(task: Task, group: Group, n: int, rng: np.random.Generator) -> Planted:
    plants = (*group.plants, *task.decoys)
    counts = [rng.integers(p.count.low, p.count.high + 1, size=n) for p in plants]
    slots = [(p, k, count) for p, count in zip(plants, counts) for k in range(p.count.high)]
    if not slots:
        return _empty(n)
    active = np.stack([k < count for _, k, count in slots], axis=1)
    draws = [_draw_slot(task, plant, n, rng) for plant, _, _ in slots]
    width = np.stack([draw.width for draw in draws], axis=1)
    positions = [plant.position for plant, _, _ in slots]
    start, placed = place(width, active, positions, task.length, task.min_spacing, rng)
    if not placed.all():
        raise SeqplrpError(
            f"{task.source}, groups.{group.name}",
            f"the motifs found no room in {int((~placed).sum())} of {n} sequences of {task.length} bp",
            "plant fewer, widen their positions, lower min_spacing or lengthen the sequences",
        )
    return _in_order(task, draws, start, active)


def _draw_slot(task: Task, plant: Single | Couple, n: int, rng: np.random.Generator) -> _Draw:
    if isinstance(plant, Single):
        use = task.use(plant.motif)
        reverse = rng.random(n) < {"both": 0.5, "forward": 0.0, "reverse": 1.0}[use.strands]
        zero = np.zeros(n, dtype=np.int64)
        return _Draw((task.number[plant.motif],), (reverse,), (zero,), zero + use.motif.width)
    first, second = task.use(plant.first).motif.width, task.use(plant.second).motif.width
    strands = np.array(strand_choices(task, plant))[rng.integers(len(strand_choices(task, plant)), size=n)]
    gap = rng.integers(plant.spacing.low, plant.spacing.high + 1, size=n)
    # downstream of a reversed motif is to its left
    flipped = strands[:, 0]
    return _Draw(
        (task.number[plant.first], task.number[plant.second]),
        (flipped, strands[:, 1]),
        (np.where(flipped, second + gap, 0), np.where(flipped, 0, first + gap)),
        first + gap + second,
    )


def _in_order(task: Task, draws: list[_Draw], start: Ints, active: npt.NDArray[np.bool_]) -> Planted:
    """Take couples apart into instances, and sort each sequence's instances by start."""
    motif, begin, reverse = [], [], []
    for column, draw in enumerate(draws):
        for number, strand, offset in zip(draw.motifs, draw.reverse, draw.offset):
            motif.append(np.where(active[:, column], number, -1))
            begin.append(start[:, column] + offset)
            reverse.append(strand)
    widths = np.array([use.motif.width for use in task.motifs])
    motifs, starts, strands = (np.stack(part, axis=1) for part in (motif, begin, reverse))
    absent = motifs < 0
    starts = np.where(absent, 0, starts)
    order = np.argsort(np.where(absent, task.length, starts), axis=1, kind="stable")
    motifs, starts, strands = (np.take_along_axis(a, order, axis=1) for a in (motifs, starts, strands))
    ends = np.where(motifs < 0, 0, starts + widths[motifs])
    return Planted(motifs.astype(np.int16), starts.astype(np.int32), ends.astype(np.int32), strands & (motifs >= 0))


def _empty(n: int) -> Planted:
    none = np.zeros((n, 0), dtype=np.int32)
    return Planted(none.astype(np.int16), none, none.copy(), none.astype(bool))


def _as_expected(task: Task, group: Group, planted: Planted) -> npt.NDArray[np.bool_]:
    labels = label(list(task.rules.values()), planted, task.number)
    expected = expected_label(task, group)
    fits = np.ones(len(planted), dtype=bool)
    if expected is not None:
        fits = (labels == np.array(expected)).all(axis=1)
    elif task.kind == "multiclass":
        fits = labels.sum(axis=1) == 1
    return fits


def _wrong_class(task: Task, group: Group, wrong: Planted, n: int) -> SeqplrpError:
    labels = label(list(task.rules.values()), wrong, task.number)[0]
    found = ", ".join(c for c, true in zip(task.rules, labels) if true) or task.negative
    wanted = "exactly one class" if group.classes is None else ", ".join(group.classes) or task.negative
    return SeqplrpError(
        f"{task.source}, groups.{group.name}",
        f"what it plants does not make {wanted}: {len(wrong)} of {n} sequences are still of class {found} "
        f"after {_ATTEMPTS} draws",
        "change what it plants, its class, or the classes' rules",
    )
