"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

MOST_KEPT = 48 * 2**20
"""Bytes by which a process may grow beyond what it holds after its first batch, before what is freed is given back."""


class GivingBack:
    """Is called after each batch; gives the system what was freed once the process has grown.

    What is kept of a batch comes to lie between the activations of the next ones, and the C library (glibc) gives back
    the end of its heap alone: without this a process grows by hundreds of MiB over a run although it holds no more
    than at first. It is not done after every batch, as the pages that the next one needs are made anew, which takes a
    third of a batch's time. Where there is no glibc, or no ``/proc``, nothing is done.
    """

    def __init__(self) -> None:
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Look at how far the process has grown, and give back what was freed if that is much."""
        trim, held = _trim(), resident()
        if trim is None or held is None:
            return
        if self._first is None:
            self._first = held
        elif held > self._first + MOST_KEPT:
            trim(0)


def resident() -> int | None:
    """Return the bytes of this process that are in memory; None where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim  # glibc's alone
    except (AttributeError, OSError, TypeError):  # TypeError: on Windows there is no such thing as "this program"
        return None
