"""Tracks along the genome: bigWig, bedGraph, regions and chromosome sizes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyBigWig

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.genomics.tracks.spool import FlatArray, Spool

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 1 << 16
_BIGWIG_MAGIC = bytes.fromhex("26fc8f88")  # the first word of a bigWig file, and its last once it is whole
_REGION_COLUMNS = ("contig", "start", "end", "name", "score", "strand")


def chrom_sizes(spool: Spool) -> dict[str, int]:
    """Return the size of every contig: the largest end that was seen, as no genome says more.

    Contigs are sorted by their names' code points, the order in which the tracks are written.
    """
    sizes: dict[str, int] = {}
    for contig, end in zip(spool.contigs, spool.ends.tolist(), strict=True):
        sizes[contig] = max(end, sizes.get(contig, 0))
    return dict(sorted(sizes.items()))


def averaged_blocks(spool: Spool, array: FlatArray | None = None) -> Iterator[tuple[str, int, np.ndarray]]:
    """Walk along the genome in order and give every covered position once.

    Where records overlap their values are averaged. A record of the minus strand is turned first, so that
    a position's value stands where the base is. Memory is that of the records which overlap one place.

    Parameters
    ----------
    spool : Spool
        The records.
    array : FlatArray, optional
        Which of its arrays; per-base relevance unless given.

    Yields
    ------
    contig : str
        Sorted by code points.
    start : int
        0-based position of the first value; blocks of a contig follow each other without overlap.
    values : (n,) float32 array
        One value a base.
    """
    order = sorted(range(len(spool)), key=lambda i: (spool.contigs[i], spool.starts[i], spool.ends[i]))
    sums, counts = np.zeros(0), np.zeros(0, np.int64)
    contig, base = "", 0
    for i in order:
        start, end = int(spool.starts[i]), int(spool.ends[i])
        if spool.contigs[i] != contig or start >= base + len(sums):
            if len(sums):
                yield contig, base, (sums / counts).astype(np.float32)
            contig, base = spool.contigs[i], start
            sums, counts = np.zeros(0), np.zeros(0, np.int64)
        done = start - base  # no later record reaches back before this one's start
        if done >= _BLOCK:
            yield contig, base, (sums[:done] / counts[:done]).astype(np.float32)
            base, sums, counts = start, sums[done:], counts[done:]
        grow = max(0, end - base - len(sums))
        sums, counts = np.pad(sums, (0, grow)), np.pad(counts, (0, grow))
        sums[start - base : end - base] += spool.plus_strand(i, array)
        counts[start - base : end - base] += 1
    yield contig, base, (sums / counts).astype(np.float32)


def write_bigwig(path: Path, spool: Spool, array: FlatArray | None = None) -> None:
    """Write per-base relevance, or another array of a spool, as a bigWig file: a fixed-step value for every base.

    The library keeps the zoom levels in memory until it closes the file: about 14 bytes for a covered base.

    Raises
    ------
    SeqplrpError
        If the file could not be written whole.
    """
    covered = 0
    try:
        with _without_words_on_stderr(), pyBigWig.open(str(path), "w") as out:
            out.addHeader(list(chrom_sizes(spool).items()))
            for contig, start, values in averaged_blocks(spool, array):
                out.addEntries(contig, start, values=values, span=1, step=1)
                covered += len(values)
        # The library raises nothing if its last writes fail: what it wrote is counted, and its end looked for.
        with pyBigWig.open(str(path)) as back:
            whole = back.header()["nBasesCovered"] == covered
    except (RuntimeError, SystemError) as error:
        raise _cut_short(path) from error
    with open(path, "rb") as file:
        file.seek(-len(_BIGWIG_MAGIC), os.SEEK_END)
        whole = whole and file.read() == _BIGWIG_MAGIC
    if not whole:
        raise _cut_short(path)


@contextmanager
def _without_words_on_stderr() -> Iterator[None]:
    """Keep the C library from printing what we raise: it writes to the process's standard error by itself."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError):  # there is no standard error
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def _cut_short(path: Path) -> SeqplrpError:
    return SeqplrpError(path, "could not be written whole", "check the space that is left on that disk")


def write_bedgraph(path: Path, spool: Spool) -> None:
    """Write per-base relevance as bedGraph, sorted; neighbours of equal value share a line.

    Nine significant digits are written, from which the float32 values are read back exactly.
    """
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for contig, start, values in averaged_blocks(spool):
            first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
            starts = start + first
            ends = np.append(starts[1:], start + len(values))
            rows = zip(starts.tolist(), ends.tolist(), values[first].tolist(), strict=True)
            out.writelines([f"{contig}\t{s}\t{e}\t{v:.9g}\n" for s, e, v in rows])


def write_regions(path: Path, spool: Spool) -> None:
    """Write the place of every record as BED6, in the order of the arrays."""
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for row in zip(spool.contigs, spool.starts, spool.ends, spool.ids, spool.strands, strict=True):
            contig, start, end, name, strand = row
            out.write(f"{contig}\t{start}\t{end}\t{name}\t0\t{strand}\n")


def write_chrom_sizes(path: Path, spool: Spool) -> None:
    """Write `chrom_sizes` as two columns."""
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{contig}\t{size}\n" for contig, size in chrom_sizes(spool).items())


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
    """
    if not os.path.isfile(path):
        raise SeqplrpError(path, "no such file", "check the path")
    try:
        with pyBigWig.open(os.fspath(path)) as file:
            return np.asarray(file.values(contig, start, end, numpy=True), np.float32)
    except RuntimeError as error:
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
    except ValueError as error:
        raise SeqplrpError(path, f"cannot be read as a table ({first_line(error)})", remedy) from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first columns for an index then
        raise SeqplrpError(path, f"has more than {len(types)} columns", remedy)
    return table
