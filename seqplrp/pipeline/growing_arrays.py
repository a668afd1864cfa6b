"""Arrays that grow by rows on disk, and become one npz file: memory does not grow with them."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

_LINES = 4096


@dataclass
class _Column:
    """Rows of one array as raw numbers in a file; of texts, as lines."""

    path: Path
    file: IO[bytes]
    dtype: np.dtype
    shape: tuple[int, ...]
    rows: int = 0

    @property
    def is_text(self) -> bool:
        return self.dtype.kind == "U"


class GrowingArrays:
    """Append rows to several arrays; a context manager, within which `save` makes an npz file of them.

    Parameters
    ----------
    folder : Path
        Where the rows are kept until then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._columns: dict[str, _Column] = {}

    def __enter__(self) -> GrowingArrays:
        self._open = ExitStack()
        self._rows = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix=".rows-", dir=self._folder)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def append(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Append rows, (n, ...) to each array; texts must be without line breaks.

        Raises
        ------
        ValueError
            For rows of another type or shape than those before.
        """
        for name, rows in arrays.items():
            column = self._column(name, rows)
            if column.is_text:
                column.dtype = max(column.dtype, rows.dtype, key=lambda dtype: dtype.itemsize)
                column.file.write("".join(f"{text}\n" for text in rows.tolist()).encode())
            elif (rows.dtype, rows.shape[1:]) != (column.dtype, column.shape):
                raise ValueError(f"{name}: rows {rows.dtype} {rows.shape[1:]} after {column.dtype} {column.shape}")
            else:
                column.file.write(np.ascontiguousarray(rows).tobytes())
            column.rows += len(rows)

    def _column(self, name: str, rows: np.ndarray) -> _Column:
        if name not in self._columns:
            path = self._rows / str(len(self._columns))
            file = self._open.enter_context(path.open("wb"))
            self._columns[name] = _Column(path, file, rows.dtype, rows.shape[1:])
        return self._columns[name]

    def save(self, path: Path) -> None:
        """Write the npz file, uncompressed, without pickle; equal rows give equal bytes. No row can follow."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, column in self._columns.items():
                column.file.close()
                shape = (column.rows, *column.shape)
                header = {"descr": column.dtype.str, "fortran_order": False, "shape": shape}
                # dated to zip's first day
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as out:
                    np.lib.format.write_array_header_1_0(out, header)
                    if column.is_text:
                        out.writelines(_texts(column))
                    else:
                        with open(column.path, "rb") as rows:
                            shutil.copyfileobj(rows, out, 1 << 20)
                column.path.unlink()  # its place on the disk is needed


def _texts(column: _Column) -> Iterable[bytes]:
    """Give lines as numbers of one width each."""
    with open(column.path, encoding="utf-8", newline="\n") as lines:
        while some := [line[:-1] for _, line in zip(range(_LINES), lines)]:
            yield np.array(some, column.dtype).tobytes()
