"""Relevance as files: spooled while it is computed, then written as tracks, arrays and tables.

An explanation of many sequences is appended to a `SpoolWriter`, record by record, and does not stay in
memory. The finished `Spool` is what the writers read from, a block at a time.
"""

from __future__ import annotations

from seqplrp.genomics.tracks.arrays import RelevanceArrays, read_h5, read_npz, write_h5, write_npz
from seqplrp.genomics.tracks.genome import (
    averaged_blocks,
    chrom_sizes,
    read_bedgraph,
    read_bigwig,
    read_chrom_sizes,
    read_regions,
    write_bedgraph,
    write_bigwig,
    write_chrom_sizes,
    write_regions,
)
from seqplrp.genomics.tracks.spool import FlatArray, Spool, SpoolWriter, check_name
from seqplrp.genomics.tracks.tables import TableWriter

__all__ = [
    "FlatArray",
    "RelevanceArrays",
    "Spool",
    "SpoolWriter",
    "TableWriter",
    "averaged_blocks",
    "check_name",
    "chrom_sizes",
    "read_bedgraph",
    "read_bigwig",
    "read_chrom_sizes",
    "read_h5",
    "read_npz",
    "read_regions",
    "write_bedgraph",
    "write_bigwig",
    "write_chrom_sizes",
    "write_h5",
    "write_npz",
    "write_regions",
]
