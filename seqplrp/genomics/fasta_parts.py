"""A FASTA file in checked parts, for those who need records and for those who need no record as a whole.

What is wrong in a FASTA file is found and told here, and nowhere else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.first_seen import FirstSeen
from seqplrp.genomics.letters import Iupac, foreign_letter, foreign_letter_error, letter_table
from seqplrp.genomics.textfile import byte_lines, decode_line

Strand = Literal["+", "-"]
# only the tail is matched, and 18 digits are enough: hostile headers cost no more than others
_PLACE = re.compile(r":([0-9]{1,18})-([0-9]{1,18})(?:\(([+.-])\))?\Z")
_PIECE = 1 << 18  # bytes of a line that are read at once: a chromosome may be one line
_BLOCK = 1 << 16  # lines are checked together once they have so many bytes: one by one takes longer


@dataclass(frozen=True)
class Place:
    """Where a header says that its record lies.

    Parameters
    ----------
    name : str
        What stands before ``::``; empty where nothing does.
    contig : str
        Name of the contig.
    start, end : int
        0-based, half-open.
    strand : str
        ``-`` if the record is the reverse complement of the place.
    """

    name: str
    contig: str
    start: int
    end: int
    strand: Strand


@dataclass(frozen=True)
class Header:
    """Where a record starts.

    Parameters
    ----------
    id : str
        First word of the header.
    line : int
        Its line, from 1.
    place : Place, optional
        What the id says, if it is ``chr:start-end``, ``name::chr:start-end`` or either with a strand behind.
    """

    id: str
    line: int
    place: Place | None


def fasta_parts(path: str | os.PathLike[str], *, iupac: Iupac = "reject") -> Iterator[Header | bytes | None]:
    """Read FASTA a part at a time, in memory that depends neither on records nor on lines.

    Parameters
    ----------
    path : path
        The file, plain or gzipped.
    iupac : {"reject", "n"}
        Whether ambiguity codes are errors or become N.

    Yields
    ------
    Header, bytes or None
        Of every record its header, blocks of its letters (``ACGTN``, at most 320 KiB), and None at its end.

    Raises
    ------
    SeqplrpError
        As `read_fasta` does, but for coordinates that do not fit the length: see `check_span`.
    """
    return _parts(path, letter_table(iupac))


def _parts(path: str | os.PathLike[str], table: bytes) -> Iterator[Header | bytes | None]:
    letters: _Letters | None = None
    number = column = 0
    with FirstSeen() as seen:
        for piece in byte_lines(path, longest=_PIECE):
            number += column == 0
            if column == 0 and piece[:1] == b">":
                if letters is not None:
                    yield from letters.end()
                header = _header(path, number, piece, seen)
                yield header
                letters = _Letters(path, header, table)
                continue
            if letters is not None:
                letters.add(piece, number, column)
                if letters.size >= _BLOCK or piece[-1:] != b"\n":
                    yield letters.take()
            elif piece.strip():
                raise _no_header(path, number, piece)
            column = 0 if piece.endswith(b"\n") else column + len(piece)
    if letters is None:
        raise SeqplrpError(path, "holds no FASTA record", "give a file with at least one '>' header and a sequence")
    yield from letters.end()


class _Letters:
    """The lines of one record that wait to be checked together."""

    def __init__(self, path: str | os.PathLike[str], header: Header, table: bytes) -> None:
        self.path, self.header, self.table = path, header, table
        self.size = 0  # bytes that wait
        self._pieces: list[bytes] = []  # each is a line, but that the first may be the rest of one, the last cut
        self._first = (0, 0)  # line and column of the first
        self._blank: SeqplrpError | None = None  # of the white space at a piece's end, if the line goes on after it
        self._any = False

    def add(self, piece: bytes, line: int, column: int) -> None:
        letters = piece.rstrip()
        if self._blank is not None:
            if column and letters:
                raise self._blank
            self._blank = self._blank if column else None
        if not self._pieces:
            self._first = line, column
        self._pieces.append(letters)
        self.size += len(piece)
        if piece[-1:] != b"\n" and self._blank is None and len(letters) < len(piece):
            self._blank = self._foreign(line, column + len(letters), piece[len(letters) :])

    def take(self) -> bytes:
        """Return the letters that wait, checked and upper-cased."""
        letters = b"".join(self._pieces).translate(self.table)
        index = foreign_letter(letters)
        if index is not None:
            raise self._foreign_at(index)
        self._any = self._any or bool(letters)
        self._pieces, self.size = [], 0
        return letters

    def end(self) -> Iterator[bytes | None]:
        """Give the last letters and the sign that the record ends."""
        yield self.take()
        if not self._any:
            where = f"{self.path}, line {self.header.line}"
            raise SeqplrpError(where, f"record {self.header.id!r} has no sequence", "give or remove it")
        yield None

    def _foreign_at(self, index: int) -> SeqplrpError:
        line, column = self._first
        for piece in self._pieces:
            if index < len(piece):
                return self._foreign(line, column + index, piece[index:])
            index -= len(piece)
            line, column = line + 1, 0
        raise AssertionError("called with the index of a letter that does not wait")

    def _foreign(self, line: int, column: int, rest: bytes) -> SeqplrpError:
        where = f"{self.path}, line {line}, column {column + 1}"
        return foreign_letter_error(where, rest, f"record {self.header.id!r}")


def _no_header(path: str | os.PathLike[str], number: int, line: bytes) -> SeqplrpError:
    shown = line.rstrip()[:20].decode("latin-1")
    return SeqplrpError(
        f"{path}, line {number}", f"text {shown!r} stands before the first '>' header", "give a FASTA file"
    )


def _header(path: str | os.PathLike[str], number: int, line: bytes, seen: FirstSeen) -> Header:
    where = f"{path}, line {number}"
    if len(line) == _PIECE and not line.endswith(b"\n"):
        raise SeqplrpError(where, f"the header is longer than {_PIECE} bytes", "name the record: '>ID'")
    id = _header_id(decode_line(line.rstrip()[1:], path, number), where)
    first = seen.add(id, number)
    if first is not None:
        raise SeqplrpError(
            where, f"the id {id!r} was used before, on line {first}", "give every record an id of its own"
        )
    return Header(id, number, _place(id))


def _header_id(text: str, where: str) -> str:
    if "\r" in text:
        raise SeqplrpError(where, "lines end in a bare carriage return", "convert them to Unix line ends")
    if not text or text[0].isspace():
        raise SeqplrpError(where, "the header has no id behind '>'", "name the record: '>ID'")
    id = text.split(maxsplit=1)[0]
    if not id.isprintable():
        raise SeqplrpError(where, f"the id {id!r} holds unprintable characters", "name the record in plain text")
    return id


def _place(id: str) -> Place | None:
    found = _PLACE.search(id)
    if found is None:
        return None
    name, _, contig = id[: found.start()].rpartition("::")
    if not contig or contig.endswith(":"):
        return None
    return Place(name, contig, int(found[1]), int(found[2]), "-" if found[3] == "-" else "+")


def check_span(path: str | os.PathLike[str], header: Header, length: int) -> None:
    """Raise the error for a record of another length than its header's coordinates say."""
    place = header.place
    if place is None or place.end - place.start == length:
        return
    span = place.end - place.start
    one_based = " (they look 1-based inclusive)" if span + 1 == length else ""
    raise SeqplrpError(
        f"{path}, line {header.line}",
        f"coordinates of {header.id!r} span {span} bases, its sequence has {length}{one_based}",
        "write 0-based half-open coordinates, as 'bedtools getfasta' does, or another id",
    )
