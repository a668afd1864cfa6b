"""Files that are whole or not there, a lock against a second run, and what tells one piece of work from another."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.storage.failures import naming
from seqplrp.storage.json_text import parse_json

_PARTIAL = ".partial"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, bring it to the disk, rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), written_whole(path, path.with_name(path.name + _PARTIAL)) as handle:
        handle.write(content)


@contextmanager
def written_whole(path: Path, partial: Path) -> Iterator[BinaryIO]:
    """Open a file to write under a temporary name; at the end it is on the disk and has its own, or nothing is left.

    Parameters
    ----------
    path : Path
        The file to be.
    partial : Path
        Its name until then, in the same directory.
    """
    try:
        with open(partial, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_json(path: Path, content: Any) -> None:
    """Write JSON; numbers that are not finite are refused."""
    write_whole(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path, remedy: str | None = None, *, keys: Iterable[str] = ()) -> Any:
    """Read a JSON object that `write_json` wrote; None where there is no such file.

    Parameters
    ----------
    path : Path
        The file.
    remedy : str, optional
        What to do if it is damaged; to remove the folder that it lies in, unless given.
    keys : iterable of str
        What it must have.

    Raises
    ------
    SeqplrpError
        If the file is damaged.
    """
    try:
        with naming(path):
            content = parse_json(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
        missing = [key for key in keys if key not in content]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return content
    except FileNotFoundError:
        return None
    except ValueError as error:
        what = f"can't be read ({first_line(error)})"
        raise SeqplrpError(path, what, remedy or f"remove {path.parent} to have it made again") from error


def differences(there: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """Say in words by which keys two descriptions differ."""
    found = []
    for key in dict.fromkeys([*there, *now]):
        name = f"{path}.{key}" if path else str(key)
        before, after = there.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, name)
        elif before != after:
            found.append(f"{name} was {_shown(before)} and is {_shown(after)}")
    return found


@contextmanager
def locked(directory: Path) -> Iterator[Callable[[], bool]]:
    """Hold a directory against other runs; the lock ends with the process, however that ends.

    Yields
    ------
    callable
        Says whether the directory is still held: not once it was removed, and perhaps made anew by somebody else.

    Raises
    ------
    SeqplrpError
        If another run holds it.
    """
    import fcntl

    path = directory / ".lock"
    with open(path, "a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            who = handle.read().strip() or "unknown"
            raise SeqplrpError(
                directory, f"another run is at work there (process {who})", "wait for it, or choose another --out"
            ) from None
        handle.seek(0)
        handle.truncate()
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield lambda: _is_at(handle.fileno(), path)


def _is_at(handle: int, path: Path) -> bool:
    """Say whether what is open is what a path leads to."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


def sync_directory(directory: Path) -> None:
    """Make renames within a directory outlast a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _shown(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
