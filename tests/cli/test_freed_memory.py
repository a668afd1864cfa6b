"""Memory that a run has freed goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

HELD = """
from seqplrp.pipeline import freed

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

blocks = [bytearray(8192) for _ in range(30_000)]   # each of the C library's heap, as Python keeps small ones alone
last = bytearray(8192)                              # stands behind them: the heap's end can't be given back
del blocks
before = resident()
freed.give_back_freed()
print(before - resident())
"""


def test_what_was_freed_below_what_is_held_goes_back_to_the_system():
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("this C library has no malloc_trim")
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 200e6, "30,000 blocks of 8 KiB were freed"


def test_without_such_a_function_nothing_is_done(monkeypatch):
    from seqplrp.pipeline import freed

    def no_library(name):
        raise OSError("there is none")

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    freed._trim.cache_clear()
    try:
        assert freed._trim() is None
        freed.give_back_freed()
    finally:
        freed._trim.cache_clear()
