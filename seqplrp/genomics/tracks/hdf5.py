"""Relevance as HDF5, in the layouts of ChromBPNet and BPNet."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.genomics.tracks.equal import equal_records, record_blocks
from seqplrp.genomics.tracks.spool import Spool
from seqplrp.storage import stored

_ALPHABET = 4
_ROWS_PACKED, _NUMBERS_PACKED = 64, 1 << 20


def write_h5(path: Path, spool: Spool) -> None:
    """Write HDF5 in ChromBPNet's layout: ``raw/seq``, ``shap/seq``, ``projected_shap/seq``, each (N, 4, L).

    ``raw`` is the one-hot sequence (int8), ``shap`` the hypothetical contributions, ``projected_shap`` their
    product with ``raw``, exactly. The rows are in the order of the regions file.

    Raises
    ------
    SeqplrpError
        If the records differ in length, or there are no hypothetical contributions.
    """
    length, contributions = equal_records("h5", spool)
    shape = (len(spool), _ALPHABET, length)
    with _Disk.opened(path) as disk, h5py.File(disk, "w") as file:
        packed = _packed(len(spool), (_ALPHABET, length))
        raw = file.create_dataset("raw/seq", shape, "i1", **packed)
        shap = file.create_dataset("shap/seq", shape, "f4")
        projected = file.create_dataset("projected_shap/seq", shape, "f4", **packed)
        for block in record_blocks(spool, contributions, length):
            raw[block.rows] = block.one_hot
            shap[block.rows] = block.hypothetical
            projected[block.rows] = block.hypothetical * block.one_hot


def write_bpnet_h5(path: Path, spool: Spool) -> None:
    """Write HDF5 in BPNet's layout: ``input_seqs`` and ``hyp_scores``, (N, L, 4), and where each window lies.

    ``coords_chrom`` (text), ``coords_start`` and ``coords_end`` (0-based, half-open) are the windows' places, in the
    rows' order. ``modisco motifs -i`` and ``modisco seqlet-bed`` read such a file.

    Raises
    ------
    SeqplrpError
        As `write_h5` does.
    """
    length, contributions = equal_records("bpnet-h5", spool)
    shape = (len(spool), length, _ALPHABET)
    with _Disk.opened(path) as disk, h5py.File(disk, "w") as file:
        packed = _packed(len(spool), (length, _ALPHABET))
        sequences = file.create_dataset("input_seqs", shape, "i1", **packed)
        scores = file.create_dataset("hyp_scores", shape, "f4")
        for block in record_blocks(spool, contributions, length):
            sequences[block.rows] = block.one_hot.transpose(0, 2, 1)
            scores[block.rows] = block.hypothetical.transpose(0, 2, 1)
        chrom = file.create_dataset("coords_chrom", (len(spool),), h5py.string_dtype())
        start, end = (file.create_dataset(f"coords_{side}", (len(spool),), "i8") for side in ("start", "end"))
        for first, places in spool.index.in_batches(4096):
            rows = slice(first, first + len(places))
            chrom[rows] = [place.contig for place in places]
            start[rows] = [place.start for place in places]
            end[rows] = [place.end for place in places]


def _packed(rows: int, shape: tuple[int, int]) -> dict[str, Any]:
    """Say how sparse arrays are stored: plain gzip, which every HDF5 reader has, in pieces of some rows."""
    at_once = max(1, min(rows, _ROWS_PACKED, _NUMBERS_PACKED // (shape[0] * shape[1])))
    return {"chunks": (at_once, *shape), "compression": "gzip", "compression_opts": 1, "shuffle": True}


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
            raw, shap, projected = (stored(file[f"{name}/seq"]) for name in ("raw", "shap", "projected_shap"))
    except Exception as error:  # HDF5 raises whatever it meets in a damaged file
        raise SeqplrpError(path, f"cannot be read ({first_line(error)})", remedy) from error
    return raw, shap, projected
