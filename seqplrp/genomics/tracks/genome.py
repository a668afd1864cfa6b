"""Tracks along the genome: bigWig, bedGraph, regions and chromosome sizes."""

from __future__ import annotations

import lzma
import os
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pybigtools

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.genomics.fasta import Record
from seqplrp.genomics.tracks.flat import Sliceable
from seqplrp.genomics.tracks.overlaps import Overlaps, along_the_genome
from seqplrp.genomics.tracks.spool import Spool

if TYPE_CHECKING:
    import pandas as pd

_BIGWIG_MAGIC = bytes.fromhex("26fc8f88")  # the first word of a bigWig file, and its last once it is whole
_REGION_COLUMNS = ("contig", "start", "end", "name", "score", "strand")


def write_bigwig(path: Path, spool: Spool, array: Sliceable | None = None, *, overlaps: Overlaps = "average") -> None:
    """Write an array of a spool (per-base relevance) as bigWig; neighbours of equal value share an entry.

    Parameters
    ----------
    path : Path
        The file to be; its name ends in ``.bw``.
    spool : Spool
        The records.
    array : Sliceable, optional
        Which of its arrays; per-base relevance unless given.
    overlaps : {"average", "split"}
        See `along_the_genome`.

    Raises
    ------
    SeqplrpError
        If the file could not be written whole.
    """
    blocks = _Watched(along_the_genome(spool, array, overlaps=overlaps))
    try:
        with _without_words():
            # entries by the million: between two of them no Python is run
            pybigtools.open(str(path), "w").write(spool.sizes(), chain.from_iterable(blocks))
    except BaseException as error:
        if blocks.failure is not None:
            raise blocks.failure from None
        if _is_a_failure(error):  # as where the disk is full, of which no reason is given
            raise _cut_short(path) from error
        raise
    if blocks.failure is not None:
        raise blocks.failure
    if not _has_its_end(path) or _bases_covered(path) != blocks.bases:
        raise _cut_short(path)


class _Watched:
    """Blocks of values as the entries of a bigWig file, their bases counted.

    What goes wrong in making them is kept, as the library that asks for them loses it.
    """

    def __init__(self, blocks: Iterator[tuple[str, int, np.ndarray]]) -> None:
        self._blocks = blocks
        self.bases = 0
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[Iterator[tuple[str, int, int, float]]]:
        try:
            for contig, first, values in self._blocks:
                self.bases += len(values)
                yield zip(repeat(contig), *_runs(first, values))
        except GeneratorExit:  # whoever asks has no use for the rest
            raise
        except BaseException as error:
            self.failure = error
            raise


def _has_its_end(path: Path) -> bool:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_BIGWIG_MAGIC)))  # of a full disk's file there may be nothing
        return file.read() == _BIGWIG_MAGIC


def _bases_covered(path: Path) -> int:
    with _without_words():
        return int(pybigtools.open(str(path)).info()["summary"]["basesCovered"])


@contextmanager
def _without_words() -> Iterator[None]:
    """Keep the library from printing what we raise: it writes to the process's standard streams by itself."""
    with ExitStack() as stack:
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            try:
                stream.flush()
                kept = os.dup(number)
            except (OSError, ValueError, AttributeError):  # there is no such stream
                continue
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, number)
        yield


