"""Records of one length as stacked arrays, a block at a time: what the field's tools for windows read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.tracks.flat import Sliceable
from seqplrp.genomics.tracks.spool import Spool

_BLOCK = 1 << 18
_BASES = 4


@dataclass(frozen=True)
class RecordBlock:
    """Some records that follow each other.

    Parameters
    ----------
    rows : slice
        Which.
    one_hot : (n, 4, L) int8 array
        Their bases; 0 where one is unknown.
    hypothetical : (n, 4, L) float32 array
        What each of ACGT would contribute.
    """

    rows: slice
    one_hot: npt.NDArray[np.int8]
    hypothetical: npt.NDArray[np.float32]


def equal_records(name: str, spool: Spool) -> tuple[int, tuple[Sliceable, ...]]:
    """Return the length of all records, and their hypothetical contributions.

    Parameters
    ----------
    name : str
        Of the format that asks, for errors.
    spool : Spool
        The records.

    Raises
    ------
    SeqplrpError
        If the records differ in length, or there are no hypothetical contributions.
    """
    length = equal_length(name, spool)
    if spool.hypothetical is None:
        raise SeqplrpError(
            f"format {name}",
            "holds hypothetical contributions, which this rule does not have",
            f"leave {name} out of the formats, or give the first layer a rule such as epsilon or gamma",
        )
    return length, spool.hypothetical


def equal_length(name: str, spool: Spool) -> int:
    """Return the length of all records; see `equal_records`.

    Raises
    ------
    SeqplrpError
        If they differ in length.
    """
    shortest, longest = spool.index.lengths()
    if shortest != longest:
        raise SeqplrpError(
            f"format {name}",
            f"needs records of one length, they have {shortest} to {longest} bases",
            f"leave {name} out of the formats, or cut the records to one length",
        )
    return longest


def record_blocks(spool: Spool, contributions: Sequence[Sliceable], length: int) -> Iterator[RecordBlock]:
    """Give the records of one length, a block at a time, in the order of the input."""
    step = max(1, _BLOCK // length)
    for first in range(0, len(spool), step):
        rows = slice(first, min(first + step, len(spool)))
        span = (rows.start * length, rows.stop * length)
        yield RecordBlock(rows, one_hot_rows(spool, span, length), stacked_rows(contributions, span, length))


def one_hot_rows(spool: Spool, span: tuple[int, int], length: int) -> npt.NDArray[np.int8]:
    """Return the bases of records that follow each other, (n, 4, L), from their first position to behind their last."""
    codes = spool.codes.read(*span).reshape(-1, 1, length)
    return np.asarray(codes == np.arange(_BASES, dtype=np.uint8)[:, None], np.int8)


def stacked_rows(bases: Sequence[Sliceable], span: tuple[int, int], length: int) -> npt.NDArray[np.float32]:
    """Return what each base has at records that follow each other, (n, 4, L)."""
    return np.stack([base.read(*span).reshape(-1, length) for base in bases], axis=1)
