"""The recovery benchmark: tasks by architectures by training seeds by methods, resumable, with its report."""

from __future__ import annotations

from seqplrp.recovery.benchmark.config import BenchmarkConfig, read_config
from seqplrp.recovery.benchmark.outcome import Outcome, report_run, run_benchmark
from seqplrp.recovery.benchmark.pictures import shown_measures
from seqplrp.recovery.benchmark.runner import Event, RunState, run_cells, run_state
from seqplrp.recovery.benchmark.summary import Summary, summarise_run

__all__ = [
    "BenchmarkConfig",
    "Event",
    "Outcome",
    "RunState",
    "Summary",
    "read_config",
    "report_run",
    "run_benchmark",
    "run_cells",
    "run_state",
    "shown_measures",
    "summarise_run",
]
