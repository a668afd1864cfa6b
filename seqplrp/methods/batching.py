"""How many inputs at a time, by an estimate of memory, and how far it has come."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import Plan

Progress = bool | Callable[[int, int], None]
"""Whether to show a bar on a terminal, or a callable that is told (done, total)."""

MEMORY = 512 * 2**20
"""Bytes of activations that a batch may take on a GPU where the user sets no batch size."""

CACHED = 96 * 2**20
"""Bytes of activations that a batch takes on a CPU: beyond what its caches hold, a larger batch is slower."""

LARGEST_BATCH = 256


def bytes_for_one(plan: Plan, length: int, dtype: torch.dtype) -> int:
    """Estimate the memory that explaining one input of a length takes, in bytes.

    What the way back needs is stored; beside it about four copies of the largest activation live at the worst moment:
    the value, its relevance, a share and a sum.
    """
    batch, *_, traced_length = plan.graph.input_sizes
    units = {step.output: _units(step.node.sizes) // batch for step in plan.steps}
    stored = sum(units.get(name, 0) for name in plan.first_backward_use)
    largest = max(units.values(), default=0)
    return int((stored + 4 * largest) * (length / traced_length)) * torch.finfo(dtype).bits // 8


def _units(sizes: tuple[int, ...] | None) -> int:
    units = 1
    for size in sizes or ():
        units *= size
    return units


def batch_size(asked: object, per_input: int, device: torch.device) -> int:
    """Return how many inputs to explain at a time: at most as many as the user asked for.

    Raises
    ------
    SeqplrpError
        Where the user asked for what is no size, or one input alone needs more memory than there is.
    """
    if asked is not None:
        if not isinstance(asked, int) or isinstance(asked, bool) or asked < 1:
            raise SeqplrpError("batch_size", f"{asked!r} is not a whole number >= 1", "leave it out to have it chosen")
        return asked if device.type != "cpu" else min(asked, max(1, CACHED // max(per_input, 1)))
    free = free_memory(device)
    if free is not None and per_input > free:
        raise SeqplrpError(
            "X",
            f"explaining one input takes about {per_input / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free",
            "explain shorter windows, use float32, or another device",
        )
    wanted = CACHED if device.type == "cpu" else MEMORY
    return max(1, min(LARGEST_BATCH, wanted // max(per_input, 1)))


def free_memory(device: torch.device) -> int | None:
    """Return the bytes that are free on a device; None where that can't be told."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "cpu" and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return _available() or os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _available() -> int | None:
    """Return what the system can give without swapping, caches that it would drop included."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = next((line for line in lines if line.startswith("MemAvailable:")), None)
    except OSError:  # no Linux
        return None
    return None if found is None else int(found.split()[1]) * 1024


def ran_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


class reporting:
    """Tell progress to a bar on a terminal, to the user's callable, or to nobody."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.total = total
        self.bar: Any = None
        self.call = progress if callable(progress) else None
        self.wanted = progress is True

    def __enter__(self) -> Callable[[int], None]:
        if self.wanted:
            from rich.progress import Progress

            self.bar = Progress(transient=True)
            self.bar.start()
            self.task = self.bar.add_task("explaining", total=self.total)
        return self.report

    def report(self, done: int) -> None:
        if self.call is not None:
            self.call(done, self.total)
        if self.bar is not None:
            self.bar.update(self.task, completed=done)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
