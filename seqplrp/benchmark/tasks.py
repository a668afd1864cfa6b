"""What models are trained on, or are asked about: tasks, in groups that say what they may be used for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from seqplrp.benchmark.entries import Entry

Group = Literal["development", "control", "report"]
GROUPS: tuple[Group, ...] = ("development", "control", "report")
"""Tasks on which defaults may be chosen; on which no method should do well; and that only tell how methods do."""

TASK_KEYS = ("seed", "group", "learned")
"""Keys of a configuration that every task has; see `task_head`."""


@dataclass(frozen=True)
class BenchmarkTask(ABC):
    """What all tasks have in common.

    Parameters
    ----------
    name : str
    group : {"development", "control", "report"}
    seed : int
        Of the data, of their split, and of every random draw that methods share.
    learned : float or None
        The least test quality of a model that counts as one that learned (the domain says what quality is, such as the
        AUROC, mean over classes); None takes the run's.
    """

    name: str
    group: Group
    seed: int
    learned: float | None

    @abstractmethod
    def load(self) -> Any:
        """Make or read the data: what the domain's architectures are trained on and its candidates are drawn from."""

    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """Return all that decides the data, as plain values."""

    @property
    @abstractmethod
    def says(self) -> str:
        """One line for reports."""


def task_head(name: str, given: Mapping[str, Entry]) -> tuple[str, Group, int, float | None]:
    """Read what every task has: its name, and the keys `TASK_KEYS`, of which ``group`` must be there.

    Raises
    ------
    SeqplrpError
        With file, line and key.
    """
    group = cast(Group, given["group"].choice(GROUPS))
    seed = given["seed"].whole() if "seed" in given else 0
    learned = given["learned"].number(0, 1) if "learned" in given else None
    return name, group, seed, learned
