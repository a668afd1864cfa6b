"""What a reader is: how it is called, and what it has to keep to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seqplrp.errors import SeqplrpError

Seeds = dict[str, bytes]


@dataclass(frozen=True)
class Reader:
    """One reader.

    Parameters
    ----------
    name : str
        What it is called on the command line.
    file : str
        What the file under attack is called.
    seeds : callable
        Gives small valid files by name.
    read : callable
        Reads a path and walks over what was read.
    beside : callable
        Gives the files that belong beside it, by name; they are written once.
    encode : callable
        Makes the file of what the fuzzer changes: checksums and lengths that it would hardly ever get right.
    names : bool
        Whether an error has to name the file (it may name another one that it leads to).
    cost : float
        Milliseconds a call, about: slow readers are tried less often in the tests.
    writes : bool
        Whether reading leaves something behind, so that every trial needs a fresh folder.
    crashes : bool
        Whether a library that is not Python ends the process on some damaged files, which no test could survive.
    """

    name: str
    file: str
    seeds: Callable[[], Seeds]
    read: Callable[[Path], object]
    beside: Callable[[], Seeds] = dict
    encode: Callable[[bytes], bytes] = bytes
    names: bool = True
    cost: float = 1.0
    writes: bool = False
    crashes: bool = False

    def prepare(self, folder: Path) -> Path:
        """Write what belongs beside the file, and return where the file goes."""
        if self.writes:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.beside().items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def check(self, path: Path, data: bytes) -> bool:
        """Let it read what the fuzzer made, and say whether it did; an error other than ours goes through.

        Raises
        ------
        AssertionError
            If the error is not one printable line, or names no file.
        """
        path.write_bytes(self.encode(data))
        return self.told(path)

    def told(self, path: Path) -> bool:
        """Let it read what is there."""
        try:
            self.read(path)
        except SeqplrpError as error:
            text = str(error)
            assert text.isprintable(), f"not one printable line: {text!r}"
            folder = path.parents[len(Path(self.file).parts) - 1]
            assert not self.names or str(folder) in text, f"names no file: {text!r}"
            return False
        return True


def texts(**seeds: bytes) -> Callable[[], Seeds]:
    """Return what gives small valid files that are written down as they are."""
    return partial(dict, seeds)
