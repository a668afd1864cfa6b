"""All explanations of one run, on disk: what tracks, arrays and tables are written from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.genomics.tracks.explained import outputs_in
from seqplrp.genomics.tracks.flat import FlatArray, JoinedArray, Sliceable
from seqplrp.genomics.tracks.index import Place, RecordIndex
from seqplrp.genomics.tracks.parts import open_part


@dataclass(frozen=True)
class Spool:
    """All explanations of one run.

    Parameters
    ----------
    index : RecordIndex
        The records. Record by record, positions follow each other in the flat arrays, in the input's order.
    codes : array of uint8 on disk
        The bases, 0 to 3 for ACGT and 4 for N, as read (not turned to the plus strand).
    per_base : array of float32 on disk
        Relevance of each position, summed over the bases.
    hypothetical : tuple of four arrays of float32 on disk, or None
        What each of ACGT would contribute at each position. None if the rule has no such thing.
    spread : array of float32 on disk, or None
        Standard deviation of each position's relevance over several models. None where there is one model.
    unpruned : tuple of four arrays of float32 on disk, or None
        Hypothetical contributions of the same map without pruning, where the run kept them.
    genome : dict of str to int, optional
        Sizes of the contigs, where a genome was read: tracks end there. Otherwise the largest end seen is taken.
    """

    index: RecordIndex
    codes: Sliceable
    per_base: Sliceable
    hypothetical: tuple[Sliceable, ...] | None
    spread: Sliceable | None = None
    unpruned: tuple[Sliceable, ...] | None = None
    genome: Mapping[str, int] | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def total(self) -> int:
        """Number of positions over all records."""
        return self.index.total

    def plus_strand(self, place: Place, array: Sliceable | None = None) -> np.ndarray:
        """Return one record's values of an array (its per-base relevance) in the order of the genome's plus strand."""
        values = (array or self.per_base).read(*place.values)
        return values[::-1] if place.strand == "-" else values

    def sizes(self) -> dict[str, int]:
        """Return the size of every contig that has records, sorted by the contigs' code points.

        Raises
        ------
        SeqplrpError
            If a record lies on a contig that the genome does not have.
        """
        ends = self.index.ends()
        if self.genome is None:
            return ends
        unknown = [contig for contig in ends if contig not in self.genome]
        if unknown:
            what = f"contig {unknown[0]!r}, on which records lie, is not in the genome"
            raise SeqplrpError("chrom sizes", what, "give the genome that the records were cut from")
        return {contig: self.genome[contig] for contig in ends}


@contextmanager
def joined_parts(
    paths: Iterable[Path], index: Path, *, genome: Mapping[str, int] | None = None, verify: bool = False
) -> Iterator[tuple[Spool, ...]]:
    """Open part files as one spool for each output that was explained.

    Parameters
    ----------
    paths : iterable of Path
        The parts, in the order of the input; at least one.
    index : Path
        Where to write the file that tells their records; it is made anew.
    genome : dict of str to int, optional
        See `Spool`.
    verify : bool
        Whether to compare the parts' checksums.

    Yields
    ------
    tuple of Spool
        To be read within the block; they share their index.
    """
    pieces: dict[str, list[list[FlatArray]]] = {}
    with RecordIndex(index) as records:
        for path in paths:
            part = open_part(path, verify=verify)
            records.extend(part.records)
            for name, rows in part.arrays.items():
                known = pieces.setdefault(name, [[] for _ in rows])
                if len(known) != len(rows):
                    raise SeqplrpError(path, f"has {len(rows)} rows of {name!r}, others {len(known)}", "begin anew")
                for row, piece in zip(known, rows, strict=True):
                    row.append(piece)
        records.finish()
        yield _spools(part.path, records, pieces, genome)


def _spools(
    path: Path, records: RecordIndex, pieces: Mapping[str, list[list[FlatArray]]], genome: Mapping[str, int] | None
) -> tuple[Spool, ...]:
    try:
        arrays = {name: tuple(map(JoinedArray, rows)) for name, rows in pieces.items()}
        return tuple(_spool(records, arrays, number, genome) for number in range(outputs_in(arrays)))
    except (KeyError, IndexError, ValueError) as error:  # of parts that somebody else made
        what = f"its arrays are not those of an explanation ({first_line(error)})"
        raise SeqplrpError(path, what, "run the command again with --resume") from error


def _spool(
    records: RecordIndex,
    arrays: Mapping[str, tuple[JoinedArray, ...]],
    number: int,
    genome: Mapping[str, int] | None,
) -> Spool:
    spread = arrays.get(f"spread.{number}")
    return Spool(
        index=records,
        codes=arrays["codes"][0],
        per_base=arrays[f"per_base.{number}"][0],
        hypothetical=arrays.get(f"hypothetical.{number}"),
        spread=None if spread is None else spread[0],
        unpruned=arrays.get(f"unpruned.{number}"),
        genome=genome,
    )
