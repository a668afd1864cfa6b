"""Which state of the package's source results came of: version numbers stay the same while code changes."""

from __future__ import annotations

from seqplrp.benchmark import MODULES, Source

ROOMS = ("lrp", "genomics", "methods", "models", "evaluate", "benchmark", "recovery")
"""The rooms whose source decides values."""

BENCHMARK = (
    "discovered",
    "found_patterns",
    "marginal_protocol",
    "model_protocols",
    "networks",
    "protocols",
    "scenes",
    "tasks",
)
"""Of ``recovery/benchmark``, the modules that decide what is measured of a cell. Its others put these together, or make
tables and pictures of what cells hold."""

SOURCE = Source(ROOMS, (("benchmark", MODULES), ("recovery/benchmark", BENCHMARK), ("recovery/report", ())))


def source_rooms() -> dict[str, str]:
    """Return a short hash of each room's source files, as they were when this was first asked in the process."""
    return SOURCE.state()


def source_digest() -> str:
    """Return a short hash of the package's source files that decide values: the same hash, the same code.

    All files of the rooms `ROOMS` go in, data such as motifs too, but of the benchmark's those alone that decide what
    is measured: a page that is laid out anew makes no other values. Comments count: it tells states apart, not
    meanings.
    """
    return SOURCE.digest()
