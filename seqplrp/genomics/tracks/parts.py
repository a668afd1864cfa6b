"""Explanations of some of a run's records as one file: the unit that is finished or not there.

A part is an uncompressed zip of ``.npy`` arrays and texts, so NumPy reads it, every member has a checksum, and a
slice of an array is read without the rest.
"""

from __future__ import annotations

import errno
import json
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.fasta import Record
from seqplrp.genomics.tracks.flat import FlatArray
from seqplrp.genomics.tracks.index import Place
from seqplrp.storage import naming, npy_header, parse_json, written_whole

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # of a zip member: its last two fields are the lengths of name and extra
_ABOUT, _RECORDS = "about.json", "records.json"
# whatever zipfile raises for what is no archive, or a damaged one
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, EOFError, struct.error, RuntimeError)
_FARTHEST = 1 << 62


@dataclass(frozen=True)
class Part:
    """A part file that was opened: what it holds, and where in the file each array begins.

    Parameters
    ----------
    path : Path
        The file.
    about : dict
        What its writer said of it.
    records : tuple of Place
        Its records; offsets are those within the part.
    arrays : dict of str to list of FlatArray
        Each array's rows (one row for an array of one axis).
    """

    path: Path
    about: dict[str, Any]
    records: tuple[Place, ...]
    arrays: dict[str, list[FlatArray]] = field(repr=False)

    @property
    def total(self) -> int:
        """Number of positions over its records."""
        return self.records[-1].values[1] if self.records else 0

    def text(self, name: str) -> bytes:
        """Return one of its texts, as it was given.

        Raises
        ------
        SeqplrpError
            If it has none of that name.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(name)
        except (KeyError, *_DAMAGED) as error:
            raise _damaged(self.path, f"{type(error).__name__}: {error}") from error


def write_part(
    path: Path,
    records: Sequence[Record],
    arrays: Mapping[str, np.ndarray],
    *,
    texts: Mapping[str, bytes] | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write a part as a whole or not at all: whoever sees ``path`` sees all of it, also after a power cut.

    Parameters
    ----------
    path : Path
        The file to be.
    records : sequence of Record
        What was explained.
    arrays : dict of str to (total,) or (rows, total) array
        Values of all positions of the records, one after the other.
    texts : dict of str to bytes, optional
        Rows of tables, say.
    about : dict, optional
        What can be JSON.
    """
    places = [[one.id, one.contig, one.start, one.end, one.strand] for one in records]
    with (
        written_whole(path, path.with_name(f".{path.name}.{os.getpid()}")) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        _put(archive, _ABOUT, json.dumps(dict(about or {})).encode())
        _put(archive, _RECORDS, json.dumps(places).encode())
        for name, values in arrays.items():
            with archive.open(_member(f"{name}.npy"), "w", force_zip64=True) as out:
                np.lib.format.write_array(out, np.ascontiguousarray(values), allow_pickle=False)
        for name, text in (texts or {}).items():
            _put(archive, name, text)


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name)  # dated to zip's first day: equal content is equal bytes


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    with archive.open(_member(name), "w") as out:
        out.write(content)


def open_part(path: Path, *, verify: bool = False) -> Part:
    """Open a part.

    Parameters
    ----------
    path : Path
        The file.
    verify : bool
        Whether to read all of it and compare checksums.

    Raises
    ------
    SeqplrpError
        If it is damaged: cut short, changed, or no part at all.
    """
    try:
        with naming(path), open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            if verify and (bad := archive.testzip()) is not None:
                raise _damaged(path, f"the checksum of {bad!r} does not fit")
            about = parse_json(archive.read(_ABOUT))
            if not isinstance(about, dict):
                raise _damaged(path, f"{_ABOUT} is no JSON object")
            records = _places(parse_json(archive.read(_RECORDS)))
            arrays = {
                member.filename.removesuffix(".npy"): _rows(path, file, member)
                for member in archive.infolist()
                if member.filename.endswith(".npy")
            }
    except SeqplrpError:
        raise
    except (KeyError, TypeError, *_DAMAGED) as error:
        behind = error.__context__
        if isinstance(behind, OSError) and behind.errno == errno.EIO:  # zipfile takes what can't be read for no zip
            raise OSError(behind.errno, behind.strerror, str(path)) from error
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise _damaged(path, "a member begins outside of the file") from error
    part = Part(path, about, records, arrays)
    for name, rows in arrays.items():
        if any(row.count != part.total for row in rows):
            raise _damaged(path, f"{name!r} does not fit its records")
    return part


def _damaged(path: Path, why: str) -> SeqplrpError:
    return SeqplrpError(path, f"is damaged ({why})", "run the command again with --resume: it is made anew")


def _places(rows: Iterable[Sequence[Any]]) -> tuple[Place, ...]:
    found, offset = [], 0
    for id, contig, start, end, strand in rows:
        if not all(isinstance(text, str) for text in (id, contig)) or strand not in ("+", "-", "."):
            raise ValueError(f"record {id!r:.60} on {contig!r:.60} is none")
        if type(start) is not int or type(end) is not int or not -_FARTHEST < start <= end < _FARTHEST:
            raise ValueError(f"record {id!r:.60} has the place {start!r:.60} to {end!r:.60}")
        place = Place(id, contig, start, end, strand, offset)
        found.append(place)
        offset += len(place)
    return tuple(found)


def _rows(path: Path, file: Any, member: zipfile.ZipInfo) -> list[FlatArray]:
    """Find where the rows of an array begin in the file."""
    file.seek(member.header_offset)
    *_, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    file.seek(name + extra, os.SEEK_CUR)
    shape, fortran, dtype = npy_header(file)
    if fortran or len(shape) not in (1, 2):
        raise ValueError(f"{member.filename} is no array of one or two axes")
    count, begins = shape[-1], file.tell()
    rows = shape[0] if len(shape) == 2 else 1
    if rows * count * dtype.itemsize > os.path.getsize(path) - begins:
        raise ValueError(f"{member.filename} ends before its {rows} x {count} numbers")
    return [FlatArray(path, dtype, count, begins + row * count * dtype.itemsize) for row in range(rows)]
