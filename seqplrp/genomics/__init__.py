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
from seqplrp.genomics.regions import Interval, read_bed, read_truth_bed, write_truth_bed
from seqplrp.genomics.shuffles import REFERENCES, dinucleotide_shuffle, shuffled_references

__all__ = [
    "REFERENCES",
    "Interval",
    "Record",
    "codes_to_one_hot",
    "codes_to_strings",
    "decode",
    "dinucleotide_shuffle",
    "encode",
    "motifs",
    "one_hot",
    "read_bed",
    "read_fasta",
    "read_truth_bed",
    "reverse_complement",
    "shuffled_references",
    "write_fasta",
    "write_truth_bed",
]
