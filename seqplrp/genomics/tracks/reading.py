"""What a part holds, read back whole."""

from __future__ import annotations

import numpy as np

from seqplrp.genomics.encoding import codes_to_strings
from seqplrp.genomics.fasta import Record
from seqplrp.genomics.tracks.parts import Part
from seqplrp.genomics.tracks.spool import Explained


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
    outputs = sum(name.startswith("per_base.") for name in part.arrays)
    return tuple(_explained(part, number) for number in range(outputs))


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
