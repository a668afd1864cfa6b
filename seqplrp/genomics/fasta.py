"""FASTA in and out, a record at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.fasta_parts import Header, Place, Strand, check_span, fasta_parts
from seqplrp.genomics.first_seen import FirstSeen
from seqplrp.genomics.letters import Iupac
from seqplrp.genomics.textfile import unwritable

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
    strand: Strand = "+"

    def __len__(self) -> int:
        return len(self.sequence)


def read_fasta(path: str | os.PathLike[str], *, iupac: Iupac = "reject") -> Iterator[Record]:
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
    return _records(path, fasta_parts(path, iupac=iupac))


def _records(path: str | os.PathLike[str], parts: Iterator[Header | bytes | None]) -> Iterator[Record]:
    blocks: list[bytes] = []
    for part in parts:
        if isinstance(part, Header):
            header = part
        elif part is not None:
            blocks.append(part)
        else:
            sequence = b"".join(blocks).decode("ascii")
            blocks.clear()
            check_span(path, header, len(sequence))
            place = header.place or Place("", header.id, 0, len(sequence), "+")
            yield Record(header.id, sequence, place.contig, place.start, place.end, place.strand)


def write_fasta(path: str | os.PathLike[str], records: Iterable[Record | tuple[str, str]]) -> None:
    """Write records, or pairs of id and sequence, as plain FASTA in lines of 80 letters.

    Raises
    ------
    SeqplrpError
        If an id is empty, holds white space or came before, if a sequence is empty or no text, or if the file
        can't be written.
    """
    try:
        with FirstSeen() as seen, open(path, "w", encoding="utf-8", newline="\n") as out:
            for number, record in enumerate(records):
                id, sequence = (record.id, record.sequence) if isinstance(record, Record) else record
                _check_written(id, sequence)
                if seen.add(id, number) is not None:
                    raise SeqplrpError("records", f"id {id!r} occurs twice", "give every record an id of its own")
                out.write(f">{id}\n")
                out.writelines(f"{sequence[i : i + _LINE_WIDTH]}\n" for i in range(0, len(sequence), _LINE_WIDTH))
    except OSError as problem:
        raise unwritable(path, problem) from None


def _check_written(id: str, sequence: str) -> None:
    if not isinstance(id, str) or id.split() != [id]:
        raise SeqplrpError("records", f"id {id!r} is empty or holds white space", "name records in one word")
    if not isinstance(sequence, str) or not sequence:
        raise SeqplrpError("records", f"record {id!r} has no sequence", "give its letters or leave it out")
