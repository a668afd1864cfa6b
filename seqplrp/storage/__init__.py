"""What is written is whole or not there: files, directories, locks; and what fails on the way, told in one line."""

from __future__ import annotations

from seqplrp.storage.failures import from_os_error, naming
from seqplrp.storage.files import differences, locked, read_json, sync_directory, write_json, write_whole
from seqplrp.storage.output import MARKER, output_directory, output_file
from seqplrp.storage.resumable import PARTS, RunDirectory

__all__ = [
    "MARKER",
    "PARTS",
    "RunDirectory",
    "differences",
    "from_os_error",
    "locked",
    "naming",
    "output_directory",
    "output_file",
    "read_json",
    "sync_directory",
    "write_json",
    "write_whole",
]
