"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


def give_back_freed() -> None:
    """Give the system what this process has freed and the C library keeps for later.

    A chunk's results, small and long-lived, come to lie between its activations, large and short-lived; the library
    (glibc) gives back the end of its heap alone, so a process grows by hundreds of MiB over a run although it holds no
    more than at the first chunk. It takes some 20 ms a chunk. With other C libraries nothing is done.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim  # glibc's alone
    except (AttributeError, OSError, TypeError):  # TypeError: on Windows there is no such thing as "this program"
        return None
