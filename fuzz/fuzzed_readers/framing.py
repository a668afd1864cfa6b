"""Files taken apart for the fuzzer, and put together again: archives, safetensors, gzip."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile

_MEMBER = b"\n=====member:"
_DATA = b"\n=====data\n"


def framed(archive: bytes) -> bytes:
    """Write a zip archive as plain text and bytes that can be changed without its checksums in the way."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return b"".join(_MEMBER + name.encode() + b"\n" + file.read(name) for name in file.namelist())


def zipped(text: bytes) -> bytes:
    """Make a zip archive of what `framed` wrote."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for part in text.split(_MEMBER)[1:]:
            name, _, content = part.partition(b"\n")
            info = zipfile.ZipInfo(name.decode("latin-1")[:1000].replace("\0", "") or "_")
            if info.filename not in file.namelist():  # zipfile warns of those that are there twice
                file.writestr(info, content)
    return buffer.getvalue()


def headed(text: bytes) -> bytes:
    """Make a safetensors file of its header's JSON and, behind a line, its data."""
    header, _, data = text.partition(_DATA)
    return struct.pack("<Q", len(header)) + header + data


def unheaded(content: bytes) -> bytes:
    """Write a safetensors file as its header's JSON and, behind a line, its data."""
    (length,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + length] + _DATA + content[8 + length :]


def gzipped(content: bytes) -> bytes:
    """Compress a file, the same way each time."""
    return gzip.compress(content, mtime=0)
