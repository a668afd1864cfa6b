"""Relevance as arrays: npz for Python, HDF5 in the layout of ChromBPNet."""

from __future__ import annotations

import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.genomics.tracks.flat import Sliceable
from seqplrp.genomics.tracks.spool import Spool

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
        found = np.flatnonzero(self.ids == id)
        if len(found) == 0:
            raise SeqplrpError(f"record {id!r}", "is not among the explained ones", f"try {self.ids[0]!r}")
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
        _put_blocks(archive, "codes", spool.codes.dtype, (spool.total,), _blocks(spool.codes, spool.total))
        floats = spool.per_base.dtype
        _put_blocks(archive, "per_base", floats, (spool.total,), _blocks(spool.per_base, spool.total))
        if spool.hypothetical is not None:
            rows = (block for base in spool.hypothetical for block in _blocks(base, spool.total))
            _put_blocks(archive, "hypothetical", floats, (_ALPHABET, spool.total), rows)
        if spool.spread is not None:
            _put_blocks(archive, "relevance_spread", floats, (spool.total,), _blocks(spool.spread, spool.total))


def read_npz(path: str | os.PathLike[str]) -> RelevanceArrays:
    """Read ``relevance.npz``. Nothing that is pickled is loaded.

    Raises
    ------
    SeqplrpError
        If the file is missing, is no npz, or its arrays do not fit each other.
    """
    remedy = "give the relevance.npz that `seqplrp explain` wrote"
    arrays = _read_arrays(path, remedy)
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
    )
    _check_fit(path, result, remedy)
    return result


def _read_arrays(path: str | os.PathLike[str], remedy: str) -> dict[str, np.ndarray]:
    """Read all arrays of an npz file; what is wrong with it is said in our words, not in those of zip and pickle."""
    try:
        with open(path, "rb") as file:
            begun = file.read(4) == b"PK\x03\x04"
            whole = zipfile.is_zipfile(file)
    except OSError as error:
        raise _unreadable(path, error, remedy) from error
    if not whole:
        raise SeqplrpError(path, "is cut short" if begun else "is no npz file", remedy)
    arrays = {}
    name = ""
    try:
        with np.load(path, allow_pickle=False) as content:
            for name in content.files:
                arrays[name] = content[name]
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise _unreadable(path, error, remedy) from error  # the disk's fault, not the content's
        what = f"its array {name!r} is damaged, or holds more than numbers and text" if name else "is damaged"
        raise SeqplrpError(path, what, remedy) from error
    return arrays


def _unreadable(path: str | os.PathLike[str], error: OSError, remedy: str) -> SeqplrpError:
    if isinstance(error, FileNotFoundError):
        return SeqplrpError(path, "no such file", remedy)
    return SeqplrpError(path, f"cannot be read ({error.strerror})".lower(), remedy)


def write_h5(path: Path, spool: Spool) -> None:
    """Write HDF5 in ChromBPNet's layout: ``raw/seq``, ``shap/seq``, ``projected_shap/seq``, each (N, 4, L).

    ``raw`` is the one-hot sequence (int8), ``shap`` the hypothetical contributions, ``projected_shap`` their
    product with ``raw``, exactly. The rows are in the order of the regions file.

    Raises
    ------
    SeqplrpError
        If the records differ in length, or there are no hypothetical contributions.
    """
    shortest, length = spool.index.lengths()
    if shortest != length:
        raise SeqplrpError(
            "format h5",
            f"needs records of one length, they have {shortest} to {length} bases",
            "leave h5 out of the formats, or cut the records to one length",
        )
    if spool.hypothetical is None:
        raise SeqplrpError(
            "format h5",
            "holds hypothetical contributions, which this rule does not have",
            "leave h5 out of the formats, or give the first layer a rule such as epsilon or gamma",
        )
    shape = (len(spool), _ALPHABET, length)
    step = max(1, _BLOCK // length)
    with _Disk.opened(path) as disk, h5py.File(disk, "w") as file:
        # Plain gzip, which every HDF5 reader has; hypothetical contributions would hardly shrink.
        chunks = (min(step, len(spool), 64), _ALPHABET, length)
        packed = {"chunks": chunks, "compression": "gzip", "compression_opts": 1, "shuffle": True}
        raw = file.create_dataset("raw/seq", shape, "i1", **packed)
        shap = file.create_dataset("shap/seq", shape, "f4")
        projected = file.create_dataset("projected_shap/seq", shape, "f4", **packed)
        for first in range(0, len(spool), step):
            rows = slice(first, min(first + step, len(spool)))
            span = (rows.start * length, rows.stop * length)
            codes = spool.codes.read(*span).reshape(-1, 1, length)
            one_hot = codes == np.arange(_ALPHABET, dtype=np.uint8)[:, None]
            values = [base.read(*span).reshape(-1, length) for base in spool.hypothetical]
            hypothetical = np.stack(values, axis=1)
            raw[rows] = one_hot
            shap[rows] = hypothetical
            projected[rows] = hypothetical * one_hot


class _Disk(io.FileIO):
    """A file for HDF5 that keeps the first failure to itself until HDF5 has closed.

    HDF5 that cannot write what it still holds crashes the process when it ends. Here it never learns of the
    failure; we raise it afterwards.
    """

    failure: OSError | None = None

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[_Disk]:
        with cls(path, "w+b") as disk:
            try:
                yield disk
            except Exception:
                if disk.failure is None:
                    raise  # else it only follows from that failure
        if disk.failure is not None:
            raise disk.failure

    def write(self, data: Any) -> int:
        try:
            view = memoryview(data).cast("B")
            done = 0
            while done < len(view):  # a raw file may write less than it is given
                done += super().write(view[done:]) or 0
        except OSError as error:
            self.failure = self.failure or error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0


def read_h5(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the ChromBPNet layout.

    Returns
    -------
    raw, shap, projected : (N, 4, L) arrays
        One-hot sequence, hypothetical contributions, and their product.

    Raises
    ------
    SeqplrpError
        If the file is missing, is no HDF5, or lacks one of them.
    """
    remedy = "give an HDF5 file in the layout of ChromBPNet"
    try:
        with h5py.File(path, "r") as file:
            raw, shap, projected = (file[f"{name}/seq"][()] for name in ("raw", "shap", "projected_shap"))
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise SeqplrpError(path, f"cannot be read ({first_line(error)})", remedy) from error
    return raw, shap, projected


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
    offsets, total = arrays.offsets, len(arrays.per_base)
    fits = (
        arrays.ids.ndim == offsets.ndim == arrays.per_base.ndim == 1
        and offsets.dtype.kind == "i"
        and len(offsets) == len(arrays.ids) + 1
        and offsets[0] == 0
        and offsets[-1] == total
        and bool(np.all(np.diff(offsets) >= 0))
        and arrays.codes.shape == (total,)
        and (arrays.hypothetical is None or arrays.hypothetical.shape == (_ALPHABET, total))
        and (arrays.relevance_spread is None or arrays.relevance_spread.shape == (total,))
    )
    if not fits:
        raise SeqplrpError(path, "its arrays do not fit each other", remedy)
