"""Where explanations wait, on disk, until all of them are there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.encoding import encode
from seqplrp.genomics.fasta import Record

_BASES = 4
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class FlatArray:
    """A flat array on disk, read a slice at a time.

    Not a memory map: the pages of a map count as this process's memory, which is to stay the same however
    many sequences there are.

    Parameters
    ----------
    path : Path
        A file of raw little-endian numbers.
    dtype : numpy dtype
        Their type.
    """

    path: Path
    dtype: np.dtype

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the numbers from ``start`` up to, not including, ``stop``, as an array of one axis."""
        offset = start * self.dtype.itemsize
        values = np.fromfile(self.path, self.dtype, count=stop - start, offset=offset)
        if len(values) != stop - start:
            raise SeqplrpError(self.path, f"ends before number {stop}", "run the command again")
        return values


@dataclass(frozen=True)
class Spool:
    """All explanations of one run, in the order of the input.

    Parameters
    ----------
    ids, contigs, strands : tuple of str
        Of each record.
    starts, ends : (N,) int64 arrays
        0-based half-open place of each record on its contig.
    offsets : (N + 1,) int64 array
        Record ``i`` holds positions ``offsets[i]`` up to ``offsets[i + 1]`` of the flat arrays.
    codes : FlatArray of uint8
        The bases, 0 to 3 for ACGT and 4 for N, as read (not turned to the plus strand).
    per_base : FlatArray of float32
        Relevance of each position, summed over the bases.
    hypothetical : tuple of four FlatArrays of float32, or None
        What each of ACGT would contribute at each position. None if the rule has no such thing.
    spread : FlatArray of float32, or None
        Standard deviation of each position's relevance over several models. None where there is one model.
    """

    ids: tuple[str, ...]
    contigs: tuple[str, ...]
    strands: tuple[str, ...]
    starts: np.ndarray
    ends: np.ndarray
    offsets: np.ndarray
    codes: FlatArray
    per_base: FlatArray
    hypothetical: tuple[FlatArray, ...] | None
    spread: FlatArray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def total(self) -> int:
        """Number of positions over all records."""
        return int(self.offsets[-1])

    def plus_strand(self, index: int, array: FlatArray | None = None) -> np.ndarray:
        """Return one record's values of an array (its per-base relevance) in the order of the genome's plus strand."""
        values = (array or self.per_base).read(int(self.offsets[index]), int(self.offsets[index + 1]))
        return values[::-1] if self.strands[index] == "-" else values


class SpoolWriter:
    """Append explanations record by record; a context manager.

    Parameters
    ----------
    directory : Path
        An existing directory for the raw files.
    hypothetical : bool
        Whether there are hypothetical contributions to keep.
    spread : bool
        Whether there is a spread over several models to keep.
    """

    def __init__(self, directory: Path, *, hypothetical: bool = True, spread: bool = False) -> None:
        self._directory = directory
        self._hypothetical = hypothetical
        self._has_spread = spread
        self._files = ExitStack()
        self._records: list[tuple[str, str, str]] = []
        self._places: list[tuple[int, int]] = []

    def __enter__(self) -> SpoolWriter:
        self._codes = self._open("codes.u1")
        self._per_base = self._open("per_base.f4")
        self._bases = [self._open(f"hypothetical_{b}.f4") for b in range(_BASES * self._hypothetical)]
        self._spread = self._open("spread.f4") if self._has_spread else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def _open(self, name: str) -> Callable[[np.ndarray], None]:
        path = self._directory / name
        return partial(_write, self._files.enter_context(path.open("wb")))

    def append(
        self,
        record: Record,
        per_base: np.ndarray,
        hypothetical: np.ndarray | None = None,
        spread: np.ndarray | None = None,
    ) -> None:
        """Append the explanation of one record.

        Parameters
        ----------
        record : Record
            What was explained.
        per_base : (L,) array
            Relevance of each position, in the order of the record's letters.
        hypothetical : (4, L) array, optional
            Hypothetical contributions, likewise.
        spread : (L,) array, optional
            Standard deviation of each position's relevance over several models, likewise.

        Raises
        ------
        SeqplrpError
            If a relevance is not a finite number.
        """
        length = len(record)
        if per_base.shape != (length,):
            raise ValueError(f"per_base has shape {per_base.shape}, the record has {length} bases")
        if (hypothetical is not None) != self._hypothetical:
            raise ValueError("hypothetical contributions are given for all records or for none")
        if (spread is not None) != self._has_spread or (spread is not None and spread.shape != (length,)):
            raise ValueError(f"a spread of shape ({length},) is given for all records or for none")
        _check_finite(record, per_base, hypothetical, spread)
        self._codes(encode([record.sequence])[0])
        self._per_base(per_base.astype("<f4"))
        if hypothetical is not None:
            if hypothetical.shape != (_BASES, length):
                raise ValueError(f"hypothetical has shape {hypothetical.shape}, not (4, {length})")
            for write, row in zip(self._bases, hypothetical.astype("<f4"), strict=True):
                write(row)
        if self._spread is not None and spread is not None:
            self._spread(spread.astype("<f4"))
        self._records.append((record.id, record.contig, record.strand))
        self._places.append((record.start, record.end))

    def finish(self) -> Spool:
        """Close the files and return what was spooled."""
        self._files.close()
        ids, contigs, strands = zip(*self._records, strict=True)
        places = np.array(self._places, np.int64).reshape(-1, 2)
        lengths = places[:, 1] - places[:, 0]
        floats = np.dtype("<f4")
        bases = tuple(FlatArray(self._directory / f"hypothetical_{b}.f4", floats) for b in range(_BASES))
        return Spool(
            ids=ids,
            contigs=contigs,
            strands=strands,
            starts=places[:, 0],
            ends=places[:, 1],
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            codes=FlatArray(self._directory / "codes.u1", np.dtype("u1")),
            per_base=FlatArray(self._directory / "per_base.f4", floats),
            hypothetical=bases if self._hypothetical else None,
            spread=FlatArray(self._directory / "spread.f4", floats) if self._has_spread else None,
        )


def check_name(record: Record) -> None:
    """Refuse a contig whose name would turn its lines in BED and bedGraph files into comments or headers.

    Raises
    ------
    SeqplrpError
        If the name starts with ``#`` or is ``track`` or ``browser``.
    """
    if record.contig.startswith("#") or record.contig in ("track", "browser"):
        raise SeqplrpError(
            f"record {record.id!r}",
            f"its contig's name {record.contig!r} would be read as a comment or a header in BED files",
            "rename it",
        )


def _write(out: BinaryIO, values: np.ndarray) -> None:
    out.write(np.ascontiguousarray(values).tobytes())


def _check_finite(record: Record, *arrays: np.ndarray | None) -> None:
    for values in arrays:
        # not (<=) and no cast: true for what is not a number, and quiet
        if values is not None and not (np.abs(values) <= _LARGEST).all():
            raise SeqplrpError(
                f"record {record.id!r}",
                "its relevance holds values that are not finite float32 numbers",
                "check the model's weights, or try another rule",
            )
