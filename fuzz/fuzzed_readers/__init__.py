"""Every reader of files from outside: small valid files to start from, and what calls it.

The fuzzer (`fuzz.py`) and the tests (`tests/test_hostile_files.py`) share this list: a new reader is added to the
module of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping

from fuzzed_readers import benchmarks, explanations, images, models, runs, sequences, tasks
from fuzzed_readers.framing import framed, zipped
from fuzzed_readers.reader import Reader

__all__ = ["READERS", "Reader", "framed", "zipped"]

_KINDS = (sequences, tasks, models, explanations, runs, benchmarks, images)

READERS: Mapping[str, Reader] = {reader.name: reader for kind in _KINDS for reader in kind.READERS}
"""All readers by name."""
