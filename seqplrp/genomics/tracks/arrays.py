"""Relevance as arrays: npz for Python, and the pair of npz files that TF-MoDISco takes."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.genomics.tracks.equal import equal_records, record_blocks
from seqplrp.genomics.tracks.flat import Sliceable
from seqplrp.genomics.tracks.spool import Spool
from seqplrp.storage import npz_arrays

_BLOCK = 1 << 18
_ALPHABET = 4


@dataclass(frozen=True)
class RelevanceArrays:
    """What ``relevance.npz`` holds.

    Parameters
    ----------
    ids : (N,) array of str
        The records.
    offsets : (N + 1,) int64 array
        Record ``i`` is ``[offsets[i]:offsets[i + 1]]`` of the flat arrays; ``offsets[0]`` is 0.
    starts : (N,) int64 array or None
        0-based place of each record's window on its contig, before 0 where it was padded there; None in files of before
        they were kept.
    codes : (total,) uint8 array
        The bases, 0 to 3 for ACGT, 4 for N.
    per_base : (total,) float32 array
        Relevance of each position.
    hypothetical : (4, total) float32 array or None
        What each of ACGT would contribute; None if the rule has no such thing.
    relevance_spread : (total,) float32 array or None
        Standard deviation of each position's relevance over several models; None where there was one model.
    """

    ids: np.ndarray
    offsets: np.ndarray
    codes: np.ndarray
    per_base: np.ndarray
    hypothetical: np.ndarray | None
    relevance_spread: np.ndarray | None = None
    starts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, index: int) -> slice:
        """Return where record number ``index`` lies in the flat arrays."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def index(self, id: str) -> int:
        """Return the number of the record called ``id``.

        Raises
        ------
        SeqplrpError
            If there is none.
        """
        return number_of(id, self.ids, "record")


def number_of(id: str, ids: np.ndarray, what: str) -> int:
    """Return the place of a name among those of an npz file.

    Raises
    ------
    SeqplrpError
        If it is not there; `what` says what has such names.
    """
    found = np.flatnonzero(ids == id)
    if len(found) == 0:
        remedy = f"try {str(ids[0])!r}" if len(ids) else f"give a file that holds a {what}"
        raise SeqplrpError(f"{what} {id!r}", "is not among the explained ones", remedy)
    return int(found[0])


