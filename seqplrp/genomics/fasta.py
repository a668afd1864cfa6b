"""FASTA in and out, a record at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.textfile import byte_lines, decode_line, unwritable

_IUPAC = b"RYSWKMBDHV"
_UPPER = bytes.maketrans(b"acgtuUn" + _IUPAC.lower(), b"ACGTTTN" + _IUPAC)
_UPPER_N = bytes.maketrans(b"acgtuUn" + _IUPAC + _IUPAC.lower(), b"ACGTTTN" + b"N" * 2 * len(_IUPAC))
# only the tail is matched, and 18 digits are enough: hostile headers cost no more than others
_PLACE = re.compile(r":([0-9]{1,18})-([0-9]{1,18})(?:\(([+.-])\))?\Z")
_LINE_WIDTH = 80


@dataclass(frozen=True)
class Record:
    """One FASTA record and its place on a genome.

    Parameters
    ----------
    id : str
        First word of the header.
    sequence : str
        Upper-case letters ``ACGTN``.
    contig, start, end
        0-based half-open place that `sequence` covers; by default the record is its own contig.
    strand : str
        ``-`` if the header says that `sequence` is the reverse complement of that place, else ``+``.
    """

    id: str
    sequence: str
    contig: str
    start: int
    end: int
    strand: Literal["+", "-"] = "+"

    def __len__(self) -> int:
        return len(self.sequence)


def read_fasta(path: str | os.PathLike[str], *, iupac: Literal["reject", "n"] = "reject") -> Iterator[Record]:
    """Read FASTA, plain or gzipped (bgzip too; told by its first bytes), one record at a time.

    Parameters
    ----------
    path : path
        The file. Lower case is upper-cased and U becomes T. A header whose first word is ``chr:start-end``,
        with an optional ``(+)`` or ``(-)`` behind and an optional ``name::`` before it, as ``bedtools
        getfasta`` writes them, places the record on ``chr``.
    iupac : {"reject", "n"}
        Whether the ambiguity codes ``RYSWKMBDHV`` are errors or become N.

    Yields
    ------
    Record
        In the file's order.

    Raises
    ------
    SeqplrpError
        With file and line: no record, a record without letters or without id, an id that came before, text
        before the first header, letters that are not DNA, coordinates that do not fit the length, damaged
        gzip data, headers that are not UTF-8. Errors come when reading gets there, not before.
    """
    if iupac not in ("reject", "n"):
        raise SeqplrpError("iupac", f"is {iupac!r}", "give 'reject' or 'n'")
    return _records(path, _UPPER if iupac == "reject" else _UPPER_N)


def _records(path: str | os.PathLike[str], table: bytes) -> Iterator[Record]:
    header_of: dict[str, int] = {}
    header, header_line, lines = None, 0, list[bytes]()
    number = 0
    for number, line in enumerate(byte_lines(path), start=1):
        if line[:1] != b">":
            lines.append(line.rstrip())
            if header is None and lines[-1]:
                raise _no_header(path, number, lines[-1])
            continue
        if header is not None:
            yield _record(path, header, header_line, lines, table)
        header = _header_id(path, number, line)
        if header in header_of:
            raise SeqplrpError(
                f"{path}, line {number}",
                f"the id {header!r} was used before, on line {header_of[header]}",
                "give every record an id of its own",
            )
        header_of[header] = header_line = number
        lines = []
    if header is None:
        raise SeqplrpError(path, "holds no FASTA record", "give a file with at least one '>' header and a sequence")
    yield _record(path, header, header_line, lines, table)


def _no_header(path: str | os.PathLike[str], number: int, line: bytes) -> SeqplrpError:
    shown = line[:20].decode("latin-1")
    return SeqplrpError(
        f"{path}, line {number}", f"text {shown!r} stands before the first '>' header", "give a FASTA file"
    )


def _header_id(path: str | os.PathLike[str], number: int, line: bytes) -> str:
    text = decode_line(line.rstrip()[1:], path, number)
    where = f"{path}, line {number}"
    if "\r" in text:
        raise SeqplrpError(where, "lines end in a bare carriage return", "convert them to Unix line ends")
    if not text or text[0].isspace():
        raise SeqplrpError(where, "the header has no id behind '>'", "name the record: '>ID'")
    id = text.split(maxsplit=1)[0]
    if not id.isprintable():
        raise SeqplrpError(where, f"the id {id!r} holds unprintable characters", "name the record in plain text")
    return id


def _record(path: str | os.PathLike[str], id: str, header_line: int, lines: list[bytes], table: bytes) -> Record:
    letters = b"".join(lines).translate(table)
    if not letters:
        raise SeqplrpError(f"{path}, line {header_line}", f"record {id!r} has no sequence", "give or remove it")
    if letters.translate(None, b"ACGTN"):
        raise _foreign_letter(path, id, header_line, lines, table)
    contig, start, end, strand = _place(path, id, header_line, len(letters))
    return Record(id, letters.decode("ascii"), contig, start, end, strand)


def _foreign_letter(
    path: str | os.PathLike[str], id: str, header_line: int, lines: list[bytes], table: bytes
) -> SeqplrpError:
    for number, line in enumerate(lines, start=header_line + 1):
        foreign = line.translate(table).translate(None, b"ACGTN")
        if foreign:
            column = line.translate(table).index(foreign[:1]) + 1
            letter = line[column - 1 : column]
            code = letter.upper() in [bytes([c]) for c in _IUPAC]
            what = "is an ambiguity code" if code else "is not DNA"
            remedy = (
                "replace it or read ambiguity codes as N (iupac='n', or --iupac n)"
                if code
                else "give DNA in A, C, G, T, N"
            )
            where = f"{path}, line {number}, column {column}"
            return SeqplrpError(where, f"letter {letter.decode('latin-1')!r} of record {id!r} {what}", remedy)
    raise AssertionError("called for a record whose letters are all DNA")


def _place(
    path: str | os.PathLike[str], id: str, header_line: int, length: int
) -> tuple[str, int, int, Literal["+", "-"]]:
    place = _PLACE.search(id)
    contig = id[: place.start()].rpartition("::")[2] if place else ""
    if place is None or not contig or contig.endswith(":"):
        return id, 0, length, "+"
    start, end = int(place[1]), int(place[2])
    if end - start != length:
        one_based = " (they look 1-based inclusive)" if end - start + 1 == length else ""
        raise SeqplrpError(
            f"{path}, line {header_line}",
            f"coordinates of {id!r} span {end - start} bases, its sequence has {length}{one_based}",
            "write 0-based half-open coordinates, as 'bedtools getfasta' does, or another id",
        )
    return contig, start, end, "-" if place[3] == "-" else "+"


def write_fasta(path: str | os.PathLike[str], records: Iterable[Record | tuple[str, str]]) -> None:
    """Write records, or pairs of id and sequence, as plain FASTA in lines of 80 letters.

    Raises
    ------
    SeqplrpError
        If an id is empty, holds white space or came before, if a sequence is empty or no text, or if the file
        can't be written.
    """
    seen: set[str] = set()
    try:
        with open(path, "w", encoding="utf-8", newline="\n") as out:
            for record in records:
                id, sequence = (record.id, record.sequence) if isinstance(record, Record) else record
                _check_written(id, sequence, seen)
                out.write(f">{id}\n")
                out.writelines(f"{sequence[i : i + _LINE_WIDTH]}\n" for i in range(0, len(sequence), _LINE_WIDTH))
    except OSError as problem:
        raise unwritable(path, problem) from None


def _check_written(id: str, sequence: str, seen: set[str]) -> None:
    if not isinstance(id, str) or id.split() != [id]:
        raise SeqplrpError("records", f"id {id!r} is empty or holds white space", "name records in one word")
    if id in seen:
        raise SeqplrpError("records", f"id {id!r} occurs twice", "give every record an id of its own")
    if not isinstance(sequence, str) or not sequence:
        raise SeqplrpError("records", f"record {id!r} has no sequence", "give its letters or leave it out")
    seen.add(id)
