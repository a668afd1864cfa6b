"""What can be known of a task to be impossible before anything is simulated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.simulation.document import Node
from seqplrp.genomics.simulation.grammar import Pair
from seqplrp.genomics.simulation.placement import place, room_needed
from seqplrp.genomics.simulation.planting import plan_group, slots_of, strand_choices
from seqplrp.genomics.simulation.task import Couple, Group, Single, Task

_TRIALS = 64
_PALINDROMIC = 0.9
_MOST_INSTANCES = 500


def check_room(node: Node, task: Task, group: Group) -> None:
    """Find out whether a group's motifs fit into its sequences and make its class.

    Parameters
    ----------
    node : Node
        Where the group is described.
    task : Task
    group : Group

    Raises
    ------
    SeqplrpError
        If they do not; with the bases needed, or the class that comes out.
    """
    number = sum(plant.count.high for plant in (*group.plants, *task.decoys))
    if number > _MOST_INSTANCES:
        raise node.error(f"plants up to {number} times in one sequence", f"plant at most {_MOST_INSTANCES}")
    plants = list(slots_of(task, group))
    for plant in plants:
        if isinstance(plant, Couple) and not strand_choices(task, plant):
            raise node.error(
                f"{plant.first} and {plant.second} cannot lie on {plant.orientation} strands",
                "change the pair's orientation or the motifs' strands",
            )
        if plant.position is not None and plant.position.centre > task.length:
            raise node.error(
                f"the position's centre {plant.position.centre:g} lies outside of the {task.length} bp",
                f"give {task.length} or less",
            )
    widths = [_widest(task, plant) for plant in plants]
    needed = room_needed(widths, task.min_spacing)
    if needed > task.length:
        raise node.error(
            f"{_described(task, plants, widths)} may take {needed} bp, the sequences have {task.length}",
            f"plant fewer, lower min_spacing or a pair's spacing, or set length to {needed} or more",
        )
    if any(plant.position is not None for plant in plants):
        rng = np.random.default_rng(0)
        shape = (_TRIALS, len(plants))
        wide, there = np.broadcast_to(np.array(widths), shape), np.ones(shape, dtype=bool)
        positions = [plant.position for plant in plants]
        if not place(wide, there, positions, task.length, task.min_spacing, rng)[1].all():
            raise node.error(
                f"{_described(task, plants, widths)} take {needed} of {task.length} bp and find no room around "
                "their positions",
                "plant fewer, lower min_spacing or lengthen the sequences",
            )
    try:
        plan_group(task, group, _TRIALS, np.random.default_rng(0))
    except SeqplrpError as error:
        raise node.error(error.what, error.remedy) from None


def check_pair_direction(node: Node, task: Task, pair: Pair) -> None:
    """Refuse a pair whose direction nobody could tell from the sequence.

    Parameters
    ----------
    node : Node
        Where the rule is.
    task : Task
    pair : Pair

    Raises
    ------
    SeqplrpError
        If 'downstream of the first motif' depends on the strand of a motif that reads alike on both.
    """
    first, second = task.use(pair.first), task.use(pair.second)
    if first.strands != "both" or not _is_palindromic(first.motif.probabilities):
        return
    # the second motif's strand gives the first one's away, unless it may be either or cannot be told
    told = pair.orientation != "any" and not _is_palindromic(second.motif.probabilities)
    if told or (pair.orientation != "any" and second.strands != "both"):
        return
    raise node.error(
        f"{pair.first} reads alike on both strands, so nothing tells what lies downstream of it",
        f"set {pair.first}'s strands to forward, or begin the pair with a motif that has a direction",
    )


def _widest(task: Task, plant: Single | Couple) -> int:
    if isinstance(plant, Single):
        return task.use(plant.motif).motif.width
    both = task.use(plant.first).motif.width + task.use(plant.second).motif.width
    return both + plant.spacing.high


def _described(task: Task, plants: list[Single | Couple], widths: list[int]) -> str:
    """Name the plants with their widths, as in ``3 x CTCF (15 bp)``."""
    seen: dict[str, list[int]] = {}
    for plant, width in zip(plants, widths):
        name = plant.motif if isinstance(plant, Single) else f"{plant.first}..{plant.second}"
        seen.setdefault(name, []).append(width)
    return " + ".join(f"{len(widths)} x {name} ({widths[0]} bp)" for name, widths in seen.items())


def _is_palindromic(probabilities: npt.NDArray[np.float64]) -> bool:
    """Say whether a matrix correlates with its reverse complement, up to a shift of a fifth of its width."""
    width = len(probabilities)
    other = probabilities[::-1, ::-1]
    for shift in range(-(width // 5), width // 5 + 1):
        a = probabilities[max(0, shift) : width + min(0, shift)] - 0.25
        b = other[max(0, -shift) : width + min(0, -shift)] - 0.25
        norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
        if norm > 0 and float((a * b).sum()) / norm > _PALINDROMIC:
            return True
    return False
