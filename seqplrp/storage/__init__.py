"""What is written is whole or not there: files, directories, locks; and what fails on the way, told in one line.

What is read from outside does no harm: JSON, YAML, npz and HDF5 files of others.
"""

from __future__ import annotations

from seqplrp.storage.deflate import MOST_INFLATED
from seqplrp.storage.failures import from_os_error, naming
from seqplrp.storage.files import differences, locked, read_json, sync_directory, write_json, write_whole, written_whole
from seqplrp.storage.hdf5 import stored
from seqplrp.storage.json_text import parse_json
from seqplrp.storage.npz import npy_array, npy_header, npz_arrays
from seqplrp.storage.output import MARKER, output_directory, output_file
from seqplrp.storage.paths import is_file
from seqplrp.storage.resumable import PARTS, LostRunDirectory, RunDirectory
from seqplrp.storage.yaml_text import TAGS, YamlFault, compose_yaml, read_yaml, yaml_value

__all__ = [
    "MARKER",
    "MOST_INFLATED",
    "PARTS",
    "TAGS",
    "LostRunDirectory",
    "RunDirectory",
    "YamlFault",
    "compose_yaml",
    "differences",
    "from_os_error",
    "is_file",
    "locked",
    "naming",
    "npy_array",
    "npy_header",
    "npz_arrays",
    "output_directory",
    "output_file",
    "parse_json",
    "read_json",
    "read_yaml",
    "stored",
    "sync_directory",
    "write_json",
    "write_whole",
    "written_whole",
    "yaml_value",
]
