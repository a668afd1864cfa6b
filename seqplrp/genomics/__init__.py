"""DNA as data: encodings, FASTA, genomes, regions, variants, motifs and shuffles."""

from __future__ import annotations

from seqplrp.genomics import motifs
from seqplrp.genomics.alleles import AllelePair, variant_windows
from seqplrp.genomics.encoding import (
    codes_to_one_hot,
    codes_to_strings,
    decode,
    encode,
    one_hot,
    reverse_complement,
)
from seqplrp.genomics.fasta import Record, read_fasta, write_fasta
from seqplrp.genomics.genome import Genome
from seqplrp.genomics.letters import Iupac
from seqplrp.genomics.regions import (
    Interval,
    Region,
    RegionFormat,
    iter_regions,
    read_bed,
    read_truth_bed,
    write_truth_bed,
)
from seqplrp.genomics.remarks import Note, Remark
from seqplrp.genomics.shuffles import REFERENCES, dinucleotide_shuffle, shuffled_references
from seqplrp.genomics.tiles import Short, fasta_tiles
from seqplrp.genomics.vcf import Variant, read_vcf
from seqplrp.genomics.windows import Centre, Edge, Unknown, region_windows

__all__ = [
    "REFERENCES",
    "AllelePair",
    "Centre",
    "Edge",
    "Genome",
    "Interval",
    "Iupac",
    "Note",
    "Record",
    "Region",
    "RegionFormat",
    "Remark",
    "Short",
    "Unknown",
    "Variant",
    "codes_to_one_hot",
    "codes_to_strings",
    "decode",
    "dinucleotide_shuffle",
    "encode",
    "fasta_tiles",
    "iter_regions",
    "motifs",
    "one_hot",
    "read_bed",
    "read_fasta",
    "read_truth_bed",
    "read_vcf",
    "region_windows",
    "reverse_complement",
    "shuffled_references",
    "variant_windows",
    "write_fasta",
    "write_truth_bed",
]
