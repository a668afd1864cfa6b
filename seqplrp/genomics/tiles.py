"""Long FASTA records as overlapping windows, read as a stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.asked import check_choice, check_width
from seqplrp.genomics.fasta import Record
from seqplrp.genomics.fasta_parts import Header, Place, check_span, fasta_parts
from seqplrp.genomics.first_seen import FirstSeen
from seqplrp.genomics.letters import Iupac
from seqplrp.genomics.remarks import Note, Remark

Short = Literal["pad", "whole", "skip", "error"]


def fasta_tiles(
    path: str | os.PathLike[str],
    *,
    window: int,
    stride: int,
    note: Note,
    short: Short = "pad",
    iupac: Iupac = "reject",
) -> Iterator[Record]:
    """Cut the records of a FASTA file into windows, while they are read.

    No record is held as a whole: a chromosome takes the memory of two windows and a few hundred kilobytes.

    Parameters
    ----------
    path : path
        The file, plain or gzipped, as `read_fasta` takes it.
    window : int
        Letters in a tile.
    stride : int
        Bases from the start of a tile to that of the next; at most `window`, so that every base is in a tile. The
        last tile of a record ends where the record ends, and so may start closer to the one before.
    note : callable
        Is given a `Remark` for each record shorter than `window` (kind ``short``) and for each tile left out
        because one with the same id came before, of records that overlap on the genome (kind ``duplicate``).
    short : {"pad", "whole", "skip", "error"}
        What is done with a shorter record: N on both sides, the odd one on the right; or it is given as it is; or
        left out; or it is an error.
    iupac : {"reject", "n"}
        Whether ambiguity codes are errors or become N.

    Yields
    ------
    Record
        With the id ``chr:start-end`` as ``bedtools getfasta`` builds it, and contig and coordinates on the record,
        or on the genome if the record's header places it there. Tiles of a record of strand ``-`` are of that
        strand, keep its letters, and end with ``(-)``; a ``name::`` before the header's place is kept. A padded
        tile has its true place: `start` may be below 0, `end` beyond the contig.

    Raises
    ------
    SeqplrpError
        As `read_fasta` does. A record whose length does not fit its coordinates is only found at its end; no tile
        beyond them is given before.
    """
    check_width("window", window)
    if not 1 <= stride <= window:
        what = f"is {stride}, where the window is {window}"
        raise SeqplrpError("stride", what, "give 1 to the window's length, so that every base is in a tile")
    check_choice("short", short, ("pad", "whole", "skip", "error"))
    return _tiles(path, fasta_parts(path, iupac=iupac), window, stride, short, note)


def _tiles(
    path: str | os.PathLike[str],
    parts: Iterator[Header | bytes | None],
    window: int,
    stride: int,
    short: Short,
    note: Note,
) -> Iterator[Record]:
    with FirstSeen() as seen:
        for part in parts:
            if isinstance(part, Header):
                header, cutter = part, _Cutter(part.place, window, stride)
                continue
            if part is not None:
                pieces = cutter.add(part)
            else:
                check_span(path, header, cutter.length)
                pieces = cutter.end() if cutter.length >= window else _short(path, header, cutter, short, note)
            for first, letters in pieces:
                tile = _tile(header, first, letters)
                if seen.add(tile.id, header.line) is None:
                    yield tile
                else:
                    note(_remark("duplicate", path, header, tile, "a tile with the same id came before"))


class _Cutter:
    """Cuts one record, of which it holds what the next and the last tile may need."""

    def __init__(self, place: Place | None, window: int, stride: int) -> None:
        self.length = 0  # letters that came
        self.held = bytearray()  # the last of them
        self.window, self._stride = window, stride
        self._next = 0  # start of the next tile
        self._most = None if place is None else place.end - place.start

    def add(self, letters: bytes) -> Iterator[tuple[int, str]]:
        """Take letters; give the start and the letters of each tile that is complete with them."""
        self.held += letters
        self.length += len(letters)
        while self._next + self.window <= self.length and not self._is_too_long(self._next + self.window):
            yield self._cut(self._next)
            self._next += self._stride
        # the last tile starts no earlier than the last that was cut; where none was, all is needed
        needed = max(0, self._next - self._stride)
        if self._is_too_long(self.length):
            needed = self.length  # only to be counted, for the error at the end
        del self.held[: max(0, needed - (self.length - len(self.held)))]

    def end(self) -> Iterator[tuple[int, str]]:
        """Give the tile that ends with the record, if no other did."""
        if self._next - self._stride + self.window < self.length:
            yield self._cut(self.length - self.window)

    def _is_too_long(self, length: int) -> bool:
        return self._most is not None and length > self._most

    def _cut(self, start: int) -> tuple[int, str]:
        index = start - (self.length - len(self.held))
        return start, self.held[index : index + self.window].decode("ascii")


def _short(
    path: str | os.PathLike[str], header: Header, cutter: _Cutter, short: Short, note: Note
) -> Iterator[tuple[int, str]]:
    """Do what is asked with a record that is shorter than the window."""
    window = cutter.window
    reason = f"has {cutter.length} letters, fewer than the window of {window}"
    if short == "error":
        where = f"{path}, line {header.line}"
        raise SeqplrpError(where, f"record {header.id!r} {reason}", "pad, skip or keep such records, or leave it out")
    letters = cutter.held.decode("ascii")
    left = (window - cutter.length) // 2 if short == "pad" else 0
    if short == "pad":
        letters = "N" * left + letters + "N" * (window - cutter.length - left)
    note(_remark("short", path, header, _tile(header, -left, letters), reason, used=short != "skip"))
    if short != "skip":
        yield -left, letters


def _tile(header: Header, first: int, letters: str) -> Record:
    """Return the tile that starts with letter `first` of the record."""
    last = first + len(letters)
    place = header.place
    if place is None:
        return Record(f"{header.id}:{first}-{last}", letters, header.id, first, last)
    if place.strand == "-":  # the record's first letter lies at the end of its place
        start, end, behind = place.end - last, place.end - first, "(-)"
    else:
        start, end, behind = place.start + first, place.start + last, ""
    before = f"{place.name}::" if place.name else ""
    return Record(f"{before}{place.contig}:{start}-{end}{behind}", letters, place.contig, start, end, place.strand)


def _remark(
    kind: str, path: str | os.PathLike[str], header: Header, tile: Record, reason: str, *, used: bool = False
) -> Remark:
    where = f"{path}, line {header.line}"
    return Remark(kind, header.id, tile.contig, tile.start, tile.end, reason, where, used)
