"""Lines of plain or gzipped files, with every way of failing turned into an error that names the place."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from seqplrp.errors import SeqplrpError

_GZIP_MAGIC = b"\x1f\x8b"


def byte_lines(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the lines of a file with their line ends, inflating it if it starts as gzip (or bgzip) does.

    Raises
    ------
    SeqplrpError
        If the file can't be opened or read, or its compressed data are damaged or cut short.
    """
    number = 0
    try:
        with open(path, "rb") as raw:
            compressed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            stream: BinaryIO = gzip.GzipFile(fileobj=raw) if compressed else raw  # type: ignore[assignment]
            for line in stream:
                number += 1
                yield line
    except EOFError:
        raise SeqplrpError(
            f"{path}, after line {number}", "the gzip data end too early", "copy or download the file again"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as problem:
        raise SeqplrpError(
            f"{path}, after line {number}",
            f"the gzip data are damaged ({problem})",
            "copy or download the file again",
        ) from None
    except OSError as problem:
        raise unreadable(path, problem) from None


def text_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Yield line numbers from 1 and lines as text without line ends; a line that is not UTF-8 is an error."""
    for number, line in enumerate(byte_lines(path), start=1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")  # the byte order mark that some editors write
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


def unreadable(path: str | os.PathLike[str], problem: OSError) -> SeqplrpError:
    """Turn a failed open or read into the error that names the file."""
    remedy = "check the path" if not Path(path).exists() else "check that it is a readable file"
    return SeqplrpError(path, f"can't be read ({problem.strerror or problem})", remedy)
