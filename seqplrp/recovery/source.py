"""Which state of the package's source results came of: version numbers stay the same while code changes."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import seqplrp

ROOMS = ("lrp", "genomics", "methods", "models", "evaluate", "recovery")
"""The rooms whose source decides values."""

BENCHMARK = (
    "cell",
    "costs",
    "curves",
    "discovered",
    "found_patterns",
    "marginal_protocol",
    "model_protocols",
    "protocols",
    "scenes",
    "tasks",
    "variants",
)
"""Of ``recovery/benchmark``, the modules that decide what is measured of a cell. Its others read configurations, which
each cell keeps in its recipe, or make tables and pages of what cells hold."""


@cache
def source_rooms() -> dict[str, str]:
    """Return a short hash of each room's source files, as they were when this was first asked in the process."""
    return {room: _hashed(room) for room in ROOMS}


def source_digest() -> str:
    """Return a short hash of the package's source files that decide values: the same hash, the same code.

    All files of the rooms `ROOMS` go in, data such as motifs too, but of the benchmark those of `BENCHMARK` alone: a
    page that is laid out anew makes no other values. Comments count: it tells states apart, not meanings.
    """
    text = "".join(f"{room}:{found}\n" for room, found in source_rooms().items())
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _hashed(room: str) -> str:
    root = Path(seqplrp.__file__).parent
    benchmark = root / "recovery" / "benchmark"
    digest = hashlib.sha256()
    for path in sorted((root / room).rglob("*")):
        if path.is_dir() or path.suffix == ".pyc" or path.name.startswith("."):
            continue
        if path.parent == benchmark and path.stem not in BENCHMARK:
            continue
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
