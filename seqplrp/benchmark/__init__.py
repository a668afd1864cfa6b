"""Methods compared on trained models, whatever the inputs are: cells that are resumed, statistics, pictures, report.

A `Domain` says what a kind of input brings. A run is read by `read_config` and made by `run_benchmark`; it consists of
cells: a task, an architecture and a training seed.
"""

from __future__ import annotations

from seqplrp.benchmark.cell import PATTERNS_FILE, Cell, cells_of, recipes_of
from seqplrp.benchmark.config import BenchmarkConfig, read_config
from seqplrp.benchmark.domain import Domain, Examples, Words
from seqplrp.benchmark.entries import Entry, read_entries
from seqplrp.benchmark.model_protocols import ModelFinding, ModelProtocol
from seqplrp.benchmark.model_tables import MODEL_COLUMNS, as_text
from seqplrp.benchmark.networks import Architecture, Fact, Network
from seqplrp.benchmark.outcome import Outcome, report_run, run_benchmark
from seqplrp.benchmark.page import benchmark_page
from seqplrp.benchmark.pictures import shown_measures
from seqplrp.benchmark.protocols import (
    LOCALISATION,
    RANDOMISATION,
    SPARSITY,
    FaithfulnessOptions,
    Measured,
    Options,
    Protocol,
    RobustnessOptions,
    Subject,
    check_draws,
    faithfulness_protocol,
    robustness_protocol,
)
from seqplrp.benchmark.runner import Event, RunState, run_cells, run_state
from seqplrp.benchmark.scenes import SCORED, Candidates, Scene, flat, scored_rows
from seqplrp.benchmark.source import MODULES, Source
from seqplrp.benchmark.store import digest, file_name
from seqplrp.benchmark.summary import Summary, summarise_run
from seqplrp.benchmark.tasks import GROUPS, TASK_KEYS, BenchmarkTask, Group, task_head

__all__ = [
    "GROUPS",
    "LOCALISATION",
    "MODEL_COLUMNS",
    "MODULES",
    "PATTERNS_FILE",
    "RANDOMISATION",
    "SCORED",
    "SPARSITY",
    "TASK_KEYS",
    "Architecture",
    "BenchmarkConfig",
    "BenchmarkTask",
    "Candidates",
    "Cell",
    "Domain",
    "Entry",
    "Event",
    "Examples",
    "Fact",
    "FaithfulnessOptions",
    "Group",
    "Measured",
    "ModelFinding",
    "ModelProtocol",
    "Network",
    "Options",
    "Outcome",
    "Protocol",
    "RobustnessOptions",
    "RunState",
    "Scene",
    "Source",
    "Subject",
    "Summary",
    "Words",
    "as_text",
    "benchmark_page",
    "cells_of",
    "check_draws",
    "digest",
    "faithfulness_protocol",
    "file_name",
    "flat",
    "read_config",
    "read_entries",
    "recipes_of",
    "report_run",
    "robustness_protocol",
    "run_benchmark",
    "run_cells",
    "run_state",
    "scored_rows",
    "shown_measures",
    "summarise_run",
    "task_head",
]
