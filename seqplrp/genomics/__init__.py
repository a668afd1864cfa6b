"""DNA as data: encodings, FASTA, regions, motifs and shuffles."""

from __future__ import annotations

from seqplrp.genomics import motifs
from seqplrp.genomics.encoding import (
    codes_to_one_hot,
    codes_to_strings,
    decode,
    encode,
    one_hot,
    reverse_complement,
)
from seqplrp.genomics.fasta import Record, read_fasta, write_fasta
from seqplrp.genomics.shuffles import dinucleotide_shuffle

__all__ = [
    "Record",
    "codes_to_one_hot",
    "codes_to_strings",
    "decode",
    "dinucleotide_shuffle",
    "encode",
    "motifs",
    "one_hot",
    "read_fasta",
    "reverse_complement",
    "write_fasta",
]
