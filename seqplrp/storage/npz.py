"""Arrays from npz and npy files of others: nothing is unpickled, and no memory is taken but for what a file holds."""

from __future__ import annotations

import errno
import math
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from seqplrp.errors import whole_message
from seqplrp.storage.deflate import MOST_INFLATED

if TYPE_CHECKING:
    import numpy as np

_KINDS = "biufcSU"  # numbers, truth values and text; no objects, which are pickles
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes; the others can make terabytes of a kilobyte
_PIECE = 1 << 20
_LAST_LETTER = 0x10FFFF  # of Unicode


def npz_arrays(path: str | os.PathLike[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Read the arrays of an npz file, one after the other, each with its name.

    Parameters
    ----------
    path : path
        What `numpy.savez` or `numpy.savez_compressed` writes: numbers and text alone.

    Raises
    ------
    ValueError
        If the file, or the array behind the last that was given, is damaged, holds objects, or announces more than
        the file has content for.
    OSError
        If there is no such file, or the disk fails.
    """
    with _told("it is damaged"), zipfile.ZipFile(path) as archive:
        size = os.path.getsize(path)
        for member in archive.infolist():
            if member.filename.endswith(".npy"):
                name = member.filename.removesuffix(".npy")
                with _told(f"its array {name!r} is damaged, or holds more than numbers and text"):
                    _check_packing(member, size)
                    with archive.open(member) as file:
                        values = _array(file, member.file_size)
                yield name, values


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Let whatever a damaged archive leads to be a ValueError that begins so; a disk that fails is no such thing."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # sought outside of the file
            raise
        raise error if isinstance(error, _Fault) else _Fault(f"{what} ({whole_message(error, most=200)})") from error


class _Fault(ValueError):
    """One that was told already."""


def npy_array(path: str | os.PathLike[str]) -> np.ndarray:
    """Open the array of a ``.npy`` file, which stays on the disk.

    Raises
    ------
    ValueError
        If the file is none, holds objects, or ends before what it announces.
    OSError
        If there is no such file, or the disk fails.
    """
    import numpy as np

    with open(path, "rb") as file:
        shape, fortran, dtype = npy_header(file)
        begins = file.tell()
    if math.prod(shape) * dtype.itemsize > os.path.getsize(path) - begins:
        raise ValueError(f"it announces the shape {shape} and ends before")
    return np.memmap(path, dtype, "r", begins, shape, "F" if fortran else "C")


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read the beginning of a ``.npy`` file: shape, whether the first axis varies fastest, and type.

    Raises
    ------
    ValueError
        If it is none, or is of objects, or of a shape that no array has.
    """
    import numpy as np

    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Python's parser thinks of it
            shape, fortran, dtype = read(file)
    except OSError:
        raise
    except Exception as error:  # NumPy lets Python's parser and tokenizer read it, and raises whatever they do
        raise ValueError("its header is damaged") from error
    if dtype.kind not in _KINDS or dtype.itemsize == 0:
        raise ValueError(f"it holds {dtype}, neither numbers nor text")
    if any(isinstance(length, bool) or length < 0 for length in shape):
        raise ValueError(f"it announces the shape {shape}")
    return shape, fortran, dtype


def _check_packing(member: zipfile.ZipInfo, size: int) -> None:
    """Raise where a member says that it unpacks to more than it can."""
    if member.compress_type not in _PACKED:
        raise ValueError("it is packed in a way that NumPy does not write")
    if member.compress_size > size or member.file_size > MOST_INFLATED * (member.compress_size + 1):
        raise ValueError("it announces more than the file has content for")


def _array(file: IO[bytes], size: int) -> np.ndarray:
    import numpy as np

    shape, fortran, dtype = npy_header(file)
    count, left = math.prod(shape), size - file.tell()
    if count * dtype.itemsize != left:
        raise ValueError(f"it announces the shape {shape} and holds {left} bytes")
    try:
        flat = np.empty(count, dtype)
    except MemoryError as error:
        raise ValueError(f"an array of the shape {shape} does not fit into the memory") from error
    if count:
        _fill(flat.view(np.uint8).data, file)
    if dtype.kind == "U":
        _check_letters(flat)
    return flat.reshape(shape, order="F" if fortran else "C")


def _fill(goal: memoryview, file: IO[bytes]) -> None:
    done = 0
    while done < len(goal):
        piece = file.read(min(_PIECE, len(goal) - done))
        if not piece:
            raise ValueError("it ends too early")
        goal[done : done + len(piece)] = piece
        done += len(piece)
    file.read(1)  # the checksum is compared at the very end


def _check_letters(text: np.ndarray) -> None:
    """Raise for letters that there are none of, which would be found out of when they are first looked at."""
    letters = text.view(text.dtype.byteorder.replace("|", "=") + "u4")
    if ((letters > _LAST_LETTER) | ((letters >= 0xD800) & (letters < 0xE000))).any():
        raise ValueError("its text holds what is no letter")
