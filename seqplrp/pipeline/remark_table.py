"""What of the input was left out, or used otherwise than it stands there, as a table."""

from __future__ import annotations

import csv
from dataclasses import astuple, fields
from pathlib import Path
from types import TracebackType

from seqplrp.genomics import Remark
from seqplrp.storage import naming

REMARKS = "remarks.tsv"


class RemarkTable:
    """A file with one line a remark, as they come; a context manager.

    Parameters
    ----------
    path : Path
        The file, made anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0

    def __enter__(self) -> RemarkTable:
        self._file = open(self._path, "w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, delimiter="\t", lineterminator="\n")
        with naming(self._path):
            self._rows.writerow([field.name for field in fields(Remark)])
            self._file.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with naming(self._path):
                self._file.close()
        except OSError:
            if error is None:  # what came before is what is told
                raise

    def append(self, remark: Remark) -> None:
        """Write one."""
        with naming(self._path):
            self._rows.writerow(astuple(remark))
        self.count += 1
