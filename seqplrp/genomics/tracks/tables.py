"""Tables that grow by rows, as tab-separated text."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class TableWriter:
    """Append data frames with the same columns to one TSV file; a context manager.

    Parameters
    ----------
    path : Path
        The file; the first frame gives the header.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] | None = None

    def __enter__(self) -> TableWriter:
        self._file = open(self._path, "w", encoding="utf-8", newline="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, rows: pd.DataFrame) -> None:
        """Append the rows of a frame, floats with nine significant digits, missing values as empty fields."""
        header = self._columns is None
        if not header and list(rows.columns) != self._columns:
            raise ValueError(f"{self._path}: columns {list(rows.columns)} after {self._columns}")
        self._columns = list(rows.columns)
        rows.to_csv(self._file, sep="\t", index=False, header=header, float_format="%.9g", lineterminator="\n")
