"""Where a run's variants come from: a VCF file and the genome that they were called on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from seqplrp.errors import SeqplrpError, as_options
from seqplrp.genomics import AllelePair, Edge, Genome, Iupac, Note, Record, Unknown, read_vcf, variant_windows
from seqplrp.pipeline.sources import OfGenome

Mismatch = Literal["error", "skip"]


@dataclass(frozen=True)
class VariantSource(OfGenome):
    """Windows of a genome around the variants of a VCF file, two for each: with the reference and the other allele.

    Parameters
    ----------
    path : Path
        The variants.
    genome : Path
        FASTA of the genome.
    width : int, optional
        Bases of each window; None is what the model takes, and an error where nothing tells that.
    mismatch, edge, unknown
        See `seqplrp.genomics.variant_windows`.
    iupac : {"reject", "n"}
        The policy for ambiguity codes, in alleles and in the genome.
    filters : tuple of str, optional
        See `seqplrp.genomics.read_vcf`.
    """

    path: Path
    genome: Path
    width: int | None = None
    mismatch: Mismatch = "error"
    edge: Edge = "pad"
    unknown: Unknown = "error"
    iupac: Iupac = "reject"
    filters: tuple[str, ...] | None = None

    def pairs(self, note: Note) -> Iterator[AllelePair]:
        """Read the variants, one at a time."""
        if self.width is None:
            what = "is needed: nothing says how many bases the model takes"
            raise SeqplrpError("--width", what, "give the number of bases that it was trained on")
        with as_options("width"), Genome(self.genome, iupac=self.iupac) as genome:
            yield from variant_windows(
                genome,
                read_vcf(self.path, note=note, iupac=self.iupac, filters=self.filters),
                width=self.width,
                note=note,
                mismatch=self.mismatch,
                edge=self.edge,
                unknown=self.unknown,
            )

    def records(self, note: Note) -> Iterator[Record]:
        """Read the sequences, one at a time: of each variant that of the reference, then that of the other allele."""
        for pair in self.pairs(note):
            yield pair.reference
            yield pair.alternative

    def settings(self) -> dict[str, Any]:
        """Return all but the files that decides the records."""
        filters = None if self.filters is None else list(self.filters)
        names = ("width", "mismatch", "edge", "unknown", "iupac")
        return {**{name: getattr(self, name) for name in names}, "filters": filters}

    def for_length(self, length: int | None) -> VariantSource:
        """Return the source for a model that takes one length only: windows of it.

        Raises
        ------
        SeqplrpError
            If another width was asked for.
        """
        if length is None or self.width == length:
            return self
        if self.width is not None:
            what = f"is {self.width}, and the model takes {length} bases only"
            raise SeqplrpError("--width", what, "leave it out, or give a model of that length")
        return replace(self, width=length)
