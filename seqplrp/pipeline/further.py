"""A model's further inputs from files: ``--arg control.npy``, one row a sequence or one for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.storage import npy_array, npz_arrays

_ROWS_AT_ONCE = 1024
_REMEDY = "give what numpy.save or numpy.savez wrote: numbers, (N, ...) or (1, ...)"


@dataclass(frozen=True)
class FurtherInput:
    """One further input of a model.

    Parameters
    ----------
    path : Path
        The file.
    values : ndarray
        (N, ...) in the order of the sequences, or (1, ...) for all; a ``.npy`` file stays on the disk.
    """

    path: Path
    values: np.ndarray

    def rows(self, rows: Sequence[int]) -> Tensor:
        """Return what belongs to some sequences, by their numbers in the input: (n, ...), or (1, ...)."""
        if len(self.values) != 1 and max(rows) >= len(self.values):
            raise SeqplrpError(
                f"--arg {self.path}",
                f"has {len(self.values)} rows, and the FASTA file, which was changed meanwhile, more sequences",
                "run the command again",
            )
        found = self.values if len(self.values) == 1 else self.values[list(rows)]
        # a copy: torch must not hold what is mapped from a file that it could write to
        return torch.from_numpy(np.array(found, dtype=_torchs(found.dtype), order="C"))


def rows_of(inputs: Sequence[FurtherInput], rows: Sequence[int]) -> tuple[Tensor, ...]:
    """Return what belongs to some sequences of every further input."""
    return tuple(one.rows(rows) for one in inputs)


def read_further(paths: Sequence[Path], sequences: int) -> tuple[FurtherInput, ...]:
    """Read a model's further inputs, in the order in which it takes them.

    Parameters
    ----------
    paths : sequence of Path
        ``.npy`` files, or ``.npz`` files of one array each.
    sequences : int
        How many sequences there are to explain.

    Raises
    ------
    SeqplrpError
        For a file that can't be read as numbers, holds several arrays, has neither one row nor one a sequence, or a
        value that is not finite.
    """
    return tuple(_checked(path, _array(path), sequences) for path in paths)


def _array(path: Path) -> np.ndarray:
    arrays = _arrays(path)
    if len(arrays) != 1:
        names = ", ".join(arrays) or "none"
        raise SeqplrpError(
            f"--arg {path}", f"holds {len(arrays)} arrays ({names})", "give a file of one array for each input"
        )
    return next(iter(arrays.values()))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what a file holds by name; that of a ``.npy`` file has none."""
    where = f"--arg {path}"
    try:
        with open(path, "rb") as file:
            is_archive = file.read(2) == b"PK"
        return dict(npz_arrays(path)) if is_archive else {"": npy_array(path)}
    except FileNotFoundError as error:
        raise SeqplrpError(where, "there is no such file", "check the path") from error
    except OSError as error:
        raise SeqplrpError(where, f"can't be read ({(error.strerror or '').lower()})", "check the file") from error
    except (ValueError, OverflowError) as error:
        raise SeqplrpError(where, f"is no array of numbers, or is damaged ({first_line(error)})", _REMEDY) from error


def _checked(path: Path, values: np.ndarray, sequences: int) -> FurtherInput:
    where = f"--arg {path}"
    if values.dtype.kind not in "fiub":
        raise SeqplrpError(where, f"holds values of type {values.dtype}", _REMEDY)
    if values.ndim == 0 or len(values) not in (1, sequences):
        found = "is a single number" if values.ndim == 0 else f"has {len(values)} rows ({_shape(values)})"
        raise SeqplrpError(
            where,
            f"{found} for {sequences} sequences",
            "give one row a sequence, in the order of the FASTA file, or one row for all",
        )
    for start in range(0, len(values), _ROWS_AT_ONCE):
        finite = np.isfinite(values[start : start + _ROWS_AT_ONCE])
        if not finite.all():
            row = start + int((~finite).reshape(len(finite), -1).any(1).argmax())
            raise SeqplrpError(where, f"holds NaN or infinite values in row {row}, counted from 0", "mend the file")
    return FurtherInput(path, values)


def _torchs(dtype: np.dtype) -> type:
    """Return what torch is given: the engine casts floats to the model's own; whole numbers stay such, for look-ups."""
    if dtype.kind == "f":
        return np.float64 if dtype.itemsize > 4 else np.float32
    return np.bool_ if dtype.kind == "b" else np.int64


def _shape(values: np.ndarray) -> str:
    return " x ".join(map(str, values.shape))
