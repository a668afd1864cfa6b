"""Memory that a run has freed goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from seqplrp.pipeline import freed

HELD = """
import sys
from seqplrp.pipeline.freed import GivingBack, resident

after = GivingBack()
after(1, 9)                                         # the first batch
blocks = [bytearray(8192) for _ in range(int(sys.argv[1]))]     # of the C library's heap: Python keeps small ones alone
last = bytearray(8192)                              # stands behind them: the heap's end can't be given back
del blocks
before = resident()
after(2, 9)
print(before - resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library has no malloc_trim")
@pytest.mark.parametrize(("blocks", "least", "most"), [(30_000, 200e6, 300e6), (3_000, -1e6, 1e6)])
def test_what_was_freed_below_what_is_held_goes_back_once_it_is_much(blocks, least, most):
    done = subprocess.run([sys.executable, "-c", HELD, str(blocks)], capture_output=True, text=True, check=True)
    assert least < int(done.stdout) < most


def test_without_such_a_function_nothing_is_done(monkeypatch):
    def no_library(name):
        raise OSError("there is none")

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    freed._trim.cache_clear()
    try:
        assert freed._trim() is None
        freed.GivingBack()(1, 2)
    finally:
        freed._trim.cache_clear()


def test_a_run_asks_after_every_batch(run, monkeypatch, tmp_path, model_directory, fasta):
    calls = []
    monkeypatch.setattr(freed.GivingBack, "__call__", lambda self, done, total: calls.append((done, total)))
    options = ("--batch-size", "2", "--target", "0", "--formats", "npz")
    assert run("explain", "--model", model_directory, "--fasta", fasta, "--out", tmp_path / "o", *options).code == 0
    assert calls[-3:] == [(2, 5), (4, 5), (5, 5)]
