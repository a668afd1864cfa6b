"""The peak of memory during a call: on the CPU as the kernel counts it, on a GPU as torch does.

A process whose memory is measured must be started with the variables of `MALLOC`.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

WARM_UPS = 2
MEMORY_RUNS = 3

MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}
"""glibc hands every block of more than 64 kB back to the system when it is freed: resident memory is live memory."""

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def peak_of(call: Callable[[], Any], warm_up: Callable[[], Any], device: str, times: int = MEMORY_RUNS) -> int:
    """Return the peak of memory during a call above what was in use before it, in bytes; the median of some calls.

    Raises
    ------
    OSError
        On the CPU, where the system is not Linux or does not let a process set its peak back.
    """
    for _ in range(WARM_UPS):
        warm_up()
    peak = _peak_on_gpu if device.startswith("cuda") else _peak_on_cpu
    return int(statistics.median(peak(call) for _ in range(times)))


def _peak_on_gpu(call: Callable[[], Any]) -> int:
    import torch

    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _peak_on_cpu(call: Callable[[], Any]) -> int:
    gc.collect()
    _CLEAR.write_text("5")  # sets the peak, VmHWM, to what is resident now
    before = _resident("VmRSS")
    call()
    return _resident("VmHWM") - before


def _resident(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
