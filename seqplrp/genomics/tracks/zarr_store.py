"""Relevance as a zarr store: chunks of rows in files of their own, which many readers open lazily at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqplrp.genomics.tracks.equal import equal_length, one_hot_rows, stacked_rows
from seqplrp.genomics.tracks.extras import extra_library
from seqplrp.genomics.tracks.flat import Sliceable
from seqplrp.genomics.tracks.spool import Spool

_BASES = "ACGT"
_CHUNK = 1 << 18  # numbers of a chunk of contributions, what is read at least: 1 MB
_SHARD = 1 << 23  # numbers of a shard of contributions, a file: 32 MB before it is packed
_PLACES = 1 << 16  # records of a chunk, and a file, of what says where they lie


def write_zarr(path: Path, spool: Spool, about: Mapping[str, Any] | None = None) -> None:
    """Write a directory in zarr's third format, whose arrays name their axes as xarray reads them.

    Along ``sequence``: ``one_hot`` (N, 4, L) int8, 0 where a base is unknown; ``per_base`` (N, L) float32, the
    relevance of each position; ``hypothetical`` (N, 4, L) float32, what each base would contribute, where the rule
    tells that; ``relevance_spread`` (N, L) float32, the standard deviation over several models, where there are; and
    where each window lies: ``id``, ``contig``, ``start``, ``end`` (0-based, half-open), ``strand``. Chunks of some rows
    are what is read; shards of many chunks are the files. The same explanations give the same bytes, and memory is that
    of one shard.

    Parameters
    ----------
    path : Path
        The directory to be.
    spool : Spool
        The records, in the order of the rows.
    about : mapping, optional
        What can be JSON, kept as the attribute ``seqplrp``.

    Raises
    ------
    SeqplrpError
        If the records differ in length, or zarr is not installed.
    """
    zarr = extra_library("zarr", "zarr", "format zarr")
    length = equal_length("zarr", spool)
    store, told = zarr.storage.LocalStore(path), {"seqplrp": dict(about or {})}
    group = zarr.open_group(store, mode="w", zarr_format=3, attributes=told)
    rows = max(1, _CHUNK // (len(_BASES) * length))
    at_once = rows * max(1, min(_SHARD // _CHUNK, -(-len(spool) // rows)))
    maps = _maps(spool, length)
    arrays = [
        _array(group, one.name, (len(spool), *one.shape), one.dtype, one.axes, chunk=rows, shard=at_once)
        for one in maps
    ]
    for first in range(0, len(spool), at_once):
        last = min(first + at_once, len(spool))
        for one, array in zip(maps, arrays, strict=True):
            array[first:last] = one.read((first * length, last * length))
    _write_places(group, spool)


@dataclass(frozen=True)
class _Map:
    """One of the arrays, and how its rows are read: from their first position up to, not including, their last."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    read: Callable[[tuple[int, int]], np.ndarray]


def _maps(spool: Spool, length: int) -> list[_Map]:
    bases, flat = ((len(_BASES), length), ("base", "position")), ((length,), ("position",))

    def rows_of(array: Sliceable) -> Callable[[tuple[int, int]], np.ndarray]:
        return lambda span: array.read(*span).reshape(-1, length)

    found = [
        _Map("one_hot", "int8", *bases, lambda span: one_hot_rows(spool, span, length)),
        _Map("per_base", "float32", *flat, rows_of(spool.per_base)),
    ]
    if (hypothetical := spool.hypothetical) is not None:
        found.append(_Map("hypothetical", "float32", *bases, lambda span: stacked_rows(hypothetical, span, length)))
    if spool.spread is not None:
        found.append(_Map("relevance_spread", "float32", *flat, rows_of(spool.spread)))
    return found


def _write_places(group: Any, spool: Spool) -> None:
    bases = _array(group, "base", (len(_BASES),), "string", (), chunk=len(_BASES))
    bases[:] = np.array(list(_BASES), object)
    kinds = {"id": "string", "contig": "string", "start": "int64", "end": "int64", "strand": "string"}
    arrays = {name: _array(group, name, (len(spool),), kind, (), chunk=_PLACES) for name, kind in kinds.items()}
    for first, places in spool.index.in_batches(_PLACES):
        for name, array in arrays.items():
            values = [getattr(place, name) for place in places]
            array[first : first + len(places)] = np.array(values, object if kinds[name] == "string" else np.int64)


def _array(
    group: Any,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    axes: tuple[str, ...],
    *,
    chunk: int,
    shard: int | None = None,
) -> Any:
    """Make an array that is packed with checksums; its first axis is that of the records, or it is `base` itself."""
    from zarr.codecs import ZstdCodec

    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(chunk, *shape[1:]),
        shards=None if shard is None else (shard, *shape[1:]),
        compressors=ZstdCodec(level=3, checksum=True),
        fill_value="" if dtype == "string" else 0,
        dimension_names=("base" if name == "base" else "sequence", *axes),
        # a chunk of zeros is a chunk, too: none of an earlier state may stay in its place
        config={"write_empty_chunks": True},
    )
