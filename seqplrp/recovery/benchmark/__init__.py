"""The recovery benchmark: tasks by architectures by training seeds by methods, resumable, with its report."""

from __future__ import annotations

from seqplrp.benchmark import (
    BenchmarkConfig,
    Event,
    Outcome,
    RunState,
    Summary,
    report_run,
    run_benchmark,
    run_cells,
    run_state,
    shown_measures,
    summarise_run,
)
from seqplrp.recovery.benchmark.domain import DNA, read_config

__all__ = [
    "DNA",
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
