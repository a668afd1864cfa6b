"""Which records there are and where they lie, on disk: in the input's order, and along the genome.

A run may hold millions of records, so neither their names nor the order of their places is kept in memory.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from seqplrp.genomics.fasta import Record

_MAKE = """
CREATE TABLE record (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    contig TEXT NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    strand TEXT NOT NULL,
    offset INTEGER NOT NULL
)
"""
_COLUMNS = "id, contig, start, end, strand, offset"
# nobody reads the file before it is whole, and one that was left half-made is made anew
_UNSAFE_AND_QUICK = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -8192")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies.

    Parameters
    ----------
    id : str
        Its name.
    contig : str
        What it lies on.
    start, end : int
        0-based half-open place on the contig; a window that was padded may begin before 0 and end after the contig.
    strand : str
        ``-`` if its letters are the reverse complement of that place, else ``+``.
    offset : int
        Where its values begin in a run's flat arrays.
    """

    id: str
    contig: str
    start: int
    end: int
    strand: str
    offset: int

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def values(self) -> tuple[int, int]:
        """Where its values lie in the flat arrays, half-open."""
        return self.offset, self.offset + len(self)


class RecordIndex:
    """The records of a run, in one SQLite file; a context manager that closes it.

    Parameters
    ----------
    path : Path
        The file, made anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.unlink(missing_ok=True)
        self._count = self._total = 0
        with self._failures():
            self._base = sqlite3.connect(path, isolation_level=None)
            for line in (*_UNSAFE_AND_QUICK, _MAKE, "BEGIN"):
                self._base.execute(line)
        self._open_for_more = True

    def __enter__(self) -> RecordIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def __len__(self) -> int:
        return self._count

    @property
    def total(self) -> int:
        """Number of positions over all records."""
        return self._total

    def extend(self, records: Iterable[Record | Place]) -> None:
        """Append records, in the order of the input."""
        with self._failures():
            self._base.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", self._rows(records))

    def _rows(self, records: Iterable[Record | Place]) -> Iterator[tuple[Any, ...]]:
        for one in records:
            yield (self._count, one.id, one.contig, one.start, one.end, one.strand, self._total)
            self._count += 1
            self._total += one.end - one.start

    def finish(self) -> None:
        """Say that all records are there: they can be read from now on."""
        with self._failures():
            self._base.execute("CREATE INDEX along_the_genome ON record (contig, start, end, number)")
            self._base.execute("COMMIT")
        self._open_for_more = False

    def in_order(self) -> Iterator[Place]:
        """Give every record in the order of the input."""
        return self._places(f"SELECT {_COLUMNS} FROM record ORDER BY number")

    def in_batches(self, size: int) -> Iterator[tuple[int, list[Place]]]:
        """Give so many records at a time, in the order of the input, with the number of their first."""
        places, first = self.in_order(), 0
        while batch := list(islice(places, size)):
            yield first, batch
            first += len(batch)

    def along_the_genome(self) -> Iterator[Place]:
        """Give every record by contig, sorted by code points, and place."""
        return self._places(f"SELECT {_COLUMNS} FROM record ORDER BY contig, start, end, number")

    def lengths(self) -> tuple[int, int]:
        """Return the shortest and the longest record's length."""
        shortest, longest = self._one("SELECT min(end - start), max(end - start) FROM record")
        return int(shortest), int(longest)

    def longest_id(self) -> int:
        """Return how many characters the longest name has."""
        return int(self._one("SELECT max(length(id)) FROM record")[0])

    def ends(self) -> dict[str, int]:
        """Return the largest end that was seen on every contig, sorted by the contigs' code points."""
        with self._failures():
            return dict(self._base.execute("SELECT contig, max(end) FROM record GROUP BY contig ORDER BY contig"))

    def doubtful_contigs(self) -> tuple[str, ...]:
        """Name contigs that one record is by its name alone and others by their coordinates: perhaps not the same."""
        ask = "SELECT contig FROM record GROUP BY contig HAVING min(id = contig) <> max(id = contig) ORDER BY contig"
        with self._failures():
            return tuple(row[0] for row in self._base.execute(ask))

    def _one(self, ask: str) -> Any:
        with self._failures():
            return self._base.execute(ask).fetchone()

    def _places(self, ask: str) -> Iterator[Place]:
        assert not self._open_for_more, "finish() first"
        with self._failures():
            for row in self._base.execute(ask):
                yield Place(*row)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Let a disk that is full or fails be what it is everywhere else: an OSError with a number and a path."""
        try:
            yield
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorname", "")
            number = errno.ENOSPC if code == "SQLITE_FULL" else errno.EIO if code.startswith("SQLITE_IOERR") else None
            if number is None:
                raise
            raise OSError(number, os.strerror(number), str(self._path)) from error
