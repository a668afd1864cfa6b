"""What was seen before, and where first: exact for any number of names, in bounded memory."""

from __future__ import annotations

import sqlite3
import tempfile
from types import TracebackType
from typing import Self, TypeVar

from seqplrp.errors import SeqplrpError, first_line

_CACHE_KIB = 8192
Place = TypeVar("Place", int, str)


class FirstSeen:
    """Names, each with the place where it came first.

    They are kept in a private temporary database of SQLite, of which no more than 8 MiB stay in memory; what is
    more goes to a nameless file in the temporary folder (``SQLITE_TMPDIR`` or ``TMPDIR``). May be used from any
    thread, one at a time. Close it after use, or use it as a context manager.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode=OFF", "temp_store=FILE", f"cache_size=-{_CACHE_KIB}"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE seen (name TEXT PRIMARY KEY, place) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, name: str, place: Place) -> Place | None:
        """Note a name; return the place where it came first, or None if that is here.

        Raises
        ------
        SeqplrpError
            If the temporary folder is full or can't be written.
        """
        try:
            if self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (name, place)).rowcount:
                return None
            first: Place = self._database.execute("SELECT place FROM seen WHERE name = ?", (name,)).fetchone()[0]
        except sqlite3.Error as problem:
            raise SeqplrpError(
                "the temporary file of the names that were read",
                f"can't be used ({first_line(problem)})",
                f"make room in {tempfile.gettempdir()}, or name another folder in TMPDIR",
            ) from None
        return first

    def close(self) -> None:
        """Forget all names."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
