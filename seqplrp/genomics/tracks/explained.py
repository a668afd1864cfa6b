"""The explanations of some records: how a part holds them, written and read back whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.encoding import codes_to_strings, encode
from seqplrp.genomics.fasta import Record
from seqplrp.genomics.tracks.parts import Part, write_part

_BASES = 4
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Explained:
    """What was found for some records, in their order.

    Parameters
    ----------
    per_base : sequence of (L,) arrays
        Relevance of each position, in the order of the record's letters.
    hypothetical : sequence of (4, L) arrays, or None
        What each of ACGT would contribute, likewise. None if the rule has no such thing.
    spread : sequence of (L,) arrays, or None
        Standard deviation of each position's relevance over several models. None where there is one model.
    unpruned : sequence of (4, L) arrays, or None
        Hypothetical contributions of the same map without pruning, where somebody needs them beside pruned ones.
    """

    per_base: Sequence[np.ndarray]
    hypothetical: Sequence[np.ndarray] | None = None
    spread: Sequence[np.ndarray] | None = None
    unpruned: Sequence[np.ndarray] | None = None


def write_explained(
    path: Path,
    records: Sequence[Record],
    explained: Sequence[Explained],
    *,
    texts: Mapping[str, bytes] | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write the explanations of some records as a part file, whole or not at all.

    Parameters
    ----------
    path : Path
        The file to be.
    records : sequence of Record
        What was explained.
    explained : sequence of Explained
        What was found for them: one for each of the model's outputs that was explained.
    texts, about
        See `write_part`.

    Raises
    ------
    SeqplrpError
        If a relevance is not a finite number; it names the record.
    """
    lengths = [len(record) for record in records]
    arrays = {"codes": np.concatenate([encode([record.sequence])[0] for record in records])}
    for number, one in enumerate(explained):
        arrays[f"per_base.{number}"] = _joined("per_base", records, lengths, one.per_base)
        if one.hypothetical is not None:
            arrays[f"hypothetical.{number}"] = _joined("hypothetical", records, lengths, one.hypothetical, rows=_BASES)
        if one.spread is not None:
            arrays[f"spread.{number}"] = _joined("spread", records, lengths, one.spread)
        if one.unpruned is not None:
            arrays[f"unpruned.{number}"] = _joined("unpruned", records, lengths, one.unpruned, rows=_BASES)
    write_part(path, records, arrays, texts=texts, about=about)


def _joined(
    name: str, records: Sequence[Record], lengths: Sequence[int], values: Sequence[np.ndarray], rows: int = 0
) -> np.ndarray:
    """Put the records' arrays side by side, as float32; refuse what no track can hold."""
    for record, length, found in zip(records, lengths, values, strict=True):
        wanted = (rows, length) if rows else (length,)
        if found.shape != wanted:
            raise ValueError(f"{name} of record {record.id!r} has shape {found.shape}, not {wanted}")
    joined = np.concatenate(values, axis=-1)
    # not (<=) and no cast: true for what is not a number, and quiet
    if not (np.abs(joined) <= _LARGEST).all():
        bad = next(r for r, found in zip(records, values, strict=True) if not (np.abs(found) <= _LARGEST).all())
        raise SeqplrpError(
            f"record {bad.id!r}",
            "its relevance holds values that are not finite float32 numbers",
            "check the model's weights, or try another rule",
        )
    return joined.astype("<f4", copy=False)


def read_records(part: Part) -> list[Record]:
    """Return a part's records, with their letters."""
    (letters,) = codes_to_strings(part.arrays["codes"][0].read(0, part.total)[None])
    return [
        Record(
            place.id,
            letters[slice(*place.values)],
            place.contig,
            place.start,
            place.end,
            "-" if place.strand == "-" else "+",
        )
        for place in part.records
    ]


def read_explained(part: Part) -> tuple[Explained, ...]:
    """Return what `write_explained` was given: the explanations of a part's records, for each output."""
    return tuple(_explained(part, number) for number in range(outputs_in(part.arrays)))


def outputs_in(arrays: Collection[str]) -> int:
    """Return how many outputs were explained, given the names of a part's arrays."""
    return sum(name.startswith("per_base.") for name in arrays)


def _explained(part: Part, number: int) -> Explained:
    per_base = _cut(part, f"per_base.{number}")
    assert per_base is not None
    rest = {name: _cut(part, f"{name}.{number}") for name in ("hypothetical", "spread", "unpruned")}
    return Explained(per_base, **rest)


def _cut(part: Part, name: str) -> list[np.ndarray] | None:
    """Read an array and cut it into the records' own, (L,) or (rows, L); None if the part has no such array."""
    if name not in part.arrays:
        return None
    rows = [row.read(0, part.total) for row in part.arrays[name]]
    whole = rows[0] if len(rows) == 1 else np.stack(rows)
    return [whole[..., slice(*place.values)] for place in part.records]
