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
_OF_PROTEINS = b"EFILPQ"
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
    """Return the error for a letter, as it stands in the file, that can't be read; what follows it may be given."""
    what = f"letter {letters[:1].decode('latin-1')!r} of {whose}"
    if _like_a_protein(letters):
        return SeqplrpError(where, f"{what} is not DNA: this is probably a protein", "give the DNA, in A, C, G, T, N")
    if letters[:1].upper() not in [bytes([c]) for c in _CODES]:
        return SeqplrpError(where, f"{what} is not DNA", "give DNA in A, C, G, T, N")
    remedy = "replace it or read ambiguity codes as N (iupac='n', or --iupac n)"
    return SeqplrpError(where, f"{what} is an ambiguity code", remedy)


def _like_a_protein(letters: bytes) -> bool:
    """Say whether these letters are amino acids', of which a third are no codes of DNA; of DNA's typos few are."""
    near = b"" if letters[:1].isspace() else letters[:60].upper().split()[0]
    theirs = [letter for letter in near if letter in _OF_PROTEINS]
    return len(set(theirs)) > 1 and 10 * len(theirs) >= len(near)


def opposite_strand(sequence: str) -> str:
    """Return the reverse complement of upper-case text over ``ACGTN``."""
    return sequence.translate(_COMPLEMENT)[::-1]