def write_npz(path: Path, spool: Spool) -> None:
    """Write the arrays of `RelevanceArrays`, uncompressed, without pickle, a block at a time.

    The same explanations give the same bytes.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        text = np.dtype(f"<U{max(1, spool.index.longest_id())}")
        ids = ((np.array([place.id], text)) for place in spool.index.in_order())
        _put_blocks(archive, "ids", text, (len(spool),), ids)
        ends = (np.array([place.values[1]], "<i8") for place in spool.index.in_order())
        _put_blocks(archive, "offsets", np.dtype("<i8"), (len(spool) + 1,), chain([np.zeros(1, "<i8")], ends))
        starts = (np.array([place.start], "<i8") for place in spool.index.in_order())
        _put_blocks(archive, "starts", np.dtype("<i8"), (len(spool),), starts)
        _put_blocks(archive, "codes", spool.codes.dtype, (spool.total,), _blocks(spool.codes, spool.total))
        floats = spool.per_base.dtype
        _put_blocks(archive, "per_base", floats, (spool.total,), _blocks(spool.per_base, spool.total))
        if spool.hypothetical is not None:
            rows = (block for base in spool.hypothetical for block in _blocks(base, spool.total))
            _put_blocks(archive, "hypothetical", floats, (_ALPHABET, spool.total), rows)
        if spool.spread is not None:
            _put_blocks(archive, "relevance_spread", floats, (spool.total,), _blocks(spool.spread, spool.total))


def write_modisco(sequences: Path, attributions: Path, spool: Spool) -> None:
    """Write what ``modisco motifs -s sequences -a attributions`` reads: npz files of one array ``arr_0``, (N, 4, L).

    The one is the one-hot sequences (int8; 0 where a base is unknown), the other the hypothetical contributions
    (float32) of the unpruned map where the run kept them, as TF-MoDISco's null model is made for maps without exact
    zeros; else of the map itself.

    Raises
    ------
    SeqplrpError
        If the records differ in length, or there are no hypothetical contributions.
    """
    length, contributions = equal_records("modisco", spool)
    whole = spool.unpruned or contributions
    for path, dtype, blocks in (
        (sequences, np.dtype("i1"), (block.one_hot for block in record_blocks(spool, whole, length))),
        (attributions, np.dtype("<f4"), (block.hypothetical for block in record_blocks(spool, whole, length))),
    ):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            _put_blocks(archive, "arr_0", dtype, (len(spool), _ALPHABET, length), blocks)


def read_npz(path: str | os.PathLike[str]) -> RelevanceArrays:
    """Read ``relevance.npz``. Nothing that is pickled is loaded.

    Raises
    ------
    SeqplrpError
        If the file is missing, is no npz, or its arrays do not fit each other.
    """
    remedy = "give the relevance.npz that `seqplrp explain` wrote"
    arrays = read_arrays(path, remedy)
    missing = [name for name in ("ids", "offsets", "codes", "per_base") if name not in arrays]
    if missing:
        raise SeqplrpError(path, f"has no array {missing[0]!r}", remedy)
    result = RelevanceArrays(
        ids=arrays["ids"],
        offsets=arrays["offsets"],
        codes=arrays["codes"],
        per_base=arrays["per_base"],
        hypothetical=arrays.get("hypothetical"),
        relevance_spread=arrays.get("relevance_spread"),
        starts=arrays.get("starts"),
    )
    _check_fit(path, result, remedy)
    return result


def read_arrays(path: str | os.PathLike[str], remedy: str) -> dict[str, np.ndarray]:
    """Read all arrays of an npz file; what is wrong with it is said in our words, not in those of zip and pickle."""
    try:
        with open(path, "rb") as file:
            begun = file.read(4) == b"PK\x03\x04"
            whole = zipfile.is_zipfile(file)
    except OSError as error:
        raise _unreadable(path, error, remedy) from error
    except zipfile.BadZipFile as error:
        raise SeqplrpError(path, f"is damaged ({first_line(error)})", remedy) from error
    if not whole:
        raise SeqplrpError(path, "is cut short" if begun else "is no npz file", remedy)
    try:
        return dict(npz_arrays(path))
    except OSError as error:
        raise _unreadable(path, error, remedy) from error  # the disk's fault, not the content's
    except ValueError as error:
        raise SeqplrpError(path, str(error), remedy) from error


def _unreadable(path: str | os.PathLike[str], error: OSError, remedy: str) -> SeqplrpError:
    if isinstance(error, FileNotFoundError):
        return SeqplrpError(path, "no such file", remedy)
    return SeqplrpError(path, f"cannot be read ({error.strerror})".lower(), remedy)


def _blocks(array: Sliceable, total: int) -> Iterator[np.ndarray]:
    for start in range(0, total, _BLOCK):
        yield array.read(start, min(start + _BLOCK, total))


def _put_blocks(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype, shape: tuple[int, ...], blocks: Iterable[np.ndarray]
) -> None:
    """Write one member in the .npy format, dated to zip's first day: equal content is equal bytes."""
    member = zipfile.ZipInfo(f"{name}.npy")
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(member, "w", force_zip64=True) as out:
        np.lib.format.write_array_header_1_0(out, header)
        for block in blocks:
            out.write(np.ascontiguousarray(block).tobytes())


def _check_fit(path: str | os.PathLike[str], arrays: RelevanceArrays, remedy: str) -> None:
    offsets, total = arrays.offsets, arrays.per_base.size
    floats = (arrays.per_base, arrays.hypothetical, arrays.relevance_spread)
    fits = (
        arrays.ids.ndim == offsets.ndim == arrays.per_base.ndim == 1
        and arrays.ids.dtype.kind == "U"
        and arrays.codes.dtype.kind in "iu"
        and all(values is None or values.dtype.kind == "f" for values in floats)
        and offsets.dtype.kind == "i"
        and len(offsets) == len(arrays.ids) + 1
        and offsets[0] == 0
        and offsets[-1] == total
        and bool(np.all(np.diff(offsets) >= 0))
        and arrays.codes.shape == (total,)
        and (total == 0 or 0 <= arrays.codes.min() <= arrays.codes.max() <= _ALPHABET)
        and (arrays.starts is None or (arrays.starts.shape == arrays.ids.shape and arrays.starts.dtype.kind == "i"))
        and (arrays.hypothetical is None or arrays.hypothetical.shape == (_ALPHABET, total))
        and (arrays.relevance_spread is None or arrays.relevance_spread.shape == (total,))
    )
    if not fits:
        raise SeqplrpError(path, "its arrays do not fit each other", remedy)
