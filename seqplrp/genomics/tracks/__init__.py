"""Relevance as files: parts that are written while it is computed, then tracks, arrays and tables made of them.

The explanations of some records at a time become a part file (`write_explained`), and do not stay in memory. The parts
are joined to a `Spool`, which is what the writers read from, a block at a time.
"""

from __future__ import annotations

from seqplrp.genomics.tracks.arrays import RelevanceArrays, read_npz, write_modisco, write_npz
from seqplrp.genomics.tracks.explained import Explained, read_explained, read_records, write_explained
from seqplrp.genomics.tracks.extras import extra_library
from seqplrp.genomics.tracks.genome import (
    check_name,
    read_bedgraph,
    read_bigwig,
    read_chrom_sizes,
    read_regions,
    write_bedgraph,
    write_bigwig,
    write_chrom_sizes,
    write_regions,
)
from seqplrp.genomics.tracks.hdf5 import read_h5, write_bpnet_h5, write_h5
from seqplrp.genomics.tracks.index import Place, RecordIndex
from seqplrp.genomics.tracks.overlaps import OVERLAPS, Overlaps, along_the_genome
from seqplrp.genomics.tracks.parquet import Kind, write_parquet, write_parquet_table
from seqplrp.genomics.tracks.parts import Part, open_part, write_part
from seqplrp.genomics.tracks.spool import Spool, joined_parts
from seqplrp.genomics.tracks.tables import TableWriter
from seqplrp.genomics.tracks.variant_arrays import VariantArrays, read_variants
from seqplrp.genomics.tracks.zarr_store import write_zarr

__all__ = [
    "OVERLAPS",
    "Explained",
    "Kind",
    "Overlaps",
    "Part",
    "Place",
    "RecordIndex",
    "RelevanceArrays",
    "Spool",
    "TableWriter",
    "VariantArrays",
    "along_the_genome",
    "check_name",
    "extra_library",
    "joined_parts",
    "open_part",
    "read_bedgraph",
    "read_bigwig",
    "read_chrom_sizes",
    "read_explained",
    "read_h5",
    "read_npz",
    "read_records",
    "read_regions",
    "read_variants",
    "write_bedgraph",
    "write_bigwig",
    "write_bpnet_h5",
    "write_chrom_sizes",
    "write_explained",
    "write_h5",
    "write_modisco",
    "write_npz",
    "write_parquet",
    "write_parquet_table",
    "write_part",
    "write_regions",
    "write_zarr",
]
