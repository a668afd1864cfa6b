"""DNA as text: which letters are read, and how; and the opposite strand."""

from __future__ import annotations

from typing import Literal

from seqplrp.errors import SeqplrpError

Iupac = Literal["reject", "n"]

BASES_OF = {
    "A": "A", "C": "C", "G": "G", "T": "T", "U": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT",
    "M": "AC", "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
"""IUPAC's letters of DNA, each with the bases that it stands for."""

_CODES = "".join(letter for letter, bases in BASES_OF.items() if 1 < len(bases) < 4).encode()
_OF_PROTEINS = "EFILPQZ"
_UPPER = bytes.maketrans(b"acgtuUn" + _CODES.lower(), b"ACGTTTN" + _CODES)
_UPPER_N = bytes.maketrans(b"acgtuUn" + _CODES + _CODES.lower(), b"ACGTTTN" + b"N" * 2 * len(_CODES))
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


def letter_table(iupac: Iupac) -> bytes:
    """Return the table for `bytes.translate` that upper-cases DNA, reads U as T and, if asked, codes as N."""
    if iupac not in ("reject", "n"):
        raise SeqplrpError("iupac", f"is {iupac!r}", "give 'reject' or 'n'")
    return _UPPER if iupac == "reject" else _UPPER_N


def foreign_letter(letters: bytes) -> int | None:
    """Return the index of the first letter, after translation, that is none of ``ACGTN``; None if all are."""
    foreign = letters.translate(None, b"ACGTN")
    return letters.index(foreign[:1]) if foreign else None


def foreign_letter_error(where: str, letters: bytes, whose: str) -> SeqplrpError:
    """Return the error for a letter, as it stands in the file, that can't be read; what follows it there may be given.

    Half of the amino acids' letters are IUPAC codes of DNA, too; the others tell a protein.
    """
    shown = f"letter {letters[:1].decode('latin-1')!r} of {whose}"
    if letters[:1].upper() not in [bytes([c]) for c in _CODES]:
        return SeqplrpError(where, f"{shown} is not DNA", "give DNA in A, C, G, T, N")
    others = [letter for letter in letters.upper().decode("latin-1") if letter in _OF_PROTEINS]
    if others:
        what = f"{shown} is no base: {others[0]!r} behind it is an amino acid's letter, so this is a protein"
        return SeqplrpError(where, what, "give the DNA, in A, C, G, T, N")
    remedy = "replace it or read ambiguity codes as N (iupac='n', or --iupac n)"
    return SeqplrpError(where, f"{shown} is an ambiguity code", remedy)


def opposite_strand(sequence: str) -> str:
    """Return the reverse complement of upper-case text over ``ACGTN``."""
    return sequence.translate(_COMPLEMENT)[::-1]
