"""What a run's files held when it was begun: nothing that was read later may be mixed with it unnoticed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from seqplrp.errors import SeqplrpError
from seqplrp.storage import naming

_Seen = tuple[int, int, int, int, int]


@dataclass
class Contents:
    """The files that a run reads again and again.

    Whether a file is still the same is asked of its size and dates where that must be quick, and of what it holds where
    these differ. Only whether a date is another counts, not which is the later: clocks may go backwards.

    Parameters
    ----------
    paths : iterable of path
        The files; this is to be made before they are read first.

    Attributes
    ----------
    sha256 : dict of Path to str
        What they hold, once `hash` was called.

    Raises
    ------
    SeqplrpError
        If one is a pipe.
    """

    paths: Iterable[Path]
    sha256: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._seen = {path: _look(path) for path in self.paths}

    def hash(self) -> None:
        """Note what the files hold, which must be what they held when this was made.

        Raises
        ------
        SeqplrpError
            If one was changed meanwhile.
        """
        for path, seen in self._seen.items():
            self.sha256[path] = file_sha256(path)
            if _look(path) != seen:
                raise _changed(path)

    def check(self) -> None:
        """Raise if a file is not what it was, by its size and dates; a new date alone is no change.

        Raises
        ------
        SeqplrpError
            If one was changed, replaced or removed.
        """
        for path, seen in self._seen.items():
            now = _look(path)
            if now != seen:
                self._check_content(path)
                self._seen[path] = now

    def check_content(self) -> None:
        """Raise if a file does not hold what it held, whatever its dates say: all of it is read.

        Raises
        ------
        SeqplrpError
            As `check` does.
        """
        for path in self._seen:
            self._check_content(path)

    def _check_content(self, path: Path) -> None:
        try:
            now = file_sha256(path)
        except FileNotFoundError as error:
            raise _changed(path, "removed") from error
        if now != self.sha256[path]:
            raise _changed(path)


def file_sha256(path: Path) -> str:
    """Hash a file's bytes."""
    with naming(path), open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _look(path: Path) -> _Seen | None:
    """Return what tells quickly whether a file is another; None where there is none, which its reader tells."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if stat.S_ISFIFO(found.st_mode):
        raise SeqplrpError(path, "is a pipe, and is read more than once", "write what comes out of it to a file first")
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _changed(path: Path, how: str = "changed") -> SeqplrpError:
    return SeqplrpError(
        path, f"was {how} while it was read", "put back what it was and go on, or begin anew with what it is now"
    )
