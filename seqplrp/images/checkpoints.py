"""Where a training run stands after an epoch, as one file that is whole or not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.storage import parse_json, write_whole

_GROUPS = ("model", "best", "optimiser")


@dataclass(frozen=True, eq=False)
class TrainingState:
    """All that the rest of a training run depends on.

    Parameters
    ----------
    rows : list of dict
        The history: a row an epoch that is done.
    best_epoch : int
        Whose weights are the best so far, counted from 1.
    cpu_seconds : float
        Processor time so far, of all threads.
    model, best : dict of str to Tensor
        Weights after the last epoch, and the best so far.
    optimiser : dict of str to Tensor
        ``NUMBER.KEY``: what the optimiser keeps of each parameter.
    """

    rows: list[dict[str, float]]
    best_epoch: int
    cpu_seconds: float
    model: dict[str, Tensor]
    best: dict[str, Tensor]
    optimiser: dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A file for the state of a training run.

    Parameters
    ----------
    path : Path
        Made at the first `save`.
    before : callable
        Called before each `save`; raises where the place is another's by now.
    """

    path: Path
    before: Callable[[], None] = lambda: None

    def save(self, state: TrainingState) -> None:
        """Write a state in the last one's place."""
        self.before()
        tensors = {
            f"{group}.{name}": value.detach().cpu().contiguous()
            for group in _GROUPS
            for name, value in getattr(state, group).items()
        }
        told = {"rows": state.rows, "best_epoch": state.best_epoch, "cpu_seconds": state.cpu_seconds}
        write_whole(self.path, save(tensors, metadata={"state": json.dumps(told)}))

    def load(self) -> TrainingState | None:
        """Return the state that was written last; None where none was.

        Raises
        ------
        SeqplrpError
            If the file is damaged.
        """
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                told = parse_json(file.metadata()["state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            model, best, optimiser = (_of_group(tensors, group) for group in _GROUPS)
            return TrainingState(**told, model=model, best=best, optimiser=optimiser)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise SeqplrpError(
                self.path, f"can't be read as a checkpoint ({first_line(error)})", "begin anew with --overwrite"
            ) from error


def flattened(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of an optimiser's ``state_dict()`` by ``NUMBER.KEY``."""
    return {f"{number}.{key}": value for number, kept in state["state"].items() for key, value in kept.items()}


def unflattened(tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an optimiser's ``state_dict()`` with the tensors of `flattened`; the rest is the optimiser's own."""
    kept: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition(".")
        kept.setdefault(int(number), {})[key] = value
    return {"state": kept, "param_groups": state["param_groups"]}


def _of_group(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    prefix = f"{group}."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
