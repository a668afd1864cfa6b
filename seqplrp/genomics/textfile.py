"""Lines of plain or gzipped files, with every way of failing turned into an error that names the place."""

from __future__ import annotations

import errno
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from seqplrp.errors import SeqplrpError

Line = tuple[int, str]
"""A line's number, from 1, and its text without the line end."""

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_TEXT = 1 << 24  # a file of zeros, say, has no line end at all
# stricter than float(): no underscores, no digits of other scripts, no nan or inf
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


def byte_lines(path: str | os.PathLike[str], *, longest: int = -1) -> Iterator[bytes]:
    """Yield the lines of a file with their line ends, inflating it if it starts as gzip (or bgzip) does.

    A byte order mark at the start is left out. The file may be a pipe. Lines of more than `longest` bytes come in
    pieces of that length, the last of which has the line end, so that no line has to fit in memory.

    Raises
    ------
    SeqplrpError
        If the file can't be opened or read, or its compressed data are damaged or cut short.
    """
    number, fresh = 0, True
    try:
        with open(path, "rb") as raw:
            stream: io.BufferedIOBase = raw
            if raw.peek(2)[:2] == _GZIP_MAGIC:
                stream = io.BufferedReader(gzip.GzipFile(fileobj=raw))
            for line in iter(partial(stream.readline, longest), b""):
                number += fresh
                yield line.removeprefix(_BYTE_ORDER_MARK) if fresh and number == 1 else line
                fresh = line[-1:] == b"\n"
    except EOFError:
        raise _damaged(path, number, "end too early") from None
    except (gzip.BadGzipFile, zlib.error) as problem:
        raise _damaged(path, number, f"are damaged ({problem})") from None
    except OSError as problem:
        raise _unreadable(path, number, problem) from None


def _unreadable(path: str | os.PathLike[str], number: int, problem: OSError) -> SeqplrpError:
    where = f"{path}, after line {number}" if number else path
    failed = disk_failure(where, problem)
    if failed is not None:
        return failed
    remedy = "check that it is a readable file" if Path(path).exists() else "check the path"
    return SeqplrpError(where, f"can't be read ({problem.strerror or problem})", remedy)


def disk_failure(where: object, problem: BaseException) -> SeqplrpError | None:
    """Return the error for a disk that fails to read a file, if that is what is behind a problem.

    Libraries raise what they take it for, while they handle the system's own error.
    """
    seen: BaseException | None = problem
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.EIO, errno.ESTALE):
            remedy = "check the disk that it lies on, and copy the file from where it is whole"
            return SeqplrpError(where, f"can't be read ({seen.strerror})", remedy)
        seen = seen.__context__
    return None


def _damaged(path: str | os.PathLike[str], number: int, what: str) -> SeqplrpError:
    return SeqplrpError(
        f"{path}, after line {number}" if number else path, f"the gzip data {what}", "copy or download the file again"
    )


def text_lines(path: str | os.PathLike[str]) -> Iterator[Line]:
    """Yield line numbers from 1 and lines as text without line ends.

    Raises
    ------
    SeqplrpError
        If the file can't be read, or a line is not UTF-8 or longer than 16 MiB.
    """
    for number, line in enumerate(byte_lines(path, longest=_LONGEST_TEXT), start=1):
        if len(line) == _LONGEST_TEXT and not line.endswith(b"\n"):
            raise SeqplrpError(f"{path}, line {number}", f"is longer than {_LONGEST_TEXT} bytes", "give a text file")
        yield number, decode_line(line.rstrip(b"\r\n"), path, number)


def decode_line(line: bytes, path: str | os.PathLike[str], number: int) -> str:
    """Decode one line as UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise SeqplrpError(
            f"{path}, line {number}",
            f"byte {line[problem.start]:#04x} is not UTF-8 text",
            "give a text file in UTF-8 (or gzip of one)",
        ) from None


def parse_number(text: str) -> float | None:
    """Read a plain decimal number; None where `text` is anything else, or too large for a float."""
    value = float(text) if _NUMBER.fullmatch(text) else float("inf")
    return value if abs(value) != float("inf") else None


def parse_whole(text: str) -> int | None:
    """Read a whole number of 0 or more; None where `text` is anything else."""
    # isdecimal alone takes digits of other scripts; 18 digits keep int() cheap and inside int64
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def unwritable(path: str | os.PathLike[str], problem: OSError) -> SeqplrpError:
    """Turn a failed write into the error that names the file."""
    return SeqplrpError(
        path, f"can't be written ({problem.strerror or problem})", "check the folder, its rights and the disk"
    )
