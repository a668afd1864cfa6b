"""Where a run's sequences come from: records of a FASTA file, tiles of long ones, or regions of a genome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from seqplrp.genomics import (
    Centre,
    Edge,
    Genome,
    Iupac,
    Note,
    Record,
    RegionFormat,
    Short,
    Unknown,
    fasta_tiles,
    iter_regions,
    read_fasta,
    region_windows,
)


class Source(Protocol):
    """What sequences are read from; as often as is wanted, and always the same."""

    @property
    def path(self) -> Path:
        """The file that lists the sequences, for errors."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is read."""
        ...

    def records(self, note: Note) -> Iterator[Record]:
        """Read the sequences, one at a time; `note` is told of what is left out or used otherwise than it stands."""
        ...

    def sizes(self) -> Mapping[str, int] | None:
        """Return the sizes of the contigs; None where no genome tells them."""
        ...

    def notes(self) -> tuple[str, ...]:
        """Make ready what is read by an index, and return what was done about one that could not be used."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return all but the files that decides the records, as JSON can hold it."""
        ...

    def for_length(self, length: int | None) -> Source:
        """Return the source for a model that takes one length only; None: it takes any."""
        ...


@dataclass(frozen=True)
class FastaSource:
    """The records of a FASTA file, or tiles of them.

    Parameters
    ----------
    path : Path
        The file.
    iupac : {"reject", "n"}
        Their policy for ambiguity codes.
    window, stride : int, optional
        Cut records into windows of so many bases, so many apart; see `seqplrp.genomics.fasta_tiles`.
    short : {"pad", "whole", "skip", "error"}
        What is done with records shorter than a window.
    """

    path: Path
    iupac: Iupac = "reject"
    window: int | None = None
    stride: int | None = None
    short: Short = "pad"

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is read."""
        return (self.path,)

    def records(self, note: Note) -> Iterator[Record]:
        """Read the sequences, one at a time."""
        if self.window is None:
            return read_fasta(self.path, iupac=self.iupac)
        stride = self.window if self.stride is None else self.stride
        return fasta_tiles(self.path, window=self.window, stride=stride, note=note, short=self.short, iupac=self.iupac)

    def sizes(self) -> None:
        """No genome tells the sizes of contigs."""

    def notes(self) -> tuple[str, ...]:
        """There is no index."""
        return ()

    def settings(self) -> dict[str, Any]:
        """Return all but the file that decides the records."""
        cut = {} if self.window is None else {"window": self.window, "stride": self.stride, "short": self.short}
        return {"iupac": self.iupac, **cut}

    def for_length(self, length: int | None) -> FastaSource:
        """Return itself: what a record holds is what is explained."""
        del length
        return self


class OfGenome:
    """What sources of windows of a genome have in common: the files that they read, and what the genome tells."""

    path: Path
    genome: Path
    iupac: Iupac

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is read."""
        return (self.path, self.genome)

    def sizes(self) -> Mapping[str, int]:
        """Return the sizes of the genome's contigs."""
        with Genome(self.genome, iupac=self.iupac) as genome:
            return dict(genome.sizes)

    def notes(self) -> tuple[str, ...]:
        """Return what was done about an index of the genome that could not be used."""
        with Genome(self.genome, iupac=self.iupac) as genome:
            return genome.notes


@dataclass(frozen=True)
class RegionSource(OfGenome):
    """Windows of a genome, one for each region of a BED or narrowPeak file.

    Parameters
    ----------
    path : Path
        The regions.
    genome : Path
        FASTA of the genome.
    width, centre, edge, unknown
        See `seqplrp.genomics.region_windows`; a width of None is what the model takes, or else the region as it is.
    format : {"auto", "bed", "narrowPeak"}
        Of the regions.
    iupac : {"reject", "n"}
        The policy for ambiguity codes.
    """

    path: Path
    genome: Path
    width: int | None = None
    centre: Centre = "auto"
    edge: Edge = "pad"
    unknown: Unknown = "error"
    format: RegionFormat = "auto"
    iupac: Iupac = "reject"

    def records(self, note: Note) -> Iterator[Record]:
        """Read the sequences, one at a time."""
        with Genome(self.genome, iupac=self.iupac) as genome:
            yield from region_windows(
                genome,
                iter_regions(self.path, format=self.format),
                note=note,
                width=self.width,
                centre=self.centre,
                edge=self.edge,
                unknown=self.unknown,
            )

    def settings(self) -> dict[str, Any]:
        """Return all but the files that decides the records."""
        names = ("width", "centre", "edge", "unknown", "format", "iupac")
        return {name: getattr(self, name) for name in names}

    def for_length(self, length: int | None) -> RegionSource:
        """Return the source for a model that takes one length only: windows of it, unless a width was asked for."""
        return self if self.width is not None or length is None else replace(self, width=length)
