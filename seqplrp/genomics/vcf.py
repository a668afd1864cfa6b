"""Variants out of VCF files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.letters import Iupac, foreign_letter, foreign_letter_error, letter_table
from seqplrp.genomics.remarks import Note, Remark
from seqplrp.genomics.textfile import byte_lines, decode_line, parse_whole

_COLUMNS = ["CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER"]
_NEEDED = 5  # of these
_PIECE = 1 << 20  # of a line: what is behind ALT may be megabytes of genotypes, and is passed over
_LONGEST_SHOWN = 24
PASSED = ("PASS", ".")
"""What FILTER is of variants that passed all filters, and of those to which none was applied."""


@dataclass(frozen=True)
class Variant:
    """One alternative allele at one place.

    Parameters
    ----------
    contig : str
        Name of the contig.
    start : int
        0-based position of `ref`'s first letter (a VCF's POS less one).
    ref, alt : str
        Upper-case letters over ``ACGTN``, as the file has them: of an indel, with the base before it.
    id : str
        ``.`` where there is none.
    where : str
        File and line, for errors and remarks.
    filter : str
        The filters that it did not pass, divided by semicolons; ``PASS``, or ``.`` where none was applied.
    """

    contig: str
    start: int
    ref: str
    alt: str
    id: str = "."
    where: str = field(default="variants", compare=False)
    filter: str = field(default=".", compare=False)

    @property
    def end(self) -> int:
        """End of `ref`, not included."""
        return self.start + len(self.ref)

    @property
    def name(self) -> str:
        """The name ``contig:POS:REF:ALT``, POS counted from 1.

        An allele of more than 24 letters is given by its first 8, its length and a hash, so that names stay short
        and differ.
        """
        return f"{self.contig}:{self.start + 1}:{_short(self.ref)}:{_short(self.alt)}"


def read_vcf(
    path: str | os.PathLike[str], *, note: Note, iupac: Iupac = "reject", filters: Collection[str] | None = None
) -> Iterator[Variant]:
    """Read the variants of a VCF file, plain or gzipped, one at a time.

    Parameters
    ----------
    path : path
        The file. Its header may be missing; of each line the first seven columns are read, of which QUAL and FILTER may
        be missing, divided by tabs, or by white space in lines without a tab.
    note : callable
        Is given a `Remark` for each alternative allele that is no sequence, and so left out. Its kinds:
        ``missing`` (``.``), ``symbolic`` (``<DEL>``), ``breakend`` (``A[chr2:5[``, ``.A``), ``overlapping
        deletion`` (``*``) and ``same`` (as the reference allele); and ``filtered``, for what `filters` leaves out.
    iupac : {"reject", "n"}
        Whether ambiguity codes are errors or become N.
    filters : collection of str, optional
        Of these a line must have one in FILTER, or it is left out, as ``bcftools view --apply-filters`` does it;
        ``PASS`` and ``.`` are those that passed and those of which nobody asked it. Unless given all lines are used.

    Yields
    ------
    Variant
        In the file's order, one for each alternative allele.

    Raises
    ------
    SeqplrpError
        With file and line: no variant at all, fewer than five columns, columns in another order, a POS that is no
        whole number of 1 or more, an allele that is empty or not DNA; and what else can't be read. Errors come
        when reading gets there, not before. Alleles of lines that `filters` leaves out are not looked at.
    """
    return _variants(path, letter_table(iupac), note, filters)


def _variants(
    path: str | os.PathLike[str], table: bytes, note: Note, filters: Collection[str] | None
) -> Iterator[Variant]:
    found = False
    for number, (contig, position, id, ref, alts, _, filter) in _rows(path):
        found = True
        where, filter = f"{path}, line {number}", filter or "."
        if not contig or not contig.isprintable():
            raise SeqplrpError(where, f"CHROM {contig!r} is empty or unprintable", "name the contig in column 1")
        start = _start(position, where)
        if filters is not None and not any(name in filters for name in filter.split(";")):
            reason = f"FILTER is {shortened(filter)!r}, and {' or '.join(map(repr, filters))} was asked for"
            for _alt in alts.split(","):
                note(Remark("filtered", id, contig, start, start + len(ref), reason, where))
            continue
        reference = _allele("REF", ref, table, where)
        for alt in alts.split(","):
            kind = _kind(alt)
            alternative = "" if kind else _allele("ALT", alt, table, where)
            if alternative == reference:
                kind = "same"
            if kind:
                reason = f"the alternative allele {shortened(alt)!r} is " + _REASONS[kind]
                note(Remark(kind, id, contig, start, start + len(reference), reason, where))
                continue
            if start < 0:
                raise SeqplrpError(where, "POS is 0", "count positions from 1")
            yield Variant(contig, start, reference, alternative, id or ".", where, filter)
    if not found:
        raise SeqplrpError(path, "holds no variant", "give a VCF file with at least one line behind its header")


_REASONS = {
    "missing": "missing: there is none",
    "symbolic": "symbolic: its letters are not in the file",
    "breakend": "a breakend: its letters are on another place of the genome",
    "overlapping deletion": "a deletion that another line describes",
    "same": "the reference allele",
}


def _kind(alt: str) -> str:
    """Say what an alternative allele is that is no sequence; empty for one that should be."""
    if alt in (".", "*"):
        return "missing" if alt == "." else "overlapping deletion"
    if "[" in alt or "]" in alt or alt[:1] == "." or alt[-1:] == ".":
        return "breakend"
    return "symbolic" if alt[:1] == "<" and alt[-1:] == ">" else ""


def _start(text: str, where: str) -> int:
    position = parse_whole(text)
    if position is None:
        what = f"POS {text[:20]!r} is no whole number of 1 or more"
        raise SeqplrpError(where, what, "give a VCF file: CHROM, POS, ID, REF, ALT, divided by tabs")
    return position - 1  # of a POS of 0, a telomere, where only breakends may lie, -1


def _allele(column: str, text: str, table: bytes, where: str) -> str:
    # "replace" keeps one byte a character, so that the letter is told which stands there
    letters = text.encode("latin-1", "replace").translate(table)
    if not letters:
        raise SeqplrpError(where, f"an allele of {column} is empty", "give its letters, and the base before an indel")
    index = foreign_letter(letters)
    if index is not None:
        raise foreign_letter_error(where, text[index].encode("latin-1", "replace"), f"{column} {shortened(text)!r}")
    return letters.decode("ascii")


def shortened(text: str) -> str:
    """Return an allele, or whatever else may be long, as errors and remarks show it."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _rows(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and the first seven columns of every line that is no header; QUAL and FILTER may lack."""
    number, at_start = 0, True
    for piece in byte_lines(path, longest=_PIECE):
        number += at_start
        is_start, at_start = at_start, piece.endswith(b"\n")
        if not is_start:
            continue  # the rest of a long line
        where = f"{path}, line {number}"
        if number == 1 and piece.startswith(b"BCF"):
            raise SeqplrpError(path, "is a BCF file", "convert it to VCF (bcftools view)")
        if piece.startswith(b"#CHROM"):
            names = piece[1:].decode("utf-8", "replace").split()[: len(_COLUMNS)]
            if len(names) < _NEEDED or names != _COLUMNS[: len(names)]:
                raise SeqplrpError(where, "names other columns than VCF has", f"give {', '.join(_COLUMNS)}, ...")
        if piece[:1] == b"#" or not piece.strip():
            continue
        line = piece.rstrip(b"\r\n")
        columns = line.split(b"\t", len(_COLUMNS)) if b"\t" in line else line.split(None, len(_COLUMNS))
        if len(columns) <= len(_COLUMNS) and len(piece) == _PIECE and not at_start:
            raise SeqplrpError(where, f"the first seven columns take more than {_PIECE} bytes", "leave the line out")
        if len(columns) < _NEEDED:
            what = f"has {len(columns)} columns, a VCF line has at least {_NEEDED}"
            raise SeqplrpError(where, what, f"give {', '.join(_COLUMNS[:_NEEDED])}, ..., divided by tabs")
        read = [decode_line(column, path, number).strip() for column in columns[: len(_COLUMNS)]]
        yield number, read + ["."] * (len(_COLUMNS) - len(read))


def _short(allele: str) -> str:
    if len(allele) <= _LONGEST_SHOWN:
        return allele
    return f"{allele[:8]}.{len(allele)}.{blake2b(allele.encode(), digest_size=4).hexdigest()}"
