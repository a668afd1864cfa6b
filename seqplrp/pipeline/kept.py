"""The parts that a run keeps: which of them are there, whole, and its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import Record, encode, tracks
from seqplrp.pipeline.provenance import text_sha256
from seqplrp.storage import naming


def part_name(number: int) -> str:
    """Return the name of the file of the chunk of that number."""
    return f"part-{number:08d}.npz"


@dataclass(frozen=True)
class Kept:
    """A run's parts.

    Parameters
    ----------
    folder : Path
        Where they are.
    run : str
        What tells them from those of another run: each holds it.
    """

    folder: Path
    run: str

    @classmethod
    def of(cls, folder: Path, description: Mapping[str, Any]) -> Kept:
        """Return the parts of a run that is described so."""
        return cls(folder, text_sha256(json.dumps(description, sort_keys=True)))

    def path(self, number: int) -> Path:
        """Return where the part of the chunk of that number is, or will be."""
        return self.folder / part_name(number)

    def finished(self, number: int, records: Sequence[Record]) -> tuple[dict[str, Any] | None, str]:
        """Return what a chunk's part says of itself if it is there and whole, and what is wrong with it if it is not.

        One with which something is wrong is removed.

        Raises
        ------
        SeqplrpError
            If it is another run's, or another chunk's.
        """
        path = self.path(number)
        if not path.exists():
            return None, ""
        try:
            with naming(path):
                part = tracks.open_part(path, verify=True)
        except SeqplrpError as error:
            path.unlink()
            return None, f"{path.name} {error.what}"
        self._check(part)
        if part.about["number"] != number:
            raise SeqplrpError(path, "holds other records than the input", "begin anew with --overwrite")
        if not _holds(part, records):
            path.unlink()
            return None, f"{path.name} is of an input that was changed for a while"
        return part.about, ""

    def opened(self, path: Path, *, verify: bool) -> tracks.Part:
        """Open a part of this run.

        Raises
        ------
        SeqplrpError
            If it is damaged, or another run's.
        """
        with naming(path):
            part = tracks.open_part(path, verify=verify)
        self._check(part)
        return part

    def _check(self, part: tracks.Part) -> None:
        if part.about.get("run") != self.run:
            what = "was made by another run, which may still be at work there"
            raise SeqplrpError(part.path, what, "end that one, then begin anew with --overwrite")

    def swept(self, paths: Iterable[Path]) -> Iterator[str]:
        """Remove parts beside these, of chunks that the input had only while it was changed; tell of each.

        Raises
        ------
        SeqplrpError
            If one is not this run's.
        """
        for path in sorted(set(self.folder.glob("part-*.npz")) - set(paths)):
            try:
                self.opened(path, verify=False)
            except SeqplrpError as error:
                remedy = "remove it, or begin anew with --overwrite"
                raise SeqplrpError(path, "is no part of this run", remedy) from error
            path.unlink()
            yield f"{path.name} is of an input that was changed for a while; it was removed"


def _holds(part: tracks.Part, records: Sequence[Record]) -> bool:
    """Say whether a part is of these records, letter by letter."""
    wanted = [(one.id, one.contig, one.start, one.end, one.strand) for one in records]
    if [(one.id, one.contig, one.start, one.end, one.strand) for one in part.records] != wanted:
        return False
    codes = part.arrays["codes"][0].read(0, part.total)
    return np.array_equal(codes, encode(["".join(one.sequence for one in records)])[0])
