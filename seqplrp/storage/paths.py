"""Paths that stand in files of others."""

from __future__ import annotations

import os
from pathlib import Path


def is_file(path: str | os.PathLike[str]) -> bool:
    """Say whether there is such a file; False also for what no file can be called."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a name that is too long, half a character
        return False