def _is_a_failure(error: BaseException) -> bool:
    """Whether something failed, and nobody only asked to stop: what panics in Rust is no Exception in Python."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _cut_short(path: Path) -> SeqplrpError:
    return SeqplrpError(path, "could not be written whole", "check the space that is left on that disk")


def _runs(first: int, values: np.ndarray) -> tuple[list[int], list[int], list[float]]:
    """Give the start, the end and the value of each run of equal values; the first stands at ``first``."""
    at = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    starts = first + at
    ends = np.append(starts[1:], first + len(values))
    return starts.tolist(), ends.tolist(), values[at].tolist()


def write_bedgraph(path: Path, spool: Spool, *, overlaps: Overlaps = "average") -> None:
    """Write per-base relevance as bedGraph, sorted; neighbours of equal value share a line.

    Nine significant digits are written, from which the float32 values are read back exactly. ``overlaps`` is that of
    `along_the_genome`.
    """
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for contig, first, values in along_the_genome(spool, overlaps=overlaps):
            starts, ends, kept = _runs(first, values)
            line = contig.replace("%", "%%") + "\t%d\t%d\t%.9g\n"
            # a whole block by one formatting: a fifth less time than line by line
            out.write(line * len(starts) % tuple(chain.from_iterable(zip(starts, ends, kept))))


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


def write_regions(path: Path, spool: Spool) -> None:
    """Write the place of every record as BED6, in the order of the arrays, as far as it lies on its contig."""
    sizes = spool.sizes()
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for place in spool.index.in_order():
            start, end = max(0, place.start), min(place.end, sizes[place.contig])
            out.write(f"{place.contig}\t{start}\t{end}\t{place.id}\t0\t{place.strand}\n")


def write_chrom_sizes(path: Path, spool: Spool) -> None:
    """Write the size of every contig that has records as two columns, sorted by their names' code points."""
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{contig}\t{size}\n" for contig, size in spool.sizes().items())


def read_bigwig(path: str | os.PathLike[str], contig: str, start: int, end: int) -> np.ndarray:
    """Read one stretch of a bigWig file.

    Returns
    -------
    (end - start,) float32 array
        NaN where the file says nothing.

    Raises
    ------
    SeqplrpError
        If the file is missing or no bigWig, or the stretch does not lie in it.

    Notes
    -----
    pybigtools trusts the sizes that a bigWig file states of itself, and ends the process where a damaged one states
    more than the memory holds: no command of seqplrp reads bigWig files of others.
    """
    if not os.path.isfile(path):
        raise SeqplrpError(path, "no such file", "check the path")
    try:
        with _without_words():
            file = pybigtools.open(os.fspath(path))
            size = file.chroms()[contig]
            if not 0 <= start <= end <= size:
                raise ValueError(f"{contig} ends at {size}")
            return np.asarray(file.values(contig, start, end, fillna=np.nan), np.float32)
    except BaseException as error:
        if not _is_a_failure(error):
            raise
        raise SeqplrpError(
            path,
            f"gives no values for {contig}:{start}-{end}",
            "check that it is a bigWig file with that contig",
        ) from error


def read_bedgraph(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read bedGraph into the columns ``contig``, ``start``, ``end``, ``value`` (float32).

    Raises
    ------
    SeqplrpError
        If it cannot be read as that.
    """
    types = {"contig": "str", "start": "int64", "end": "int64", "value": "float32"}
    return _read_columns(path, types, "give a bedGraph file: contig, start, end and value")


def read_regions(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read BED6 into the columns ``contig``, ``start``, ``end``, ``name``, ``score``, ``strand``.

    Raises
    ------
    SeqplrpError
        If it cannot be read as that.
    """
    types = dict.fromkeys(_REGION_COLUMNS, "str") | {"start": "int64", "end": "int64", "score": "float64"}
    return _read_columns(path, types, "give a BED file of six columns")


def read_chrom_sizes(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read a file of contig names and sizes.

    Raises
    ------
    SeqplrpError
        If it cannot be read as that.
    """
    table = _read_columns(path, {"contig": "str", "size": "int64"}, "give two columns: contig and size")
    return dict(zip(table["contig"], table["size"].tolist(), strict=True))


def _read_columns(path: str | os.PathLike[str], types: dict[str, str], remedy: str) -> pd.DataFrame:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of numbers that it refuses right afterwards
            # A contig may be called NA or 1: the first column is text whatever it looks like.
            table = pd.read_csv(
                path,
                sep="\t",
                header=None,
                names=list(types),
                dtype=types,
                na_filter=False,
                quoting=3,
            )
    except OSError as error:
        raise SeqplrpError(path, (error.strerror or "cannot be read").lower(), "check the path") from error
    except (ValueError, OverflowError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise SeqplrpError(path, f"cannot be read as a table ({first_line(error)})", remedy) from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first columns for an index then
        raise SeqplrpError(path, f"has more than {len(types)} columns", remedy)
    return table
