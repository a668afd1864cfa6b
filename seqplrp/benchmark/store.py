"""Tables of a run put together, and short names for what its files are made from."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_PARTIAL = ".partial"


def gzipped(text: str) -> bytes:
    """Compress text; the same text gives the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=6) as handle:
        handle.write(text.encode())
    return buffer.getvalue()


def joined_tables(parts: Iterable[Path], goal: Path) -> None:
    """Put gzipped tables with the same header together, one after the other, without holding them in memory."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    partial = goal.with_name(goal.name + _PARTIAL)
    with open(partial, "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as whole:
            for number, part in enumerate(parts):
                with gzip.open(part, "rb") as table:
                    header = table.readline()
                    if number == 0:
                        whole.write(header)
                    shutil.copyfileobj(table, whole)
        raw.flush()
        os.fsync(raw.fileno())
    os.replace(partial, goal)


def digest(content: Any) -> str:
    """Return a short hash of plain values, the same for the same values."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_name(name: str) -> str:
    """Return a file name for any name: readable, and different for different names."""
    readable = re.sub(r"[^A-Za-z0-9.=-]+", "-", name).strip("-.")[:60]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
