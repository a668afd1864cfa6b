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


def foreign_letter_error(where: str, letter: bytes, whose: str) -> SeqplrpError:
    """Return the error for a letter, as it stands in the file, that can't be read."""
    code = letter.upper() in [bytes([c]) for c in _CODES]
    what = "is an ambiguity code" if code else "is not DNA"
    remedy = (
        "replace it or read ambiguity codes as N (iupac='n', or --iupac n)" if code else "give DNA in A, C, G, T, N"
    )
    return SeqplrpError(where, f"letter {letter.decode('latin-1')!r} of {whose} {what}", remedy)


def opposite_strand(sequence: str) -> str:
    """Return the reverse complement of upper-case text over ``ACGTN``."""
    return sequence.translate(_COMPLEMENT)[::-1]
